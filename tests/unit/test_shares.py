"""Shares of session time against a picture painted millisecond by millisecond."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tracekit.analyzers.share import shares, union_ns

STEP = st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(0, 40), st.integers(0, 15))


@given(st.lists(STEP, max_size=12))
def test_shares_are_what_a_picture_shows(steps):
    session_start, session_end = np.full(3, -2), np.full(3, 60)
    columns = np.array(steps, np.int64).reshape(-1, 4)
    session, is_tool, start, length = columns.T
    found = shares(session, is_tool, start, start + length, session_start, session_end)
    for index in range(3):
        painted = np.zeros((2, 62), bool)
        for _owner, tool, begin, size in columns[session == index]:
            painted[tool, begin + 2 : begin + 2 + size] = True
        llm, tool = painted
        expected = [(llm & ~tool).sum(), (tool & ~llm).sum(), (llm & tool).sum(), (~llm & ~tool).sum()]
        assert [int(part[index]) for part in found] == expected


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 15)), max_size=12))
def test_the_union_counts_nothing_twice(intervals):
    start = np.array([begin for begin, _size in intervals], np.int64)
    end = start + np.array([size for _begin, size in intervals], np.int64)
    covered = {moment for begin, size in intervals for moment in range(begin, begin + size)}
    assert union_ns(start, end) == len(covered)


def test_totals_are_sums_over_sums():
    found = shares(
        np.array([0, 1]),
        np.array([0, 1]),
        np.array([0, 0]),
        np.array([10, 90]),
        np.zeros(2, int),
        np.array([10, 90]),
    )
    assert found.totals() == {"llm": 0.1, "tool": 0.9, "overlap": 0.0, "gap": 0.0}
    nothing = np.zeros(0, np.int64)
    assert shares(*(nothing,) * 6).totals()["llm"] is None
