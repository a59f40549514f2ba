"""A recording under way: what its growing spool says at this moment, read without holding it up."""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path
from typing import NamedTuple

from tracekit.spool import Record

RATE_WINDOW_NS = 10_000_000_000
_POWER = b'{"t":"power"'
_READ = (b'{"t":"attempt_start"', b'{"t":"attempt_end"', b'{"t":"tool_start"', b'{"t":"tool_end"', _POWER)
_LARGEST_READ_BYTES = 4 * 1024 * 1024  # of one file at one look; the rest waits for the next


class Standing(NamedTuple):
    """Where the recording stands.

    Attributes
    ----------
    calls : LLM requests begun.
    calls_running : those that have not ended.
    tools_running : marked tools that have not ended.
    output_tokens_per_s : of calls that ended lately, over the last ten seconds; None if none told its tokens.
    power_w : sum of the GPUs' last samples; None without any.
    """

    calls: int
    calls_running: int
    tools_running: int
    output_tokens_per_s: float | None
    power_w: float | None


class _Generation(NamedTuple):
    """The tokens of one call and when they were generated."""

    start_ns: int
    end_ns: int
    tokens: int


class LiveSpool:
    """Follows the files of a spool directory; each `standing` reads only what is new."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._read_bytes: dict[Path, int] = {}
        self._calls: dict[str, int] = {}
        self._tools: set[str] = set()
        self._call_count = 0
        self._generations: deque[_Generation] = deque()
        self._power_w: dict[object, float | None] = {}
        self._takers = {
            "attempt_start": self._begin_call,
            "attempt_end": self._end_call,
            "tool_start": self._begin_tool,
            "tool_end": self._end_tool,
            "power": self._sample,
        }

    def standing(self, now_ns: int) -> Standing:
        """Where the recording stands at `now_ns` of its own clock."""
        for file in self._directory.glob("*.jsonl"):
            self._follow(file)
        watts = [watts for watts in self._power_w.values() if watts is not None]
        return Standing(
            calls=self._call_count,
            calls_running=len(self._calls),
            tools_running=len(self._tools),
            output_tokens_per_s=self._rate(now_ns),
            power_w=sum(watts) if watts else None,
        )

    def _follow(self, file: Path) -> None:
        start = self._read_bytes.get(file, 0)
        with file.open("rb") as stream:
            stream.seek(start)
            data = stream.read(_LARGEST_READ_BYTES)
        whole = data.rfind(b"\n") + 1
        if not whole and len(data) == _LARGEST_READ_BYTES:
            whole = len(data)  # one endless line is no record of interest
        self._read_bytes[file] = start + whole
        lines = [line for line in data[:whole].splitlines() if line.startswith(_READ)]
        samples = [line for line in lines if line.startswith(_POWER)]
        for line in [*(line for line in lines if not line.startswith(_POWER)), *samples[-64:]]:
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            record = json.loads(line)
            self._takers[record["t"]](record)
        except (ValueError, KeyError, TypeError, AttributeError):  # torn, or not as a writer of ours has it
            return

    def _begin_call(self, record: Record) -> None:
        self._call_count += 1
        self._calls[record["id"]] = record["ns"]

    def _end_call(self, record: Record) -> None:
        start_ns = self._calls.pop(record["id"], None)
        tokens = ((record.get("response") or {}).get("usage") or {}).get("output")
        if start_ns is not None and tokens:
            first_ns = record.get("first_token_ns") or start_ns
            self._generations.append(_Generation(first_ns, max(record["ns"], first_ns + 1), tokens))

    def _begin_tool(self, record: Record) -> None:
        self._tools.add(record["id"])

    def _end_tool(self, record: Record) -> None:
        self._tools.discard(record["id"])

    def _sample(self, record: Record) -> None:
        self._power_w[record.get("gpu_uuid") or record.get("gpu_index")] = record.get("power_w")

    def _rate(self, now_ns: int) -> float | None:
        window_ns = now_ns - RATE_WINDOW_NS
        while self._generations and self._generations[0].end_ns < window_ns:
            self._generations.popleft()
        if not self._generations:
            return None
        tokens = sum(
            generation.tokens
            * max(0, generation.end_ns - max(generation.start_ns, window_ns))
            / (generation.end_ns - generation.start_ns)
            for generation in self._generations
        )
        return tokens / (RATE_WINDOW_NS / 1e9)
