"""The time all processes of one host agree on: the monotonic clock plus the recording's one offset."""

from __future__ import annotations

from time import monotonic_ns, time_ns


class Clock:
    """Unix time that never jumps.

    Parameters
    ----------
    anchor : "wall_ns:monotonic_ns", as the supervisor read them together; without it, this process's own.
    """

    def __init__(self, anchor: str | None = None) -> None:
        try:
            wall, monotonic = (int(part) for part in (anchor or "").split(":"))
        except ValueError:
            wall, monotonic = time_ns(), monotonic_ns()
        self.offset_ns = wall - monotonic

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""
        return monotonic_ns() + self.offset_ns
