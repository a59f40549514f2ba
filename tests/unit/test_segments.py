"""Segments that were written in order of time, brought into order of replicas where they lie."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit.analyzers.kernels.layout import SEGMENT_ROW
from tracekit.analyzers.kernels.segments import by_replica


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(1, 5), st.lists(st.integers(0, 4), max_size=60))
def test_each_replica_keeps_its_order(replicas: int, of: list[int]) -> None:
    segments = np.zeros(len(of), SEGMENT_ROW)
    segments["replica"] = np.array(of, np.int64) % replicas
    segments["start_s"] = np.arange(len(of))
    segments["steps"] = 7 * np.arange(len(of))
    wanted = segments[np.argsort(segments["replica"], kind="stable")]
    by_replica(segments, replicas)
    assert segments.tolist() == wanted.tolist()
