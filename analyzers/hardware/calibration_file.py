"""Calibrations as a TOML file: a table [[calibration]] for each."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from tracekit.analyzers.catalog.engine import ErrorBand
from tracekit.analyzers.hardware.calibration import Calibration, Correction
from tracekit.analyzers.hardware.prompt_fit import PromptCorrection
from tracekit.analyzers.hardware.replica import Replica
from tracekit.errors import CalibrationInvalid

HEAD = """\
# Calibrations of tracekit's hardware model, written by `tracekit calibrate`; for `tracekit replay --calibration`.
# log_ratio is log(measured / analytic) at each log2 batch, of a decode step's duration and of a GPU's watts; of
# prompts, at each chunk after so many tokens of context.
"""
WORDS = ("gpu", "model", "engine", "source", "date", "tier")
TIERS = ("measured", "calibrated")
OPTIONAL_NUMBERS = ("context_ratio", "context_driven_ratio", "warm_idle_w")


def to_toml(calibrations: list[Calibration]) -> str:
    """The file's text; without calibrations it says so, and readers find nothing for their replicas."""
    if not calibrations:
        return f"{HEAD}\ncalibration = []\n"
    return "\n".join([HEAD, *(_table(calibration) for calibration in calibrations)])


def _table(calibration: Calibration) -> str:
    lines = ["[[calibration]]"]
    lines += [f"{name} = {json.dumps(getattr(calibration, name))}" for name in WORDS]
    lines += [
        f"tp = {calibration.tp}",
        f"points = {calibration.points}",
        f"context_tokens = {calibration.context_tokens:.1f}",
    ]
    numbers = {name: getattr(calibration, name) for name in OPTIONAL_NUMBERS}
    lines += [f"{name} = {value:.5g}" for name, value in numbers.items() if value is not None]
    for name in ("step", "power"):
        part = getattr(calibration, name)
        if part is not None:
            lines += ["", f"[calibration.{name}]", *_correction_lines(part)]
    if calibration.prompt is not None:
        lines += ["", "[calibration.prompt]", *_prompt_lines(calibration.prompt)]
    return "\n".join(lines) + "\n"


def _correction_lines(part: Correction) -> list[str]:
    lines = [f"log2_batch = {list(part.log2_batch)}", f"log_ratio = {list(part.log_ratio)}"]
    return lines + _error_lines(part.error)


def _prompt_lines(part: PromptCorrection) -> list[str]:
    columns = {
        name: getattr(part, name)
        for name in PromptCorrection._fields
        if name != "error" and getattr(part, name)
    }
    return [f"{name} = {list(values)}" for name, values in columns.items()] + _error_lines(part.error)


def _error_lines(error: ErrorBand | None) -> list[str]:
    if error is None:
        return []
    words = json.dumps(error.on)
    return [f"error = {{ mape = {error.mape:g}, median_ape = {error.median_ape:g}, on = {words} }}"]


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
        prompt=_prompt(row.get("prompt")),
        context_ratio=_optional(row, "context_ratio"),
        context_driven_ratio=_optional(row, "context_driven_ratio"),
        warm_idle_w=_optional(row, "warm_idle_w"),
    )
    if found.step is None and found.power is None and found.prompt is None:
        raise ValueError(f"the calibration of {found.model} on {found.gpu} corrects nothing")
    return found


def _correction(row: dict[str, Any] | None) -> Correction | None:
    if row is None:
        return None
    places = tuple(float(value) for value in row["log2_batch"])
    ratios = tuple(float(value) for value in row["log_ratio"])
    if not places or len(places) != len(ratios) or list(places) != sorted(set(places)):
        raise ValueError("log2_batch has to ascend, with one log_ratio each")
    return Correction(places, ratios, _error(row))


def _optional(row: dict[str, Any], name: str) -> float | None:
    return float(row[name]) if name in row else None


def _prompt(row: dict[str, Any] | None) -> PromptCorrection | None:
    if row is None:
        return None
    watts = row.get("power_log_ratio")
    found = PromptCorrection(
        _numbers(row["chunk_tokens"]),
        _numbers(row["context_tokens"]),
        _numbers(row["log_ratio"]),
        None if watts is None else _numbers(watts),
        _error(row),
    )
    columns = (found.context_tokens, found.log_ratio, found.power_log_ratio or found.log_ratio)
    if not found.chunk_tokens or any(len(values) != len(found.chunk_tokens) for values in columns):
        raise ValueError("prompts need as many of chunk_tokens as of context_tokens and log_ratio")
    if min(found.chunk_tokens) <= 0 or min(found.context_tokens) < 0:
        raise ValueError("chunk_tokens have to be above 0, and context_tokens no less")
    return found


def _numbers(values: list[Any]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _error(row: dict[str, Any]) -> ErrorBand | None:
    error = row.get("error")
    return None if error is None else ErrorBand(**error)


def calibration_for(path: Path, replica: Replica) -> Calibration | None:
    """The file's calibration of such replicas, measured before calibrated; None without one.

    Raises CalibrationInvalid.
    """
    fitting = [found for found in read_calibrations(path) if found.is_for(replica)]
    return min(fitting, key=lambda found: TIERS.index(found.tier), default=None)
