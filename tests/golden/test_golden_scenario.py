"""The scenario worked out by hand (DESIGN: attribution), for the kernel and for the oracle."""

import numpy as np
import pytest

from tests.oracle.replay_oracle import replay_by_hand
from tests.oracle.workloads import FLAT, Story, call, fleet, tool, workload_of
from tracekit.analyzers.kernels.layout import Cause, State, StepCost
from tracekit.analyzers.kernels.replay import replay
from tracekit.analyzers.timeline import Timeline

MS = 1_000_000
WORKLOAD = workload_of(
    [
        Story(0.0, [call(1000, 3), tool(0.1, 0), call(500, 1, 1)]),
        Story(0.015, [call(1000, 2)]),
    ]
)
COST = StepCost(10e-3, 0.01e-3, 0.0, 1e-3, 0.0, 1.0, 0.0, 0.0, 0.0)


@pytest.fixture(params=[replay, replay_by_hand], ids=["kernel", "oracle"], scope="module")
def timeline(request: pytest.FixtureRequest) -> Timeline:
    return Timeline.of(request.param(WORKLOAD, COST, FLAT, fleet(), usd_per_s=3.6 / 3600))


def test_segments(timeline: Timeline) -> None:
    rows = timeline.outcome.segments
    spans = zip(rows["state"], rows["cause"], timeline.segment_start_ns, timeline.segment_end_ns, strict=True)
    assert list(spans) == [
        (State.PREFILL, Cause.NONE, 0, 20 * MS),
        (State.MIXED, Cause.NONE, 20 * MS, 41 * MS),
        (State.DECODE, Cause.NONE, 41 * MS, 53 * MS),
        (State.IDLE, Cause.TOOL_WAIT, 53 * MS, 153 * MS),
        (State.PREFILL, Cause.NONE, 153 * MS, 168 * MS),
    ]
    assert rows["steps"].tolist() == [1, 1, 1, 0, 1]


def test_joules_and_dollars(timeline: Timeline) -> None:
    assert timeline.busy_j == pytest.approx(20.4, rel=1e-12)
    assert timeline.idle_j[Cause.TOOL_WAIT] == pytest.approx(10.0, rel=1e-12)
    assert timeline.total_j == pytest.approx(30.4, rel=1e-12)
    assert timeline.total_usd == pytest.approx(0.000168, rel=1e-12)
    assert timeline.state_ns == {
        State.PREFILL: 35 * MS,
        State.DECODE: 12 * MS,
        State.MIXED: 21 * MS,
        State.IDLE: 100 * MS,
        State.STARTING: 0,
        State.OFF: 0,
    }


def test_latencies(timeline: Timeline) -> None:
    ttft = timeline.call_first_token_ns - timeline.call_queued_ns
    e2e = timeline.call_end_ns - timeline.call_queued_ns
    assert (ttft // MS).tolist() == [20, 15, 26]
    assert (e2e // MS).tolist() == [53, 15, 38]
    assert not (ttft % MS).any()
    assert not (e2e % MS).any()


def test_attribution(timeline: Timeline) -> None:
    """All of the split is weights, so a step is shared equally by its sequences."""
    first, second, other = 6.0 + 6.3 / 2 + 3.6 / 2, 4.5, 6.3 / 2 + 3.6 / 2
    np.testing.assert_allclose(timeline.outcome.calls["energy_j"], [first, second, other], rtol=1e-12)
    np.testing.assert_allclose(timeline.energy.direct, [first + 10.0 + second, other], rtol=1e-12)
    np.testing.assert_allclose(timeline.outcome.steps["idle_j"], [0.0, 10.0, 0.0, 0.0], rtol=1e-12)
    assert timeline.energy.null == 0.0
    np.testing.assert_allclose(timeline.dollars.loaded, [151.5e-6, 16.5e-6], rtol=1e-12)
