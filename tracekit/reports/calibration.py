"""What a calibration holds, as a document and as a table."""

from __future__ import annotations

import math
from typing import Any

from rich.console import Console

from tracekit.analyzers.hardware.calibrating import Calibrated
from tracekit.analyzers.hardware.calibration import Calibration, Correction
from tracekit.reports.tables import plain_table
from tracekit.reports.terminal import wide_console

SCHEMA_VERSION = 1
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
    }


def _correction(part: Correction | None) -> Document | None:
    if part is None:
        return None
    error = part.error
    return {
        "batch": [2.0**place for place in part.log2_batch],
        "ratio": [math.exp(ratio) for ratio in part.log_ratio],
        "error": error and {"mape": error.mape, "median_ape": error.median_ape, "on": error.on},
    }


def print_calibration(found: Calibrated, console: Console | None = None) -> None:
    """A line a calibration, then what was skipped."""
    console = console or wide_console()
    table = plain_table(
        "Measured / analytic, from the smallest to the largest batch", "model", "GPU", "engine"
    )
    for heading in ("TP", "points", "batches", "step time", "error left", "power", "error left"):
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
    for skipped in found.skipped:
        console.print(
            f"skipped row {skipped.row}: {skipped.why}", highlight=False, markup=False, soft_wrap=True
        )


def _batches(calibration: Calibration) -> str:
    part = calibration.step or calibration.power
    return "-" if part is None else f"{2 ** part.log2_batch[0]:.0f}-{2 ** part.log2_batch[-1]:.0f}"


def _words(part: Correction | None) -> tuple[str, str]:
    if part is None:
        return "-", "-"
    ratios = f"{math.exp(part.log_ratio[0]):.2f}-{math.exp(part.log_ratio[-1]):.2f}"
    return ratios, "unknown" if part.error is None else f"{part.error.mape:.1%}"
