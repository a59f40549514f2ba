"""A measurement under way: a bar on a terminal, nothing elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class MeasuringProgress:
    """Seconds of the budget, points, and the one that runs, on standard error."""

    def __init__(self, budget_s: float, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.fields[points]}"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn(f"of {budget_s:.0f} s"),
            TextColumn("{task.fields[words]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID = self._bar.add_task("points", total=1, points="", words="preparing")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def tell(self, done: int, total: int, words: str) -> None:
        """So many points of so many are done, and this one runs."""
        self._bar.update(
            self._task, completed=done, total=total, points=f"{done} / {total} points", words=words
        )
