"""`tracekit merge`: traces of several hosts in one file, on one clock."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tracekit.commands.options import FORCE
from tracekit.commands.trace_file import TraceFile
from tracekit.location import Location


@click.command(epilog="Example: tracekit merge agent.parquet gpu-host.parquet -o run.parquet")
@click.argument("traces", nargs=-1, required=True, type=TraceFile(), metavar="TRACE TRACE...")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Trace to write.")
@click.option(
    "--offset",
    "offsets",
    multiple=True,
    metavar="HOST=SECONDS",
    help="How far the clock of HOST (or of a trace's file) is ahead of the first trace's.",
)
@FORCE
def command(traces: tuple[Location, ...], output: Path, offsets: tuple[str, ...], force: bool) -> None:
    """Join traces of any number of hosts. All times become those of the first trace's clock.

    How two clocks differ is told, best first, by --offset, by one host (both traces of one start of it), by
    questions that one asked the other (`record --clock`, `sample --serve`) and LLM calls that both recorded, by
    kernels that follow the network's time. The offset, its drift and its error are kept in the trace.
    """
    from tracekit import __version__
    from tracekit.merging.merge import merge_traces
    from tracekit.reports.merged import merged_lines

    provenance = merge_traces(
        traces,
        output,
        offsets_s=dict(map(_offset, offsets)),
        software_version=__version__,
        command=["tracekit", "merge", *map(str, traces)],
        force=force,
    )
    for line in merged_lines(provenance, output):
        print(line, file=sys.stderr)


def _offset(text: str) -> tuple[str, float]:
    name, _sign, seconds = text.rpartition("=")
    try:
        value = float(seconds)
    except ValueError:
        value = float("nan")
    if not name or not abs(value) < float("inf"):
        raise click.BadParameter(f"'{text}' is not HOST=SECONDS", param_hint="--offset")
    return name, value
