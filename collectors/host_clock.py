"""What this host knows of its clocks: whether they were stepped, slept through, and how well the network keeps them."""

from __future__ import annotations

import contextlib
import ctypes
import struct
import time
from pathlib import Path
from typing import Any

from tracekit.collectors.inside.clock import Clock

REPEAT_SECONDS = 10.0
NOTICED_NS = 1_000_000
"""A step or a sleep longer than this is written at once."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_UNSYNCHRONIZED = 0x40
_TIMEX = struct.Struct("@iqqqqi")
_TIMEX_BYTES = 512


class HostClock:
    """Readings of the wall clock and of the time slept, against the recording's clock, which knows neither."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._written: dict[str, Any] | None = None
        self._due_s = 0.0

    def news(self) -> tuple[int, dict[str, Any]] | None:
        """The instant and the keys of a `clock` record, if one is due: every 10 s, and after a step or a sleep."""
        ns, values = self._read()
        if self._written is not None and time.monotonic() < self._due_s and not self._differs(values):
            return None
        self._due_s = time.monotonic() + REPEAT_SECONDS
        self._written = values
        return ns, values | synchronization()

    def _read(self) -> tuple[int, dict[str, Any]]:
        ns = self._clock.now_ns()
        wall_ns, slept_ns = time.time_ns(), _slept_ns()
        return ns, {"wall_offset_ns": wall_ns - ns, "slept_ns": slept_ns}

    def _differs(self, values: dict[str, Any]) -> bool:
        known = self._written or {}
        return any(
            values[name] is not None
            and known.get(name) is not None
            and abs(values[name] - known[name]) > NOTICED_NS
            for name in ("wall_offset_ns", "slept_ns")
        )


def boot_id() -> str | None:
    """What tells this start of this host from every other: within it all share one monotonic clock."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return None


def synchronization() -> dict[str, Any]:
    """Whether the kernel's clock follows others, and its own bound on the error (Linux's adjtimex).

    Returns
    -------
    `synchronized` and `max_error_ns`; both None where the kernel does not say.
    """
    unknown: dict[str, Any] = {"synchronized": None, "max_error_ns": None}
    with contextlib.suppress(AttributeError, OSError):
        buffer = ctypes.create_string_buffer(_TIMEX_BYTES)  # modes = 0: read, which everybody may
        if ctypes.CDLL(None).adjtimex(buffer) < 0:
            return unknown
        _modes, _offset, _frequency, max_error_us, _estimated, status = _TIMEX.unpack_from(buffer)
        if status & _UNSYNCHRONIZED:
            return {"synchronized": False, "max_error_ns": None}
        return {"synchronized": True, "max_error_ns": max_error_us * 1000}
    return unknown


def _slept_ns() -> int | None:
    """How long the host was suspended since its start; the monotonic clock stands still meanwhile."""
    boot_time = getattr(time, "CLOCK_BOOTTIME", None)
    if boot_time is None:
        return None
    return time.clock_gettime_ns(boot_time) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
