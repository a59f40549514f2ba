"""Where in its answer an LLM call was at some moment of the recording."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from tracekit.analyzers.columns import Column, float_lists, ints
from tracekit.analyzers.kernels.layout import Ints
from tracekit.schema import Kind
from tracekit.trace import Trace


class StreamPosition(NamedTuple):
    """Output tokens emitted, and when the latest of them was; (k,). Before the first token: 0, the call's start."""

    token: Ints
    since_ns: Ints


def stream_positions(trace: Trace, row_id: Ints, at_ns: Ints) -> StreamPosition:
    """Where the calls `row_id` (k,) of the trace, which may repeat, were at `at_ns` (k,), no earlier than their starts.

    Chunks count as equally many tokens each. Without their times tokens count as evenly spread from the first one
    to the last, or to the call's end. A call whose first token is unknown has shown nothing before its end.
    """
    found = StreamPosition(np.zeros(len(row_id), np.int64), np.zeros(len(row_id), np.int64))
    for calls in trace.pieces(Kind.LLM_CALL, _COLUMNS) if len(row_id) else ():
        place = _places(ints(calls, "row_id").values, row_id)
        here = np.flatnonzero(place >= 0)
        if len(here):
            positions = _positions_in(calls.take(place[here]), at_ns[here])
            found.token[here], found.since_ns[here] = positions
    return found


_COLUMNS = (
    "row_id",
    "start_ns",
    "end_ns",
    "first_token_ns",
    "last_token_ns",
    "output_tokens",
    "chunk_gap_us",
)


def _places(rows: Ints, wanted: Ints) -> Ints:
    """Index of each of `wanted` in `rows`; -1 if it is not there."""
    order = np.argsort(rows)
    found = order[np.minimum(np.searchsorted(rows[order], wanted), len(rows) - 1)]
    return np.where(rows[found] == wanted, found, -1)


def _positions_in(calls: pa.Table, at_ns: Ints) -> StreamPosition:
    start_ns = ints(calls, "start_ns").values
    first_ns = ints(calls, "first_token_ns")
    streams = first_ns.known & (first_ns.values >= start_ns) & (first_ns.values <= at_ns)
    has_chunks = np.diff(float_lists(calls, "chunk_gap_us").offsets) > 0
    evenly, by_chunk = _evenly(calls, first_ns, at_ns), _by_chunk(calls, first_ns, at_ns)
    token = np.where(has_chunks, by_chunk.token, evenly.token)
    since_ns = np.where(has_chunks, by_chunk.since_ns, evenly.since_ns)
    return StreamPosition(np.where(streams, token, 0), np.where(streams, since_ns, start_ns))


def _output_tokens(calls: pa.Table) -> Ints:
    return np.maximum(1, ints(calls, "output_tokens").filled(1))


def _evenly(calls: pa.Table, first_ns: Column, at_ns: Ints) -> StreamPosition:
    last_ns = ints(calls, "last_token_ns").filled(ints(calls, "end_ns").filled(first_ns.values))
    steps = _output_tokens(calls) - 1
    span_ns = np.maximum(last_ns - first_ns.values, 1)
    done = np.clip((at_ns - first_ns.values) / span_ns, 0.0, 1.0)
    step = np.floor(steps * done)
    since_ns = first_ns.values + np.ceil(step / np.maximum(steps, 1) * span_ns).astype(np.int64)
    return StreamPosition(1 + step.astype(np.int64), np.minimum(since_ns, at_ns))


def _by_chunk(calls: pa.Table, first_ns: Column, at_ns: Ints) -> StreamPosition:
    gaps = float_lists(calls, "chunk_gap_us")
    first, end = gaps.offsets[:-1], gaps.offsets[1:]
    gap_ns = 1000.0 * np.maximum(np.nan_to_num(gaps.values), 0.0)
    came_ns = np.concatenate(
        [[0.0], np.cumsum(gap_ns, dtype=np.float64)]
    )  # since all before, every list's gaps
    reached = np.searchsorted(came_ns, came_ns[first] + (at_ns - first_ns.values), side="right") - 1
    chunk = np.clip(reached, first, end)
    since_ns = first_ns.values + (came_ns[chunk] - came_ns[first]).astype(np.int64)
    token = _output_tokens(calls) * (chunk - first + 1) // (end - first + 1)
    return StreamPosition(np.maximum(1, token), np.minimum(since_ns, at_ns))
