"""`tracekit sample`: the power of this host's GPUs, for as long as wanted."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from tracekit.commands.options import FORCE


@click.command(epilog="Example: tracekit sample -o gpu-host.parquet --serve 0.0.0.0:9753")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Trace to write.  [default: power-<UTC>.parquet]",
)
@click.option(
    "--duration",
    type=click.FloatRange(0.0, min_open=True),
    help="Seconds to sample.  [default: until Ctrl-C]",
)
@click.option(
    "--interval",
    type=click.FloatRange(0.01, 10),
    default=0.05,
    show_default=True,
    help="Seconds between power samples.",
)
@click.option("--serve", metavar="[HOST:]PORT", help="Tell other hosts this one's clock there, by UDP.")
@click.option(
    "--clock",
    "clocks",
    multiple=True,
    metavar="HOST:PORT",
    help="Ask a host that serves its clock, to merge with it.",
)
@click.option(
    "--label", "labels", multiple=True, metavar="NAME=TEXT", help="Note kept in the trace's provenance."
)
@FORCE
def command(
    output: Path | None,
    duration: float | None,
    interval: float,
    serve: str | None,
    clocks: tuple[str, ...],
    labels: tuple[str, ...],
    force: bool,
) -> int:
    """Record the power of this host's GPUs, and of its CPU where that may be read. Ctrl-C ends it and keeps all.

    Run it where the model is served while the agent is recorded elsewhere, then `tracekit merge` the two.
    """
    from tracekit import __version__
    from tracekit.assembly.merge import merge_spool
    from tracekit.collectors.sampling import sample
    from tracekit.commands.record import fresh_spool, labels_of
    from tracekit.reports.recording import recording_lines
    from tracekit.schema import Kind
    from tracekit.spool import remove_spool
    from tracekit.trace import Trace, check_output

    output = output or Path(time.strftime("power-%Y%m%dT%H%M%SZ.parquet", time.gmtime()))
    if str(output) == "-":
        raise click.UsageError("A trace cannot go to stdout: it is not a stream. Give a file name with -o.")
    for name, texts in (("--serve", [serve] if serve else []), ("--clock", clocks)):
        _check_addresses(name, texts)
    if serve:
        _check_is_free(serve)
    check_output(output, force=force)
    spool_directory = fresh_spool(output, force=force)
    sample(
        sys.argv,
        spool_directory,
        version=__version__,
        interval_s=interval,
        duration_s=float("inf") if duration is None else duration,
        answer_clock=serve,
        ask_clocks=clocks,
        labels=labels_of(labels),
    )
    merge_spool(
        spool_directory, output, software_version=__version__, exit_code=None, recovered=False, force=force
    )
    remove_spool(spool_directory)
    for line in recording_lines(output, of_agent=False):
        print(line, file=sys.stderr)
    return 0 if Trace.open(output).count(Kind.POWER_SAMPLE) else 1


def _check_addresses(option: str, texts: tuple[str, ...] | list[str]) -> None:
    from tracekit.collectors.clock_exchange import address

    for text in texts:
        try:
            address(text)
        except ValueError:
            raise click.BadParameter(f"'{text}' is not HOST:PORT", param_hint=option) from None


def _check_is_free(serve: str) -> None:
    """Before hours of samples, and not after."""
    from tracekit.collectors.clock_exchange import ClockServer, address

    try:
        ClockServer(*address(serve)).close()
    except OSError as error:
        raise click.BadParameter(
            f"'{serve}' cannot be served at: {error.strerror or error}. Choose another port, or an address of this "
            "host; 0.0.0.0 is all of them.",
            param_hint="--serve",
        ) from error
