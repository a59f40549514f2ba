"""A long recording by a sample of its sessions: replicates draw thousands of them, not hundreds of thousands."""

from __future__ import annotations

import numpy as np

from tracekit.analyzers.drawn_sessions import draw_sessions
from tracekit.analyzers.kernels.layout import Workload

MOST_SESSIONS_KEPT = 20_000
SAMPLE_STREAM = 5


def sampled_sessions(workload: Workload, seed: int, most: int = MOST_SESSIONS_KEPT) -> Workload:
    """The workload, or `most` of its sessions, each at most once, in their order and at their times."""
    sessions = len(workload.session_arrival_s)
    if sessions <= most:
        return workload
    random = np.random.default_rng((seed, SAMPLE_STREAM))
    kept = np.sort(random.choice(sessions, most, replace=False))
    return draw_sessions(workload, kept, workload.session_arrival_s[kept])
