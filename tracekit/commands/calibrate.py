"""`tracekit calibrate`: measured points, or the device at hand, as a file that corrects replays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tracekit.commands.measuring import Duration, Wish
from tracekit.commands.options import CATALOG, FORCE, JSON
from tracekit.location import Location, Url, location_of
from tracekit.units import NS_PER_S

if TYPE_CHECKING:
    from tracekit.analyzers.catalog.model import Model
    from tracekit.analyzers.hardware.calibrating import Calibrated

DEFAULT_OUTPUT = "calibration.toml"


@click.command(
    epilog="Example: tracekit calibrate Llama-3.1-8B --device cuda:0 --budget 5m -o mine.toml && tracekit replay "
    "run.parquet --gpu H100 --calibration mine.toml"
)
@click.argument("source", metavar="MODEL|ROWS.csv|TRACE.parquet")
@click.option("--gpu", help="With a trace: the GPU that served its calls. With MODEL: what the device is.")
@click.option("--model", help="With a trace: the model that served its calls.")
@click.option("--engine", help="With a trace or MODEL: the engine profile.  [default: the catalog's]")
@click.option(
    "--tp", type=click.IntRange(1), help="With a trace or MODEL: GPUs of the replica.  [default: 1]"
)
@click.option(
    "--device", help="With MODEL: cpu or cuda:NUMBER, the first of --tp GPUs.  [default: the first GPU]"
)
@click.option(
    "--budget", type=Duration(), default="5m", show_default=True, help="With MODEL: time to measure for."
)
@click.option("--max-batch", type=click.IntRange(1), help="With MODEL: sequences.  [default: 256]")
@click.option("--max-context", type=click.IntRange(2), help="With MODEL: tokens.  [default: 32768]")
@click.option(
    "--max-chunk", type=click.IntRange(1), help="With MODEL: tokens of a prompt at once.  [default: 8192]"
)
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
    source: str,
    gpu: str | None,
    model: str | None,
    engine: str | None,
    tp: int | None,
    device: str | None,
    budget: float,
    max_batch: int | None,
    max_context: int | None,
    max_chunk: int | None,
    output: Path,
    force: bool,
    as_json: bool,
) -> int:
    """Measure steps here, or take measured ones, as a calibration for `tracekit replay --calibration`.

    MODEL, a model's name or its config.json, measures the device at hand: blocks of that architecture with random
    weights, decoding and prompts, watts where NVML tells them (extra `torch`); with --tp 2, two GPUs that share the
    layers. Ctrl-C keeps what is done; the same command goes on. ROWS.csv has the columns that `tracekit validate`
    takes. TRACE.parquet is a recording whose calls one replica served alone: name its --gpu and --model; time per
    output token, and watts if the trace has them, are binned by how many calls were emitting tokens at once.
    """
    from tracekit.commands.blas import load_without_threads

    load_without_threads()
    from tracekit.analyzers.hardware.calibration_file import to_toml
    from tracekit.trace import check_output

    to_stdout = str(output) == "-"
    if to_stdout and as_json:
        raise click.UsageError("Both --json and -o - want stdout; choose one.")
    asked = _asked_model(source, device)
    if asked is not None:
        if to_stdout or model is not None:
            raise click.UsageError("A measurement needs a file (-o) and its one MODEL; leave out --model.")
        wish = Wish(device, budget, max_batch, max_context, max_chunk, gpu, engine, tp or 1)
        return _measure(asked, wish, output, force=force, as_json=as_json)
    if not to_stdout:
        check_output(output, force=force)
    where = location_of(source)
    if gpu is not None and model is not None:
        found = _of_trace(where, gpu, model, engine, tp or 1)
    elif any(word is not None for word in (gpu, model, engine, tp)):
        raise click.UsageError("A trace needs both --gpu and --model; rows of a table name their own.")
    else:
        found = _of_rows(where)
    text = to_toml(found.calibrations)
    if to_stdout:
        click.echo(text, nl=False)
    else:
        _write(output, text)
    _report(found, output, as_json=as_json, quiet=to_stdout)
    return 0


def _asked_model(source: str, device: str | None) -> Model | None:
    """The model that is to be measured; None for rows and traces, which are files."""
    from tracekit.analyzers.catalog import catalog

    path = location_of(source)
    if isinstance(path, Url):
        return None
    if device is None and path.suffix in (".csv", ".parquet"):
        return None
    is_config = path.suffix == ".json" or (path / "config.json").is_file()
    if device is not None or is_config or catalog.find_model(source) is not None:
        return catalog.model(source)
    return None


def _measure(model: Model, wish: Wish, output: Path, *, force: bool, as_json: bool) -> int:
    from tracekit.commands.measuring import measured
    from tracekit.measuring.journal import Journal
    from tracekit.trace import check_output

    check_output(output, force=force or Journal.beside(output).exists())
    outcome = measured(model, wish, output, force=force)
    _write(output, outcome.text)
    _report(outcome.found, output, as_json=as_json, quiet=False)
    for note in outcome.notes:
        click.echo(f"tracekit: {note}", err=True)
    return outcome.code


def _of_rows(source: Location) -> Calibrated:
    from tracekit.analyzers.hardware.calibrating import Calibrated, Provenance, calibrations_of
    from tracekit.analyzers.hardware.operating_point import read_points
    from tracekit.errors import RowsInvalid

    if isinstance(source, Url):
        raise click.UsageError(
            f"{source}: of a URL only a trace is read, with --gpu and --model; fetch a table of rows."
        )
    if source.suffix == ".parquet":
        raise click.UsageError("A trace needs --gpu and --model: it does not say what served its calls.")
    points, skipped = read_points(source)
    if not points:
        raise RowsInvalid.no_row(source, skipped[0].why if skipped else "it has none")
    found = calibrations_of(points, Provenance(source.name, _changed(source), "calibrated"))
    return Calibrated(found.calibrations, [*skipped, *found.skipped])


def _of_trace(source: Location, gpu: str, model: str, engine: str | None, tp: int) -> Calibrated:
    from tracekit.analyzers.catalog import catalog
    from tracekit.analyzers.hardware.calibrating import Provenance, calibrations_of
    from tracekit.analyzers.scenario import Pool
    from tracekit.analyzers.trace_points import points_of_trace
    from tracekit.trace import Trace

    replica = Pool(gpu, model, tp=tp, engine=engine or catalog.DEFAULT_ENGINE).replica()
    opened = Trace.open(source)
    date = _date(opened.provenance.created_ns / NS_PER_S) if isinstance(source, Url) else _changed(source)
    return calibrations_of(points_of_trace(opened, replica), Provenance(source.name, date, "measured"))


def _changed(file: Path) -> str:
    return _date(file.stat().st_mtime)


def _date(unix_s: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(unix_s, UTC).date().isoformat()


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
