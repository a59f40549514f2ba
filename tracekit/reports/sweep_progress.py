"""A sweep under way: a bar on a terminal, nothing elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class SweepProgress:
    """Replays done of all, on standard error; `done` and `total` are the last that were told."""

    def __init__(self, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self.done, self.total = 0, 0
        self._bar = Progress(
            TextColumn("replays"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("replays", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def tell(self, done: int, total: int) -> None:
        """So many replays of so many are done."""
        self.done, self.total = done, total
        self._bar.update(self._task, completed=done, total=total)
