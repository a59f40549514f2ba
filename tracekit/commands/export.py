"""`tracekit export`: a trace in another tool's format."""

from __future__ import annotations

from pathlib import Path

import click

from tracekit.commands.options import FORCE, TRACE


@click.command()
@click.argument("format_name", metavar="FORMAT")
@TRACE
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, allow_dash=True),
    required=True,
    help="File to write; - for stdout; .gz compresses.",
)
@FORCE
def command(format_name: str, trace: Path, output: Path, force: bool) -> None:
    r"""Write TRACE in another tool's format.

    \b
    FORMAT is
      agentic-mooncake  JSON lines that Dynamo's DynoSim and AIPerf replay

    \b
    Example: tracekit export agentic-mooncake run.parquet -o run.jsonl.gz
    """
    from tracekit.interchange.exported import write_lines
    from tracekit.interchange.formats import export_lines
    from tracekit.trace import Trace

    exported = export_lines(format_name, Trace.open(trace))
    write_lines(output, exported.lines, force=force)
    for note in exported.notes:
        click.echo(f"tracekit: {note}", err=True)
    if str(output) != "-":
        click.echo(f"tracekit: wrote {output}", err=True)
