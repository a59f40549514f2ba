"""TIMELINE.parquet: a replay's calls and replica segments, one kind to a row group.

Call rows: call_id and session_id (row_ids in the trace; a session drawn twice repeats them),
released_session (which arrival it is), replica, decode_replica (where its KV was sent, else the same),
queued_ns, started_ns, first_token_ns, end_ns, input_tokens, cached_tokens, output_tokens, preemptions,
energy_j (average view), energy_isolated_j, cost_usd.
Segment rows: replica, state, cause (idle only), start_ns, end_ns, energy_j. Times are ns since the first
arrival. Null where the kind has no such column, or where this version does not model it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tracekit.analyzers.kernels.layout import Cause, Floats, Ints, State
from tracekit.analyzers.replay import Replay
from tracekit.reports.document import Document, to_json
from tracekit.trace import check_output

METADATA_KEY = b"tracekit-timeline"
_CATEGORY = pa.dictionary(pa.int32(), pa.string())

SCHEMA = pa.schema(
    [
        ("kind", _CATEGORY),
        ("call_id", pa.int64()),
        ("session_id", pa.int64()),
        ("released_session", pa.int64()),
        ("replica", pa.int32()),
        ("decode_replica", pa.int32()),
        ("queued_ns", pa.int64()),
        ("started_ns", pa.int64()),
        ("first_token_ns", pa.int64()),
        ("end_ns", pa.int64()),
        ("input_tokens", pa.int64()),
        ("cached_tokens", pa.int64()),
        ("output_tokens", pa.int64()),
        ("preemptions", pa.int32()),
        ("energy_j", pa.float64()),
        ("energy_isolated_j", pa.float64()),
        ("cost_usd", pa.float64()),
        ("state", _CATEGORY),
        ("cause", _CATEGORY),
        ("start_ns", pa.int64()),
    ]
)


def write_timeline(
    path: Path,
    replay: Replay,
    document: Document,
    call_id: Ints,
    session_id: Ints,
    isolated_j: Floats,
    *,
    force: bool,
) -> None:
    """Writes the file atomically; `document` goes into its metadata.

    Parameters
    ----------
    call_id : shape (n,), the trace's row of each step; session_id : shape (s,), of each session.
    isolated_j : shape (calls,), each call's joules alone.

    Raises
    ------
    OutputRefused : the file exists and `force` is off, or its folder cannot be written.
    """
    check_output(path, force=force)
    schema = SCHEMA.with_metadata({METADATA_KEY: to_json(document).encode()})
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with pq.ParquetWriter(partial, schema, compression="zstd") as writer:
            for columns in (_call_columns(replay, call_id, session_id, isolated_j), _segment_columns(replay)):
                writer.write_table(_table(columns, schema))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _call_columns(replay: Replay, call_id: Ints, session_id: Ints, isolated_j: Floats) -> dict[str, Any]:
    timeline, calls = replay.timeline, replay.timeline.outcome.calls
    refused = calls["replica"] < 0
    times = {
        "started_ns": timeline.call_started_ns,
        "first_token_ns": timeline.call_first_token_ns,
        "end_ns": timeline.call_end_ns,
    }
    return {
        "kind": ["call"] * len(calls),
        "call_id": call_id[calls["step"]],
        "session_id": session_id[calls["session"]],
        "released_session": calls["session"],
        "replica": pa.array(calls["replica"], pa.int32(), mask=refused),
        "decode_replica": pa.array(calls["decode_replica"], pa.int32(), mask=refused),
        "queued_ns": timeline.call_queued_ns,
        **{name: pa.array(values, mask=refused) for name, values in times.items()},
        "input_tokens": replay.input_tokens,
        "cached_tokens": pa.array(calls["cached_tokens"], mask=refused),
        "output_tokens": replay.output_tokens,
        "preemptions": pa.array(calls["preemptions"], pa.int32(), mask=refused),
        "energy_j": pa.array(calls["energy_j"], mask=refused),
        "energy_isolated_j": pa.array(isolated_j, mask=refused),
        "cost_usd": pa.array(timeline.call_usd, mask=refused),
    }


def _segment_columns(replay: Replay) -> dict[str, Any]:
    timeline, segments = replay.timeline, replay.timeline.outcome.segments
    states = np.array([state.name.lower() for state in State])
    causes = np.array([*(cause.name.lower() for cause in Cause if cause is not Cause.NONE)])
    idle = segments["state"] == State.IDLE
    return {
        "kind": ["segment"] * len(segments),
        "replica": segments["replica"],
        "state": states[segments["state"]],
        "cause": pa.array(causes[np.where(idle, segments["cause"], 0)], mask=~idle),
        "start_ns": timeline.segment_start_ns,
        "end_ns": timeline.segment_end_ns,
        "energy_j": segments["energy_j"],
    }


def _table(columns: dict[str, Any], schema: pa.Schema) -> pa.Table:
    length = len(columns["kind"])
    arrays = [
        pa.array(columns[field.name]).cast(field.type)
        if field.name in columns
        else pa.nulls(length, field.type)
        for field in schema
    ]
    return pa.table(arrays, schema=schema)
