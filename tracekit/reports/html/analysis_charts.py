"""The charts of a recording and its replays, by the section that they stand in."""

from __future__ import annotations

from typing import Any

from tracekit.reports.html.critical_paths import critical_paths
from tracekit.reports.html.energy_split import energy_split
from tracekit.reports.html.inline_svg import Chart
from tracekit.reports.html.latency_curves import latency_curves
from tracekit.reports.html.replica_timeline import replica_timeline
from tracekit.reports.html.session_timeline import session_timeline
from tracekit.reports.html.time_shares import gpu_shares, session_shares
from tracekit.reports.html.token_classes import token_classes

Document = dict[str, Any]
REPLICA_ROWS = 12
"""Replicas drawn, over all replays."""


def analysis_charts(document: Document) -> dict[str, list[Chart | None]]:
    """By key of section; made within `drawing`."""
    replays = document["replays"]
    shown = max(1, REPLICA_ROWS // max(1, len(replays)))
    return {
        "timeline": [
            session_timeline(document),
            *(replica_timeline(replay, place, shown) for place, replay in enumerate(replays)),
        ],
        "time": [session_shares(document), gpu_shares(document)],
        "energy": [energy_split(document)],
        "tokens": [token_classes(document)],
        "latency": [latency_curves(document)],
        "sessions": [critical_paths(document)],
    }
