"""`tracekit calibrate`: measured points as a file that corrects replays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tracekit.commands.options import CATALOG, FORCE, JSON

if TYPE_CHECKING:
    from tracekit.analyzers.hardware.calibrating import Calibrated

DEFAULT_OUTPUT = "calibration.toml"


@click.command(
    epilog="Example: tracekit calibrate rows.csv -o mine.toml && tracekit replay run.parquet --gpu H100 --calibration "
    "mine.toml"
)
@click.argument("source", type=click.Path(path_type=Path), metavar="ROWS.csv|TRACE.parquet")
@click.option("--gpu", help="With a trace: the GPU that served its calls.")
@click.option("--model", help="With a trace: the model that served its calls.")
@click.option("--engine", help="With a trace: the engine profile.  [default: the catalog's]")
@click.option("--tp", type=click.IntRange(1), help="With a trace: GPUs of the replica.  [default: 1]")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=DEFAULT_OUTPUT,
    show_default=True,
    help="Write the calibration to this TOML file; - is stdout.",
)
@CATALOG
@FORCE
@JSON
def command(
    source: Path,
    gpu: str | None,
    model: str | None,
    engine: str | None,
    tp: int | None,
    output: Path,
    force: bool,
    as_json: bool,
) -> None:
    """Turn measured operating points into a calibration that `tracekit replay --calibration` corrects its steps by.

    ROWS.csv has the columns that `tracekit validate` takes. TRACE.parquet is a recording whose calls one replica served
    alone: name its --gpu and --model; time per output token, and watts if the trace has them, are binned by how many
    calls were emitting tokens at once.
    """
    from tracekit.commands.blas import load_without_threads

    load_without_threads()
    from tracekit.analyzers.hardware.calibration_file import to_toml
    from tracekit.trace import check_output

    to_stdout = str(output) == "-"
    if to_stdout and as_json:
        raise click.UsageError("Both --json and -o - want stdout; choose one.")
    if not to_stdout:
        check_output(output, force=force)
    if gpu is not None and model is not None:
        found = _of_trace(source, gpu, model, engine, tp or 1)
    elif any(word is not None for word in (gpu, model, engine, tp)):
        raise click.UsageError("A trace needs both --gpu and --model; rows of a table name their own.")
    else:
        found = _of_rows(source)
    text = to_toml(found.calibrations)
    if to_stdout:
        click.echo(text, nl=False)
    else:
        _write(output, text)
    _report(found, output, as_json=as_json, quiet=to_stdout)


def _of_rows(source: Path) -> Calibrated:
    from tracekit.analyzers.hardware.calibrating import Calibrated, calibrations_of
    from tracekit.analyzers.hardware.operating_point import read_points
    from tracekit.errors import RowsInvalid

    if source.suffix == ".parquet":
        raise click.UsageError("A trace needs --gpu and --model: it does not say what served its calls.")
    points, skipped = read_points(source)
    if not points:
        raise RowsInvalid.no_row(source, skipped[0].why if skipped else "it has none")
    found = calibrations_of(points, _provenance(source, "calibrated"))
    return Calibrated(found.calibrations, [*skipped, *found.skipped])


def _of_trace(source: Path, gpu: str, model: str, engine: str | None, tp: int) -> Calibrated:
    from tracekit.analyzers.catalog import catalog
    from tracekit.analyzers.hardware.calibrating import calibrations_of
    from tracekit.analyzers.scenario import Pool
    from tracekit.analyzers.trace_points import points_of_trace
    from tracekit.trace import Trace

    replica = Pool(gpu, model, tp=tp, engine=engine or catalog.DEFAULT_ENGINE).replica()
    return calibrations_of(points_of_trace(Trace.open(source), replica), _provenance(source, "measured"))


def _provenance(source: Path, tier: str) -> Any:
    from datetime import UTC, datetime

    from tracekit.analyzers.hardware.calibrating import Provenance

    changed = datetime.fromtimestamp(source.stat().st_mtime, UTC)
    return Provenance(source.name, changed.date().isoformat(), tier)


def _write(path: Path, text: str) -> None:
    """Atomically: a file cut short would still be TOML."""
    import os

    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, "utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _report(found: Calibrated, output: Path, *, as_json: bool, quiet: bool) -> None:
    from tracekit.reports.calibration import calibration_document, print_calibration
    from tracekit.reports.document import to_json

    if as_json:
        click.echo(to_json(calibration_document(found)))
    elif not quiet:
        print_calibration(found)
    if not quiet:
        click.echo(f"tracekit: wrote {output}", err=True)
