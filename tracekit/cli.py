"""The `tracekit` command: a registry of commands and the one place where errors become exit codes.

`--help` reads the registry and imports no command; a command imports what it needs inside its body.
Exit codes: 0 ok; 1 a finding or a broken budget; 2 usage or input; 125 recording failed before it began;
`record` otherwise ends with its child's code; 130 on Ctrl-C.
"""

from __future__ import annotations

import atexit
import contextlib
import difflib
import gc
import importlib
import os
import sys
import threading
from typing import NamedTuple, NoReturn

import click

from tracekit.errors import TracekitError

OBJECTS_PER_COLLECTION = 50_000
"""Imports make 300,000 objects that live on; to look through them after every 700, as Python does, takes 0.2 s."""


class Row(NamedTuple):
    """One command: where it is, and its line in the help."""

    module: str
    help: str


REGISTRY: dict[str, Row] = {
    "record": Row("tracekit.commands.record", "Run a command and record its LLM calls, tools and GPU power."),
    "analyze": Row("tracekit.commands.analyze", "Show where a trace's time, tokens, joules and dollars go."),
    "replay": Row("tracekit.commands.replay", "Replay a trace on a GPU fleet that may not exist yet."),
    "size": Row("tracekit.commands.size", "Find the fleet that serves a rate within limits, and its price."),
    "compare": Row(
        "tracekit.commands.compare",
        "Compare workflows: latency, energy, idle and cost as times a baseline.",
    ),
    "diff": Row(
        "tracekit.commands.diff", "Show what changed between two documents; fail where a budget is broken."
    ),
    "sweep": Row(
        "tracekit.commands.sweep", "Replay every combination of what-ifs; show which of them none beats."
    ),
    "validate": Row(
        "tracekit.commands.validate",
        "Hold the model of step time and power to measured rows: errors and a plot.",
    ),
    "calibrate": Row(
        "tracekit.commands.calibrate",
        "Measure the GPU at hand, or take measured points, as a calibration for replays.",
    ),
    "import": Row(
        "tracekit.commands.import_", "Turn public traces and other tools' recordings into a trace."
    ),
    "export": Row("tracekit.commands.export", "Write a trace in another tool's format."),
    "info": Row("tracekit.commands.info", "Show what a trace holds and what it did not see."),
    "sample": Row("tracekit.commands.sample", "Record the power of this host's GPUs alone."),
    "merge": Row("tracekit.commands.merge", "Join traces of several hosts on one clock."),
    "recover": Row("tracekit.commands.recover", "Turn a recording that was cut off into a trace."),
    "demo": Row(
        "tracekit.commands.demo", "Record a real agent on a real engine here, and replay it on three GPUs."
    ),
    "doctor": Row("tracekit.commands.doctor", "Check what can be recorded on this machine."),
}


class Commands(click.Group):
    """A group that knows its commands' names and help lines without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(REGISTRY)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        row = REGISTRY.get(cmd_name)
        if row is None:
            return None
        command: click.Command = importlib.import_module(row.module).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in REGISTRY and not name.startswith("-"):
            near = difflib.get_close_matches(name, REGISTRY, 1)
            hint = f"Did you mean '{near[0]}'?" if near else f"Commands are: {', '.join(REGISTRY)}."
            ctx.fail(f"There is no command '{name}'. {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, row.help) for name, row in REGISTRY.items()])


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with `tracekit demo`, or `tracekit record -- python my_agent.py`. A TRACE that is read is a file or "
    "a URL, such as s3://bucket/run.parquet.",
)
@click.version_option(package_name="tracekit-replay", prog_name="tracekit")
@click.option("--debug", is_flag=True, expose_value=False, help="Show a traceback where an error has one.")
def tracekit() -> None:
    """Record an LLM agent, replay it on a GPU fleet, see where time, joules and dollars go."""


def main() -> NoReturn:
    """Runs the command line and ends the process with the documented exit code."""
    gc.set_threshold(OBJECTS_PER_COLLECTION)
    try:
        code = tracekit.main(prog_name="tracekit", standalone_mode=False)
        _flush()
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        code = 130
    except SystemExit as ended:
        code = ended.code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        if "--debug" in sys.argv[1:2]:
            raise
        code = _explain(error)
    _end(code if isinstance(code, int) else 0)


def _end(code: int) -> NoReturn:
    """Ends the process without taking the interpreter apart, which takes 0.3 s once numba is loaded.

    Not where someone waits for that end: a thread, a debugger, a profiler.
    """
    if threading.active_count() > 1 or sys.gettrace() or sys.getprofile() or sys.flags.inspect:
        sys.exit(code)
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError):
        _flush()
    os._exit(code)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # a process may be started with either closed
            stream.flush()


_WAY_OUT = "Free space on that disk, or choose another place with -o."


def _explain(error: Exception) -> int:
    """Says on stderr what went wrong; the exit code. `record` failed before its command ran: 125."""
    code = 2
    if isinstance(error, click.ClickException):
        error.show()
    elif isinstance(error, TracekitError):
        click.echo(f"tracekit: {error}", err=True)
        code = error.exit_code
    elif isinstance(error, OSError):
        click.echo(f"tracekit: {error.filename or 'output'}: {error.strerror or error}. {_WAY_OUT}", err=True)
    elif isinstance(error, MemoryError):
        click.echo("tracekit: this needs more memory than there is. Ask for fewer --sessions.", err=True)
    else:
        click.echo(
            f"tracekit: an error of our own: {type(error).__name__}: {error}. Type `tracekit --debug ...` with the "
            "same words for its traceback, and report it, please.",
            err=True,
        )
    return 125 if code == 2 and _command_asked_for() == "record" else code


def _command_asked_for() -> str | None:
    return next((word for word in sys.argv[1:] if not word.startswith("-")), None)
