"""What a session's time goes to: LLM only, tool only, both at once, neither."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tracekit.analyzers.columns import Flags
from tracekit.analyzers.kernels.layout import Ints


class Shares(NamedTuple):
    """Nanoseconds per session, each of shape (s,); the four sum to the session's length."""

    llm_ns: Ints
    tool_ns: Ints
    overlap_ns: Ints
    gap_ns: Ints

    def of(self, sessions: Flags) -> Shares:
        """Those of the sessions that `sessions`, of shape (s,), is true for."""
        return Shares(*(part[sessions] for part in self))

    def totals(self) -> dict[str, float | None]:
        """Shares of all session time (sums over sums): llm, tool, overlap, gap; None without any time."""
        sums = [int(part.sum()) for part in self]
        whole = sum(sums)
        return {
            name: part / whole if whole else None
            for name, part in zip(("llm", "tool", "overlap", "gap"), sums, strict=True)
        }


def shares(
    session: Ints, is_tool: Ints, start_ns: Ints, end_ns: Ints, session_start_ns: Ints, session_end_ns: Ints
) -> Shares:
    """The shares of each session; windows are unions, so parallel tools count once.

    Parameters
    ----------
    session, is_tool, start_ns, end_ns : shape (n,), one per step; `session` is an index below s; `is_tool` 0 or 1.
    session_start_ns, session_end_ns : shape (s,).
    """
    count = len(session_start_ns)
    owner = np.concatenate([session, session])
    time_ns = np.concatenate([start_ns, end_ns])
    change = np.concatenate([np.ones_like(start_ns), -np.ones_like(end_ns)])
    tool = np.concatenate([is_tool, is_tool])
    order = np.lexsort((time_ns, owner))
    owner, time_ns, change, tool = owner[order], time_ns[order], change[order], tool[order]
    open_calls = np.cumsum(change * (1 - tool))
    open_tools = np.cumsum(change * tool)
    span_ns = np.append(np.diff(time_ns), 0)
    span_ns[np.append(np.diff(owner) != 0, True)] = 0

    def sum_where(mask: np.ndarray) -> Ints:
        return np.bincount(owner[mask], weights=span_ns[mask], minlength=count).astype(np.int64)

    llm = sum_where((open_calls > 0) & (open_tools == 0))
    tools = sum_where((open_calls == 0) & (open_tools > 0))
    both = sum_where((open_calls > 0) & (open_tools > 0))
    return Shares(llm, tools, both, session_end_ns - session_start_ns - llm - tools - both)


def union_ns(start_ns: Ints, end_ns: Ints) -> int:
    """Length of the union of the intervals."""
    if not len(start_ns):
        return 0
    order = np.argsort(start_ns, kind="stable")
    start_ns, end_ns = start_ns[order], end_ns[order]
    reach_ns = np.maximum.accumulate(end_ns)
    covered_until_ns = np.append(start_ns[0], reach_ns[:-1])
    return int(np.maximum(reach_ns - np.maximum(start_ns, covered_until_ns), 0).sum())
