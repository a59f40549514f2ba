"""The measuring half of `tracekit calibrate`: a campaign, its journal and its file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

if TYPE_CHECKING:
    from tracekit.analyzers.catalog.model import Model
    from tracekit.analyzers.hardware.calibrating import Calibrated
    from tracekit.measuring.campaign import Course
    from tracekit.measuring.journal import Journal
    from tracekit.measuring.setup import Setup

UNITS_S = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
INTERRUPTED = 130


class Duration(click.ParamType[float]):
    """Seconds from 90, 90s, 5m or 1.5h."""

    name = "duration"

    def convert(
        self, value: object, parameter: click.Parameter | None, context: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", str(value).strip())
        if match is None or match[2] not in UNITS_S or not float(match[1]):
            self.fail(f"'{value}' is no duration such as 90s, 5m or 1h", parameter, context)
        return float(match[1]) * UNITS_S[match[2]]


class Wish(NamedTuple):
    """What a user wants measured; None where nothing was said."""

    device: str | None
    budget_s: float
    batch: int | None
    context: int | None
    chunk: int | None
    gpu: str | None
    engine: str | None
    tp: int


class Measured(NamedTuple):
    """What a measurement came to: calibrations, the file's text, notes, and the exit code."""

    found: Calibrated
    text: str
    notes: list[str]
    code: int


def measured(model: Model, wish: Wish, output: Path, *, force: bool) -> Measured:
    """Runs the campaign; readings lie beside `output`. Raises MeasuringRefused."""
    from tracekit.measuring.journal import Journal
    from tracekit.measuring.setup import set_up

    path = Journal.beside(output)
    if force:
        path.unlink(missing_ok=True)
    setup = set_up(wish.device, model, wish.tp, wish.budget_s)
    try:
        journal = Journal(path, setup.facts)
        if setup.idle_w is not None and "idle_w" not in journal.idle:
            journal.keep_idle("idle_w", setup.idle_w)
        course = _run(setup, journal, model, wish)
    finally:
        setup.bench.device.close()
    return _outcome(setup, journal, course, model, wish)


def _run(setup: Setup, journal: Journal, model: Model, wish: Wish) -> Course:
    from tracekit.measuring.campaign import measure
    from tracekit.measuring.grid import Limits, grid_of
    from tracekit.reports.measuring_progress import MeasuringProgress

    usual = Limits()
    context = min(wish.context or usual.context, model.max_model_len)
    limits = Limits(wish.batch or usual.batch, context, min(wish.chunk or usual.chunk, context))
    with MeasuringProgress(wish.budget_s) as progress:
        return measure(
            grid_of(setup.shape, limits),
            setup.shape,
            setup.bench,
            journal,
            wish.budget_s,
            lambda done, total, point: progress.tell(done, total, point.words),
        )


def _outcome(setup: Setup, journal: Journal, course: Course, model: Model, wish: Wish) -> Measured:
    from datetime import UTC, datetime

    from tracekit.analyzers.hardware.calibrating import Calibrated, Provenance
    from tracekit.analyzers.hardware.calibration_file import to_toml
    from tracekit.analyzers.hardware.step_reading import calibration_of_steps
    from tracekit.errors import MeasuringRefused
    from tracekit.measuring.outcome import launch_of, measured_toml, source_of, steps_of
    from tracekit.measuring.setup import replica_of

    steps = steps_of(journal.readings, setup.shape)
    if not any(reading.seconds is not None for reading in journal.readings):
        raise MeasuringRefused.nothing(_why_nothing(journal))
    date = datetime.now(UTC).date().isoformat()
    device = setup.facts["device"]
    source = source_of(setup.facts, launch_of(journal.readings))
    replica = replica_of(wish.gpu, device, model, wish.engine, wish.tp)
    together_w = journal.idle.get("warm_idle_w")
    warm_idle_w = None if together_w is None else together_w / wish.tp
    found = (
        None
        if replica is None
        else calibration_of_steps(replica, steps, Provenance(source, date, "calibrated"), warm_idle_w)
    )
    calibrations = [] if found is None else [found]
    facts = {"date": date, **setup.facts}
    text = to_toml(calibrations) + measured_toml(facts, journal.idle, journal.readings)
    notes = _notes(journal, course, device if replica is None else None, bool(steps))
    code = INTERRUPTED if course.interrupted else int(course.lost is not None)
    return Measured(Calibrated(calibrations, []), text, notes, code)


def _why_nothing(journal: Journal) -> str:
    reasons = [reading.reason for reading in journal.readings if reading.reason]
    return reasons[0] if reasons else "the budget ended, or Ctrl-C came, before the first point was done"


def _notes(journal: Journal, course: Course, unknown_device: str | None, has_steps: bool) -> list[str]:
    failed = [reading for reading in journal.readings if reading.seconds is None]
    notes = [f"{len(journal.done)} points measured in {course.seconds:.0f} s"]
    if course.lost is not None:
        notes.append(f"measuring ended there, because {course.lost}; its point is a row with that reason")
    if course.left_out:
        notes.append(
            f"{len(course.left_out)} points of the grid are left; the same command goes on with them"
        )
    if failed:
        notes.append(f"{len(failed)} readings failed, the first because: {failed[0].reason}")
    if unknown_device is not None:
        notes.append(
            f"'{unknown_device}' is no GPU of the catalog, so readings are all that the file holds; --gpu names a row, "
            "--catalog adds one"
        )
    elif not has_steps:
        notes.append("no whole step was measured yet, so readings are all that the file holds")
    if not any(reading.watts for reading in journal.readings):
        notes.append("no watts were measured: nothing on this device tells them")
    return notes
