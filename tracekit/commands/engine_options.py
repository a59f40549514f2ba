"""Options that say where replays run, and whether a command that was cut off goes on."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tracekit.commands.options import Command
from tracekit.commands.reporting import STDOUT, shown_command

if TYPE_CHECKING:
    from tracekit.analyzers.workers.engine import Engine
    from tracekit.analyzers.workers.journal import Journal

ENGINES = ("local", "dask", "ray")
CHANGE_NO_NUMBER = ("--workers", "--threads", "--engine", "--address")
NOR_DO = ("--resume", "--force")


def command_for_numbers() -> str:
    """The line that was typed without what changes no number: a resumed run writes the same bytes."""
    return shown_command(with_values=CHANGE_NO_NUMBER, flags=NOR_DO)


@dataclass(frozen=True)
class EngineChoice:
    """What the user said about the workers; `results` are what is kept of them: points, replays."""

    results: str
    workers: int | None
    engine: str
    address: str | None
    resume: bool

    def check(self, output: Path | None, *, force: bool) -> None:
        """Raises click.UsageError if options do not go together, JournalRefused if something unfinished is there."""
        from tracekit.errors import JournalRefused

        if self.address is not None and self.engine == "local":
            raise click.UsageError("--address is of a cluster; say --engine dask or --engine ray as well.")
        journal = self.journal_path(output)
        if self.resume and journal is None:
            raise click.UsageError(
                f"--resume goes on with the {self.results} kept beside -o; give the file that was to be written."
            )
        if journal is not None and journal.exists() and not self.resume and not force:
            raise JournalRefused.unfinished(journal)

    def journal_path(self, output: Path | None) -> Path | None:
        """Where finished results are kept; None where no file is written."""
        from tracekit.analyzers.workers.journal import Journal

        return None if output is None or str(output) == STDOUT else Journal.beside(output, self.results)

    def goes_on(self, output: Path | None) -> bool:
        """Whether there is something unfinished to go on with; what was written of it is then written anew."""
        path = self.journal_path(output)
        return self.resume and path is not None and path.exists()

    def journal(self, output: Path | None) -> Journal | None:
        """What is kept, or will be; empty unless --resume. Raises JournalRefused."""
        from tracekit.analyzers.workers.journal import Journal

        path = self.journal_path(output)
        if path is None:
            return None
        if not self.resume:
            path.unlink(missing_ok=True)
        return Journal(path)

    def forget(self, output: Path | None) -> None:
        """What is kept goes: the output has everything."""
        path = self.journal_path(output)
        if path is not None:
            path.unlink(missing_ok=True)

    @contextmanager
    def opened(self) -> Generator[Engine, None, None]:
        """The workers, for as long as the `with` lasts. Raises EngineUnusable."""
        from tracekit.analyzers.workers.engine import engine_named, usable_cores

        engine = engine_named(self.engine, self.workers or usable_cores(), self.address)
        try:
            yield engine
        finally:
            engine.close()


def engine_options(results: str, *also_workers: str) -> Callable[[Command], Command]:
    """The options of a command that keeps `results`; the command receives one `where: EngineChoice`."""
    names = ("workers", "engine", "address", "resume")

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def wrapped(**values: Any) -> Any:
            where = EngineChoice(results, *(values.pop(name) for name in names))
            return command(where=where, **values)

        options = (
            click.option(
                "--workers",
                *also_workers,
                "workers",
                type=click.IntRange(1, 4096),
                help="Replays at once.  [default: one a core]",
            ),
            click.option(
                "--engine",
                type=click.Choice(ENGINES),
                default="local",
                show_default=True,
                help="Where replays run: threads here, or a cluster of Dask or Ray (extras dask, ray).",
            ),
            click.option("--address", help="Of the cluster.  [default: one is started on this machine]"),
            click.option(
                "--resume",
                is_flag=True,
                help=f"Go on with the {results} of a run that was cut off; needs -o.",
            ),
        )
        for option in reversed(options):
            wrapped = option(wrapped)
        return wrapped  # type: ignore[return-value]

    return decorate
