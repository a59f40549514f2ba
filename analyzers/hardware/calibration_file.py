"""Calibrations as a TOML file: a table [[calibration]] for each."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from tracekit.analyzers.catalog.engine import ErrorBand
from tracekit.analyzers.hardware.calibration import Calibration, Correction
from tracekit.analyzers.hardware.replica import Replica
from tracekit.errors import CalibrationInvalid

HEAD = """\
# Calibrations of tracekit's hardware model, written by `tracekit calibrate`; for `tracekit replay --calibration`.
# log_ratio is log(measured / analytic) at each log2 batch, of a decode step's duration and of a GPU's watts.
"""
WORDS = ("gpu", "model", "engine", "source", "date", "tier")
TIERS = ("measured", "calibrated")


def to_toml(calibrations: list[Calibration]) -> str:
    """The file's text."""
    return "\n".join([HEAD, *(_table(calibration) for calibration in calibrations)])


def _table(calibration: Calibration) -> str:
    lines = ["[[calibration]]"]
    lines += [f"{name} = {json.dumps(getattr(calibration, name))}" for name in WORDS]
    lines += [
        f"tp = {calibration.tp}",
        f"points = {calibration.points}",
        f"context_tokens = {calibration.context_tokens:.1f}",
    ]
    for name in ("step", "power"):
        part = getattr(calibration, name)
        if part is not None:
            lines += ["", f"[calibration.{name}]", *_correction_lines(part)]
    return "\n".join(lines) + "\n"


def _correction_lines(part: Correction) -> list[str]:
    lines = [f"log2_batch = {list(part.log2_batch)}", f"log_ratio = {list(part.log_ratio)}"]
    if part.error is not None:
        error = part.error
        lines.append(
            f"error = {{ mape = {error.mape:g}, median_ape = {error.median_ape:g}, on = {json.dumps(error.on)} }}"
        )
    return lines


def read_calibrations(path: Path) -> list[Calibration]:
    """The file's calibrations. Raises CalibrationInvalid."""
    try:
        rows = tomllib.loads(path.read_text("utf-8"))["calibration"]
        return [_calibration(row) for row in rows]
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CalibrationInvalid.unreadable(path, str(error)) from error
    except KeyError as error:
        raise CalibrationInvalid.unreadable(path, f"it lacks {error}") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise CalibrationInvalid.unreadable(path, str(error)) from error


def _calibration(row: dict[str, Any]) -> Calibration:
    words = {name: str(row[name]) for name in WORDS}
    if words["tier"] not in TIERS:
        raise ValueError(f"tier is '{words['tier']}', and known are {', '.join(TIERS)}")
    found = Calibration(
        **words,
        tp=int(row["tp"]),
        points=int(row["points"]),
        context_tokens=float(row["context_tokens"]),
        step=_correction(row.get("step")),
        power=_correction(row.get("power")),
    )
    if found.step is None and found.power is None:
        raise ValueError(f"the calibration of {found.model} on {found.gpu} corrects nothing")
    return found


def _correction(row: dict[str, Any] | None) -> Correction | None:
    if row is None:
        return None
    places = tuple(float(value) for value in row["log2_batch"])
    ratios = tuple(float(value) for value in row["log_ratio"])
    if not places or len(places) != len(ratios) or list(places) != sorted(set(places)):
        raise ValueError("log2_batch has to ascend, with one log_ratio each")
    error = row.get("error")
    return Correction(places, ratios, None if error is None else ErrorBand(**error))


def calibration_for(path: Path, replica: Replica) -> Calibration | None:
    """The file's calibration of such replicas, measured before calibrated; None without one.

    Raises CalibrationInvalid.
    """
    fitting = [found for found in read_calibrations(path) if found.is_for(replica)]
    return min(fitting, key=lambda found: TIERS.index(found.tier), default=None)
