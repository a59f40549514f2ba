"""`tracekit export`: a trace in another tool's format."""

from __future__ import annotations

from pathlib import Path

import click

from tracekit.commands.options import FORCE, TRACE
from tracekit.location import Location, identity


@click.command()
@click.argument("format_name", metavar="FORMAT")
@TRACE
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, allow_dash=True),
    required=True,
    help="File to write; - for stdout (text formats); .gz compresses.",
)
@FORCE
def command(format_name: str, trace: Location, output: Path, force: bool) -> None:
    """Write TRACE in another tool's format. Names, times and counts are written, never content.

    \b
    FORMAT is
      perfetto          track events for ui.perfetto.dev, a track for each concurrent call
      speedscope        JSON for speedscope.app, a profile for each session
      csv               one tidy table: a column `kind`, units in the header
      otlp              OTLP JSON lines with GenAI spans, a line for each session
      agentic-mooncake  JSON lines that Dynamo's DynoSim and AIPerf replay

    \b
    Examples: tracekit export perfetto run.parquet -o run.perfetto-trace.gz
              tracekit export agentic-mooncake run.parquet -o run.jsonl.gz
    """  # noqa: D301  (click leaves a paragraph behind this sign as it is)
    from tracekit.errors import OutputRefused
    from tracekit.interchange.exported import write_parts
    from tracekit.interchange.formats import EXPORTS, export_parts
    from tracekit.trace import Trace

    to_stdout = str(output) == "-"
    if to_stdout and format_name in EXPORTS and EXPORTS[format_name].binary:
        raise click.UsageError(f"{format_name} is no text and cannot go to stdout; give a file with -o.")
    opened = Trace.open(trace)
    if not to_stdout and identity(output) == identity(trace):
        raise OutputRefused.is_input(output)
    exported = export_parts(format_name, opened)
    write_parts(output, exported.parts, force=force)
    for note in exported.notes:
        click.echo(f"tracekit: {note}", err=True)
    if not to_stdout:
        click.echo(f"tracekit: wrote {output}", err=True)
