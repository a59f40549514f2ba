"""The line on a terminal that says how many replays were run."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

LEAST_PAUSE_S = 0.1


class Progress:
    """One line on stderr, rewritten in place; nothing where stderr is no terminal."""

    def __init__(self) -> None:
        self._shows = sys.stderr is not None and sys.stderr.isatty()
        self._began = self._told = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shows:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def count(self, replays: int, doing: str) -> None:
        """Say that so many replays were run, and what is being looked for."""
        now = time.monotonic()
        if not self._shows or now - self._told < LEAST_PAUSE_S:
            return
        self._told = now
        sys.stderr.write(
            f"\r\x1b[K{doing}: {replays:,} replays, {now - self._began:.0f} s; Ctrl-C ends with the best so far"
        )
        sys.stderr.flush()
