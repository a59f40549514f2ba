"""Rows of a trace that cannot be: refused by name, before a replay makes something of them."""

from __future__ import annotations

import numpy as np

from tracekit.analyzers.columns import Flags
from tracekit.analyzers.kernels.layout import Ints
from tracekit.errors import TraceUnreadable
from tracekit.limits import LONGEST_NS, MOST_CALL_TOKENS
from tracekit.location import Location


def refuse_bad_spans(path: Location, row_id: Ints, start_ns: Ints, end_ns: Ints) -> None:
    """Raises TraceUnreadable if a row (n,) is before 1970, ends before it starts, or is a century after others."""
    _refuse(path, row_id, start_ns < 0, "it starts before 1970 (start_ns is negative)")
    _refuse(path, row_id, end_ns < start_ns, "it ends before it starts (end_ns < start_ns)")
    if len(row_id):
        late = end_ns - start_ns.min() > LONGEST_NS
        _refuse(
            path,
            row_id,
            late,
            "it ends more than 100 years after the first row starts (are its times in ns?)",
        )


def refuse_bad_tokens(path: Location, row_id: Ints, input_tokens: Ints, output_tokens: Ints) -> None:
    """Raises TraceUnreadable if a call (n,) has a negative count, or more than MOST_CALL_TOKENS in and out together."""
    _refuse(path, row_id, np.minimum(input_tokens, output_tokens) < 0, "it has a negative number of tokens")
    too_many = input_tokens > MOST_CALL_TOKENS - output_tokens  # their sum may be more than int64 holds
    _refuse(
        path, row_id, too_many, f"its prompt and output have more than {MOST_CALL_TOKENS:,} tokens together"
    )


def refuse_unknown_starts(path: Location, row_id: Ints, known: Flags) -> None:
    """Raises TraceUnreadable if a row (n,) has no start."""
    _refuse(path, row_id, ~known, "it has no start_ns")


def refuse_unknown_sessions(path: Location, row_id: Ints, session_id: Ints, sessions: Ints) -> None:
    """Raises TraceUnreadable if a step (n,) names a session that is not among `sessions` (s,)."""
    unknown = ~np.isin(session_id, sessions)
    named = int(session_id[np.argmax(unknown)]) if unknown.any() else None
    _refuse(path, row_id, unknown, f"its session_id is {named}, and no session has that row_id")


def refuse_repeated_rows(path: Location, row_id: Ints) -> None:
    """Raises TraceUnreadable if two of the rows (n,) have the same row_id."""
    ordered = np.sort(row_id)
    repeated = ordered[1:] == ordered[:-1]
    _refuse(path, ordered[1:], repeated, "its row_id is that of another row too")


def _refuse(path: Location, row_id: Ints, is_bad: Flags, fault: str) -> None:
    if np.any(is_bad):
        first = int(row_id[np.argmax(is_bad)])
        raise TraceUnreadable.bad_row(path, first, fault, int(np.count_nonzero(is_bad)) - 1)
