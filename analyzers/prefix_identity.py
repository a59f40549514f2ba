"""Which earlier call's text each prompt begins with, and for how many tokens: what a prefix cache can find.

Best evidence first: the columns `prefix_call_id` and `prefix_tokens`; else the chained hashes of parts and byte
blocks, bytes taken as tokens by the call's own input_tokens / prompt_bytes. An assistant part right after an
earlier call's whole prompt is that call's output. A call without either shares nothing that is known.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tracekit.analyzers.columns import ints
from tracekit.analyzers.kernels.layout import NOBODY, Ints
from tracekit.errors import TraceUnreadable
from tracekit.schema import Kind
from tracekit.trace import Trace

_NAMED = ("row_id", "start_ns", "prefix_call_id", "prefix_tokens")
_HASHED = (
    "row_id", "start_ns", "input_tokens", "prompt_bytes", "block_bytes", "block_hashes", "part_hashes",
    "part_end_bytes", "part_roles",
)  # fmt: skip


def prefix_identity(trace: Trace, call_row_id: Ints) -> tuple[Ints, Ints]:
    """For the calls of these rows (n,): the row_id of the call each prompt goes on from, and the tokens shared.

    NOBODY and 0 where nothing is known; every parent is one of the rows, and earlier than its child.

    Raises
    ------
    TraceUnreadable : a call names a row as its prefix that is no call or not earlier, or shares less than nothing.
    """
    parent = np.full(len(call_row_id), NOBODY, np.int64)
    tokens = np.zeros(len(call_row_id), np.int64)
    place = {int(row): index for index, row in enumerate(call_row_id)}
    for child, (earlier, shared) in (_hashed(trace, place) | _named(trace, place)).items():
        parent[place[child]], tokens[place[child]] = earlier, shared
    return parent, tokens


def _named(trace: Trace, place: dict[int, int]) -> dict[int, tuple[int, int]]:
    table = trace.rows(Kind.LLM_CALL, _NAMED)
    named, shared = ints(table, "prefix_call_id"), ints(table, "prefix_tokens")
    known = np.flatnonzero(named.known & shared.known)
    if not len(known):
        return {}
    rows, start_ns = ints(table, "row_id").values, ints(table, "start_ns").values
    starts = dict(zip(rows.tolist(), start_ns.tolist(), strict=True))
    found = {}
    for index in known:
        child, earlier = int(rows[index]), int(named.values[index])
        if earlier not in starts:
            raise TraceUnreadable.bad_row(
                trace.path, child, f"its prefix_call_id is {earlier}, and no call has that row_id"
            )
        if shared.values[index] < 0:
            raise TraceUnreadable.bad_row(trace.path, child, "its prefix_tokens are negative")
        if child not in place or earlier not in place or not shared.values[index]:
            continue
        if (starts[earlier], earlier) >= (starts[child], child):
            raise TraceUnreadable.damaged(
                trace.path, f"call {child} names a later call, {earlier}, as its prefix"
            )
        found[child] = (earlier, int(shared.values[index]))
    return found


def _hashed(trace: Trace, place: dict[int, int]) -> dict[int, tuple[int, int]]:
    table = trace.rows(Kind.LLM_CALL, _HASHED)
    if table.column("part_hashes").null_count == table.num_rows:
        return {}
    rows = [
        row
        for row in table.to_pylist()
        if row["row_id"] in place and row["part_hashes"] and row["prompt_bytes"] and row["input_tokens"]
    ]
    rows.sort(key=lambda row: (row["start_ns"], row["row_id"]))
    found: dict[int, tuple[int, int]] = {}
    seen: dict[int, int] = {}  # the call whose prompt last held the text up to a hash
    answered: dict[int, int] = {}  # the call whose whole prompt that was
    for row in rows:
        ends = _ends(row)
        shared = [(end, seen[digest]) for digest, end in ends if digest in seen]
        shared += [(end, answered[digest]) for digest, end in _assistants(row) if digest in answered]
        if shared:
            end, earlier = max(shared)
            found[row["row_id"]] = (earlier, end * row["input_tokens"] // row["prompt_bytes"])
        seen.update((digest, row["row_id"]) for digest, _ in ends)
        answered[row["part_hashes"][-1]] = row["row_id"]
    return found


def _ends(row: dict[str, Any]) -> list[tuple[int, int]]:
    """The hashes of the prompt up to each part and block, and the bytes up to there."""
    blocks = row["block_hashes"] or ()
    return [
        *zip(row["part_hashes"], row["part_end_bytes"], strict=True),
        *((digest, (index + 1) * row["block_bytes"]) for index, digest in enumerate(blocks)),
    ]


def _assistants(row: dict[str, Any]) -> list[tuple[int, int]]:
    """Of every assistant part: the hash of what is before it, and where it ends."""
    return [
        (before, end)
        for before, end, role in zip(
            row["part_hashes"], row["part_end_bytes"][1:], row["part_roles"][1:], strict=False
        )
        if role == "assistant"
    ]
