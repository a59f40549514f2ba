"""The one line at the foot of the terminal while an agent is recorded.

The agent writes to the same terminal, so the line has a row of its own: the terminal scrolls only what is above.
It is given back as soon as the agent takes the terminal for itself (an editor, a full-screen program, a prompt that
reads single keys), and it never appears where the terminal belongs to somebody else.
"""

from __future__ import annotations

import contextlib
import os
import termios
import time
from typing import TextIO

from tracekit.live_spool import LiveSpool, Standing

PERIOD_S = 0.5
FEWEST_ROWS = 8
_SAVE, _RESTORE, _DOWN, _UP = "\x1b7", "\x1b8", "\x1bD", "\x1b[1A"


class StatusLine:
    """Drawn by `tick`, taken away by `close`; whatever goes wrong, it goes away."""

    def __init__(self, stream: TextIO, spool: LiveSpool) -> None:
        self._stream = stream
        self._spool = spool
        self._began_s = time.monotonic()
        self._due_s = self._began_s + PERIOD_S
        self._rows = 0
        self._is_off = not is_shown_on(stream)

    def tick(self) -> None:
        """Draw the line anew, if it is time."""
        now_s = time.monotonic()
        if self._is_off or now_s < self._due_s:
            return
        self._due_s = now_s + PERIOD_S
        try:
            if not _is_ours(self._stream.fileno()):
                self.close()
                self._due_s = now_s + 4 * PERIOD_S
                return
            standing = self._spool.standing(time.time_ns())
            self._draw(status_text(standing, now_s - self._began_s))
        except (OSError, ValueError, termios.error):
            self._is_off = True

    def close(self) -> None:
        """Take the line away and give the row back."""
        if self._rows:
            rows, self._rows = self._rows, 0
            with contextlib.suppress(OSError, ValueError):
                self._write(f"{_SAVE}\x1b[r\x1b[{rows};1H\x1b[2K{_RESTORE}")

    def _draw(self, text: str) -> None:
        size = os.get_terminal_size(self._stream.fileno())
        if size.lines < FEWEST_ROWS:
            self.close()
            return
        reserve = ""
        if (
            size.lines != self._rows
        ):  # one row down and up again: the cursor may stand on the row that is taken
            reserve = f"{_DOWN}{_UP}{_SAVE}\x1b[1;{size.lines - 1}r{_RESTORE}"
            self._rows = size.lines
        shown = text[: size.columns - 1]
        if "NO_COLOR" not in os.environ:
            shown = f"\x1b[2m{shown}\x1b[22m"
        self._write(f"{reserve}{_SAVE}\x1b[{size.lines};1H\x1b[2K{shown}{_RESTORE}")

    def _write(self, text: str) -> None:
        os.write(self._stream.fileno(), text.encode())  # one write: the agent's own never falls in between


def status_text(standing: Standing, elapsed_s: float) -> str:
    """The line's words; what is unknown is left out."""
    running = f" ({standing.calls_running} running)" if standing.calls_running else ""
    parts = [f"{standing.calls:,} call{'' if standing.calls == 1 else 's'}{running}"]
    if standing.output_tokens_per_s is not None:
        parts.append(f"{standing.output_tokens_per_s:,.0f} tokens/s")
    if standing.tools_running:
        parts.append(f"{standing.tools_running} tool{'' if standing.tools_running == 1 else 's'} running")
    if standing.power_w is not None:
        parts.append(f"{standing.power_w:,.0f} W")
    minutes, seconds = divmod(int(elapsed_s), 60)
    return f"tracekit: {', '.join(parts)}, {minutes}:{seconds:02d}"


def is_shown_on(stream: TextIO) -> bool:
    """Whether the stream is a terminal that moves its cursor."""
    try:
        return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb" and "CI" not in os.environ
    except ValueError:
        return False


def _is_ours(terminal: int) -> bool:
    """Whether we stand in the terminal's foreground and it takes whole lines, as no full-screen program does."""
    if os.tcgetpgrp(terminal) != os.getpgrp():
        return False
    modes: int = termios.tcgetattr(terminal)[3]
    return bool(modes & termios.ICANON and modes & termios.ECHO)
