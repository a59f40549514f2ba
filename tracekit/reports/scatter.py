"""A plot of modelled against measured values."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tracekit.analyzers.hardware.validation import KINDS, Validation
from tracekit.analyzers.kernels.layout import Floats
from tracekit.errors import OutputRefused
from tracekit.trace import check_output

PANELS = (
    ("power_w", "power of a GPU, W", 1.0, "linear"),
    ("power_given_time_w", "the same, given step time, W", 1.0, "linear"),
    ("itl_s", "inter-token latency, ms", 1e3, "log"),
    ("j_per_token", "energy of an output token, J", 1.0, "log"),
)
SUFFIXES = (".png", ".svg", ".pdf")
MARKERS = "os^Dv<>pX*"
COLOURS = {"dense": "tab:blue", "moe": "tab:orange"}


def check_plot(path: Path, *, force: bool) -> None:
    """Refuse early what writing would refuse late. Raises OutputRefused."""
    check_output(path, force=force)
    if path.suffix.lower() not in SUFFIXES:
        raise OutputRefused.no_picture(path, SUFFIXES)


def write_scatter(path: Path, validation: Validation) -> None:
    """Writes the analytic tier's values over the measured ones, atomically; the suffix decides the format."""
    figure = Figure(figsize=(10, 9), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, title, factor, scale) in zip(figure.subplots(2, 2).flat, PANELS, strict=True):
        _panel(axes, validation, name, factor)
        axes.set(title=title, xscale=scale, yscale=scale)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        figure.savefig(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _panel(axes: Any, validation: Validation, name: str, factor: float) -> None:
    measured = factor * getattr(validation.measured, name)
    modelled = factor * getattr(validation.modelled["analytic"], name)
    known = np.isfinite(measured) & np.isfinite(modelled)
    gpus = list(dict.fromkeys(point.replica.gpu.name for point in validation.points))
    for index, gpu in enumerate(gpus):
        for kind in KINDS:
            chosen = known & np.array(
                [point.kind == kind and point.replica.gpu.name == gpu for point in validation.points]
            )
            if chosen.any():
                axes.plot(
                    measured[chosen],
                    modelled[chosen],
                    MARKERS[index % len(MARKERS)],
                    color=COLOURS[kind],
                    alpha=0.6,
                    label=f"{gpu}, {kind}",
                )
    if known.any():
        _diagonal(axes, np.concatenate([measured[known], modelled[known]]))
        axes.legend(fontsize="small")
    axes.set_xlabel("measured")
    axes.set_ylabel("modelled")


def _diagonal(axes: Any, values: Floats) -> None:
    """The line of no error, and those of 10 % to either side."""
    ends = np.array([0.9 * values.min(), 1.1 * values.max()])
    axes.plot(ends, ends, color="black", linewidth=1)
    for factor in (0.9, 1.1):
        axes.plot(ends, factor * ends, color="black", linewidth=0.5, linestyle=":")
