"""`tracekit recover`: merge the spool of a recording whose supervisor did not live to do it."""

from __future__ import annotations

from pathlib import Path

import click

from tracekit.commands.options import FORCE


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), metavar="DIRECTORY.spool")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Trace to write.  [default: the folder's name without .spool]",
)
@FORCE
def command(directory: Path, output: Path | None, force: bool) -> None:
    """Turn a recording that was cut off into a trace. The folder is kept; remove it when content."""
    from tracekit import __version__
    from tracekit.assembly.merge import merge_spool
    from tracekit.reports.recording import recording_lines
    from tracekit.spool import is_live

    target = output or _trace_beside(directory)
    if is_live(directory):
        click.echo("tracekit: this recording is still running; here is what it has so far.", err=True)
    merge_spool(directory, target, software_version=__version__, exit_code=None, recovered=True, force=force)
    for line in recording_lines(target):
        click.echo(line, err=True)


def _trace_beside(directory: Path) -> Path:
    name = directory.resolve().name
    return directory.resolve().with_name(
        name.removesuffix(".spool") if name.endswith(".spool") else f"{name}.parquet"
    )
