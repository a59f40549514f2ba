"""What a calibration holds, as a document and as a table."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from rich.console import Console

from tracekit.analyzers.catalog.engine import ErrorBand
from tracekit.analyzers.hardware.calibrating import Calibrated
from tracekit.analyzers.hardware.calibration import Calibration, Correction
from tracekit.analyzers.hardware.prompt_fit import PromptCorrection
from tracekit.reports.tables import plain_table
from tracekit.reports.terminal import wide_console

SCHEMA_VERSION = 1
HEADINGS = ("TP", "points", "batches", "step time", "error left", "power", "error left")
Document = dict[str, Any]


def calibration_document(found: Calibrated) -> Document:
    """What `calibrate --json` prints: ratios are measured over analytic."""
    return {
        "schema_version": SCHEMA_VERSION,
        "trace": None,
        "calibrations": [_document(calibration) for calibration in found.calibrations],
        "skipped": [{"row": skipped.row, "why": skipped.why} for skipped in found.skipped],
        "assumptions": [
            "between batches log(measured / analytic) is linear in log2 batch, past the ends constant"
        ],
        "sources": {calibration.source: calibration.date for calibration in found.calibrations},
    }


def _document(calibration: Calibration) -> Document:
    return {
        "gpu": calibration.gpu,
        "model": calibration.model,
        "engine": calibration.engine,
        "tp": calibration.tp,
        "tier": calibration.tier,
        "points": calibration.points,
        "context_tokens": calibration.context_tokens,
        "step": _correction(calibration.step),
        "power": _correction(calibration.power),
        "context_ratio": calibration.context_ratio,
        "context_driven_ratio": calibration.context_driven_ratio,
        "prompt": _prompt(calibration.prompt),
        "warm_idle_w": calibration.warm_idle_w,
    }


def _correction(part: Correction | None) -> Document | None:
    if part is None:
        return None
    return {
        "batch": [2.0**place for place in part.log2_batch],
        "ratio": [math.exp(ratio) for ratio in part.log_ratio],
        "error": _error(part.error),
    }


def _prompt(part: PromptCorrection | None) -> Document | None:
    if part is None:
        return None
    watts = part.power_log_ratio
    return {
        "chunk_tokens": list(part.chunk_tokens),
        "context_tokens": list(part.context_tokens),
        "ratio": [math.exp(ratio) for ratio in part.log_ratio],
        "power_ratio": None if watts is None else [math.exp(ratio) for ratio in watts],
        "error": _error(part.error),
    }


def _error(error: ErrorBand | None) -> Document | None:
    if error is None:
        return None
    return {"mape": error.mape, "median_ape": error.median_ape, "on": error.on}


def print_calibration(found: Calibrated, console: Console | None = None) -> None:
    """A line a calibration, then what was skipped."""
    console = console or wide_console()
    table = plain_table(
        "Measured / analytic, from the smallest to the largest batch", "model", "GPU", "engine"
    )
    for heading in HEADINGS:
        table.add_column(heading, justify="right")
    for calibration in found.calibrations:
        table.add_row(
            calibration.model,
            calibration.gpu,
            calibration.engine,
            str(calibration.tp),
            str(calibration.points),
            _batches(calibration),
            *_words(calibration.step),
            *_words(calibration.power),
        )
    console.print(table)
    console.print(
        "error left: mean, of each batch told by the others (four batches or more)",
        highlight=False,
        markup=False,
    )
    for calibration in found.calibrations:
        for line in _beside_batches(calibration):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    for skipped in found.skipped:
        console.print(
            f"skipped row {skipped.row}: {skipped.why}", highlight=False, markup=False, soft_wrap=True
        )


def _beside_batches(calibration: Calibration) -> Iterator[str]:
    """What steps measured one by one tell beside the batches."""
    prompt = calibration.prompt
    if prompt is not None:
        low, high = (math.exp(end(prompt.log_ratio)) for end in (min, max))
        left = "unknown" if prompt.error is None else f"{prompt.error.mape:.1%}"
        chunks = len(prompt.log_ratio)
        yield f"prompts, measured / analytic: {low:.2f}-{high:.2f} over {chunks} chunks; error left {left}"
    if calibration.context_ratio is not None:
        yield f"seconds of a token of context, measured / analytic: {calibration.context_ratio:.2f}"
    if calibration.warm_idle_w is not None:
        yield f"a GPU that holds the model and waits: {calibration.warm_idle_w:.0f} W"


def _batches(calibration: Calibration) -> str:
    part = calibration.step or calibration.power
    return "-" if part is None else f"{2 ** part.log2_batch[0]:.0f}-{2 ** part.log2_batch[-1]:.0f}"


def _words(part: Correction | None) -> tuple[str, str]:
    if part is None:
        return "-", "-"
    ratios = f"{math.exp(part.log_ratio[0]):.2f}-{math.exp(part.log_ratio[-1]):.2f}"
    return ratios, "unknown" if part.error is None else f"{part.error.mape:.1%}"
