"""The parts of the document that charts are drawn from: bounded, whatever the trace's size."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import numpy.typing as npt
import polars as pl

from tracekit.analyzers.isolated import Isolated
from tracekit.analyzers.kernels.layout import Floats, Ints
from tracekit.analyzers.recorded_timeline import RecordedTimeline
from tracekit.analyzers.replay import Replay
from tracekit.analyzers.replica_timeline import replica_timeline
from tracekit.reports.document import Document
from tracekit.schema import Kind
from tracekit.trace import Trace

COSTLIEST = 24


def recorded_over_time(found: RecordedTimeline) -> Document:
    """The keys `timeline` and `critical_paths` of what was recorded; seconds since the first session's start."""
    return {
        "timeline": {
            "bin_s": found.bin_s,
            "sessions_open": _numbers(found.sessions_open),
            "calls_open": _numbers(found.calls_open),
            "tools_open": _numbers(found.tools_open),
            "sessions": [asdict(session) for session in found.sessions],
        },
        "critical_paths": [asdict(path) for path in found.critical_paths],
    }


def replayed_over_time(
    trace: Trace, replay: Replay, isolated: Isolated | None, session_row_id: Ints
) -> Document:
    """The keys `timeline` and `costliest_sessions` of a replay; seconds since the first arrival.

    `session_row_id` (s,) is each session's row in the trace.
    """
    found = replica_timeline(replay.timeline)
    return {
        "timeline": {
            "bin_s": found.bin_s,
            "replicas": found.count,
            "fleet": _shares(found.fleet),
            "first_replicas": [_shares(shares) for shares in found.replicas],
        },
        "costliest_sessions": _costliest(trace, replay, isolated, session_row_id),
    }


def _costliest(
    trace: Trace, replay: Replay, isolated: Isolated | None, session_row_id: Ints
) -> list[Document]:
    timeline = replay.timeline
    energy_j, cost_usd = timeline.energy.loaded, timeline.dollars.loaded
    rows = np.argsort(-cost_usd, kind="stable")[:COSTLIEST]
    names = _names(trace, session_row_id[rows])
    return [
        {
            "session_id": int(session_row_id[row]),
            "name": names.get(int(session_row_id[row])),
            "session_s": int(timeline.session_end_ns[row] - timeline.session_start_ns[row]) / 1e9,
            "energy_j": float(energy_j[row]),
            "isolated_energy_j": None if isolated is None else float(isolated.energy_j[row]),
            "cost_usd": float(cost_usd[row]),
        }
        for row in rows
    ]


def _names(trace: Trace, wanted: Ints) -> dict[int, str | None]:
    rows = pl.DataFrame(pl.from_arrow(trace.rows(Kind.SESSION, ["row_id", "name"])))
    return dict(rows.filter(pl.col("row_id").is_in(wanted.tolist())).iter_rows())


def _shares(shares: dict[str, Floats]) -> dict[str, list[float]]:
    return {name: _numbers(values) for name, values in shares.items()}


def _numbers(values: npt.NDArray[np.float64]) -> list[float]:
    return [float(value) for value in np.round(values, 4)]
