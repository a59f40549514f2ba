"""`tracekit record`: run a command, record it, merge its spool into one trace."""

from __future__ import annotations

import itertools
import json
import shlex
import sys
import time
from pathlib import Path

import click

from tracekit.commands.options import FORCE
from tracekit.errors import TracekitError


@click.command(
    epilog="Example: tracekit record -o run.parquet -- python my_agent.py",
    context_settings={"allow_interspersed_args": False},
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Trace to write.  [default: trace-<program>-<UTC>.parquet]",
)
@FORCE
@click.option(
    "--hash-key",
    type=click.Path(path_type=Path),
    help="Key file for prompt hashes, shared by several hosts.  [default: your own]",
)
@click.option(
    "--usage",
    type=click.Choice(["keep", "inject"]),
    default="keep",
    show_default=True,
    help="inject: ask for token counts on streams whose client did not say, and hide them from it.",
)
@click.option(
    "--content",
    type=click.Choice(["none", "redacted", "full"]),
    default="none",
    show_default=True,
    help="Keep prompts and answers in the trace: all of them, or without keys and personal data.",
)
@click.option(
    "--power-interval",
    type=click.FloatRange(0.01, 10),
    default=0.05,
    show_default=True,
    help="Seconds between power samples.",
)
@click.option(
    "--engine-metrics",
    multiple=True,
    metavar="auto|off|URL",
    default=("auto",),
    help="Sample the /metrics of vLLM, SGLang, llama.cpp or TGI: of servers on loopback or private addresses that CMD "
    "calls (auto), of none (off), or of URL; may be repeated.  [default: auto]",
)
@click.option(
    "--label", "labels", multiple=True, metavar="NAME=TEXT", help="Note kept in the trace's provenance."
)
@click.option(
    "--proxy",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Record calls on their way through a proxy of ours as well; auto: if CMD is not a Python program.",
)
@click.option(
    "--proxy-variable",
    "proxy_variables",
    multiple=True,
    metavar="NAME",
    help="A variable of your own that holds a base URL, for the proxy.",
)
@click.option(
    "--clock",
    "clocks",
    multiple=True,
    metavar="HOST:PORT",
    help="Ask a host where `tracekit sample --serve` runs for its clock, to merge with its trace.",
)
@click.option("-q", "--quiet", is_flag=True, help="No status line, and nothing said after the run.")
@click.argument("cmd", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD...")
def command(
    output: Path | None,
    force: bool,
    hash_key: Path | None,
    usage: str,
    content: str,
    power_interval: float,
    engine_metrics: tuple[str, ...],
    labels: tuple[str, ...],
    proxy: str,
    proxy_variables: tuple[str, ...],
    clocks: tuple[str, ...],
    quiet: bool,
    cmd: tuple[str, ...],
) -> int:
    """Run CMD and record its LLM calls, tools and GPU power into one trace.

    CMD runs unchanged; its output, signals and exit code are its own. Any OpenAI-compatible client in a
    Python process is recorded, child processes too; others on their way through a proxy (docs/proxy.md). No
    prompt or answer text is stored without --content.
    """
    from tracekit.commands.blas import load_without_threads

    load_without_threads()  # its threads would take the signals that are the supervisor's
    from tracekit import __version__
    from tracekit.collectors.launch import record
    from tracekit.live_spool import LiveSpool
    from tracekit.reports.recording import content_words
    from tracekit.reports.status_line import StatusLine
    from tracekit.spool import remove_spool
    from tracekit.trace import check_output

    output = output or default_output(cmd)
    if str(output) == "-":
        raise click.UsageError("A trace cannot go to stdout, which is CMD's own. Give a file name with -o.")
    check_output(output, force=force)
    by_proxy = _is_by_proxy(proxy, cmd, quiet=quiet)
    spool_directory = fresh_spool(output, force=force)
    if hash_key is not None and not hash_key.exists():
        click.echo(
            f"tracekit: {hash_key} is not there; a new hash key is made. Copy it to the other hosts.",
            err=True,
        )
    if content != "none":
        click.echo(f"tracekit: {output} will hold {content_words(content)}.", err=True)
    line = None if quiet else StatusLine(sys.stderr, LiveSpool(spool_directory))
    try:
        code = record(
            list(cmd),
            spool_directory,
            version=__version__,
            hash_key=hash_key,
            power_interval_s=power_interval,
            engine_metrics=_metrics_pages(engine_metrics),
            ask_clocks=clocks,
            labels=labels_of(labels),
            choices={"usage": usage, "content": content},
            proxy_variables=proxy_variables if by_proxy else None,
            on_tick=line.tick if line else lambda: None,
        )
    except TracekitError:
        remove_spool(spool_directory)
        raise
    finally:
        if line:
            line.close()
    if by_proxy and not quiet:
        _say_if_unused(spool_directory)
    _finish(spool_directory, output, code, force=force, quiet=quiet)
    return code


def _is_by_proxy(proxy: str, cmd: tuple[str, ...], *, quiet: bool) -> bool:
    """Whether the run gets the proxy; where it is only fitting and missing, one line says so."""
    from tracekit.collectors.proxy.beside import is_installed
    from tracekit.collectors.proxy.command import is_python_command
    from tracekit.errors import PROXY_INSTALL, ProxyMissing

    if proxy == "never" or (proxy == "auto" and is_python_command(cmd)):
        return False
    if is_installed():
        return True
    if proxy == "always":
        raise ProxyMissing.asked_for()
    if not quiet:
        click.echo(
            f"tracekit: {cmd[0]} is no Python program, and without the proxy only Python processes in it are "
            f"recorded: {PROXY_INSTALL}",
            err=True,
        )
    return False


def _say_if_unused(spool_directory: Path) -> None:
    from tracekit.spool import RUN_FILE

    if json.loads((spool_directory / RUN_FILE).read_bytes()).get("proxy") == []:
        click.echo(
            "tracekit: nothing went through the proxy, because no base-URL variable is set and no key says which "
            "server CMD calls. Set OPENAI_BASE_URL, say, to its address; docs/proxy.md lists the variables.",
            err=True,
        )


def default_output(cmd: tuple[str, ...]) -> Path:
    """trace-<program>-<UTC>.parquet in the current folder, numbered where that is taken."""
    stem = Path(_program(cmd)).stem or "command"
    name = f"trace-{stem}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    for number in itertools.count(1):
        path = Path(f"{name}.parquet" if number == 1 else f"{name}-{number}.parquet")
        if not path.exists() and not path.with_name(path.name + ".spool").exists():
            return path
    raise AssertionError


def _program(cmd: tuple[str, ...]) -> str:
    """The script that an interpreter was given, else the command itself."""
    script = next((word for word in cmd[1:] if word.endswith((".py", ".sh", ".js"))), None)
    return script or cmd[0]


def _metrics_pages(given: tuple[str, ...]) -> list[str] | None:
    """The pages named; empty for the servers that the command calls, None for none."""
    from tracekit.collectors.engine.endpoint import Endpoint

    words = set(given)
    if words & {"auto", "off"}:
        if len(words) > 1:
            raise click.BadParameter(
                "choose auto, off, or pages by their URLs", param_hint="--engine-metrics"
            )
        return [] if "auto" in words else None
    for url in given:
        try:
            Endpoint.of_url(url)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--engine-metrics") from error
    return list(given)


def labels_of(labels: tuple[str, ...]) -> dict[str, str]:
    """What `--label NAME=TEXT` said."""
    pairs = [label.partition("=") for label in labels]
    for name, sign, _text in pairs:
        if not sign or not name:
            raise click.BadParameter(f"'{name}' is not NAME=TEXT", param_hint="--label")
    return {name: text for name, _sign, text in pairs}


def fresh_spool(output: Path, *, force: bool) -> Path:
    """The folder beside the trace-to-be that records go to; not there, or no longer."""
    from tracekit.errors import OutputRefused
    from tracekit.spool import is_live, remove_spool

    spool_directory = output.with_name(output.name + ".spool")
    if is_live(spool_directory):
        raise OutputRefused.live(spool_directory)
    if spool_directory.exists():
        if not force:
            raise OutputRefused.unfinished(spool_directory)
        remove_spool(spool_directory)
    return spool_directory


def _finish(spool_directory: Path, output: Path, code: int, *, force: bool, quiet: bool) -> None:
    """Merges and reports; whatever fails here, the spool stays and the child's exit code stands."""
    from tracekit import __version__
    from tracekit.assembly.merge import merge_spool
    from tracekit.reports.recording import recording_lines
    from tracekit.spool import remove_spool

    try:
        merge_spool(
            spool_directory,
            output,
            software_version=__version__,
            exit_code=code,
            recovered=False,
            force=force,
        )
    except Exception as error:
        reason = (
            str(error) if isinstance(error, OSError | TracekitError) else f"{type(error).__name__}: {error}"
        )
        click.echo(
            f"tracekit: the recording could not be turned into {output} ({reason}). What was recorded lies in "
            f"{spool_directory}. Free space or fix the folder, then type "
            f"`tracekit recover {shlex.quote(str(spool_directory))}`.",
            err=True,
        )
        return
    remove_spool(spool_directory)
    if not quiet:
        for line in recording_lines(output):
            print(line, file=sys.stderr)
