"""The isolated view equals replaying each session, and each call, by itself."""

import numpy as np
import pytest

from tests.oracle.session import Inside
from tests.oracle.workloads import Story, call, gap, tool, workload_of
from tracekit.analyzers.drawn_sessions import draw_sessions
from tracekit.analyzers.isolated import isolated_calls_j, isolated_sessions
from tracekit.analyzers.kernels.layout import StepKind
from tracekit.analyzers.replay import replay_on
from tracekit.analyzers.scenario import Fleet
from tracekit.errors import ScenarioInvalid

FLEET = Fleet.of("H100", "Llama-3.1-8B", replicas=3)
ALONE = Fleet.of("H100", "Llama-3.1-8B")


def story_workload(seed):
    """Six sessions of three to five steps: calls, parallel tools, gaps, a fan-out."""
    random = np.random.default_rng(seed)
    sessions = []
    for _ in range(6):
        prompt, output = (int(value) for value in random.integers(1, 400, 2))
        wait_s, pause_s = (float(value) for value in random.uniform(0.01, 0.5, 2))
        nodes = [
            call(prompt, output, lag_s=0.02),
            tool(wait_s, 0),
            tool(pause_s, 0),
            call(prompt + output, 7, 1, 2, lag_s=0.01),
        ]
        if seed % 2:  # tools that start while the call still answers, and may end before it
            nodes[1].inside[0] = Inside(int(random.integers(0, 12)), 0.0)
            nodes[2].inside[0] = Inside(1, 0.0)
            nodes[3].inside[1] = Inside(0, 0.3)
        nodes += [gap(pause_s, 3), call(9, 3, 4), call(50, 20, 4)][: int(random.integers(0, 4))]
        sessions.append(Story(float(random.uniform(0, 2)), nodes))
    return workload_of(sorted(sessions, key=lambda session: session.arrival_s))


@pytest.mark.parametrize("seed", range(4))
def test_sessions_alone(seed):
    workload = story_workload(seed)
    found = isolated_sessions(workload, FLEET).energy_j
    for session in range(len(workload.session_tail_s)):
        alone = replay_on(draw_sessions(workload, np.array([session]), np.zeros(1)), ALONE).timeline
        segments = alone.outcome.segments
        first_call_s = alone.outcome.calls["queued_s"].min()
        last_end_s = alone.outcome.steps["end_s"].max()
        within = np.clip(
            np.minimum(segments["end_s"], last_end_s) - np.maximum(segments["start_s"], first_call_s), 0, None
        )
        length = segments["end_s"] - segments["start_s"]
        expected = (
            segments["energy_j"] * np.divide(within, length, out=np.zeros_like(within), where=length > 0)
        ).sum()
        assert found[session] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_calls_alone(seed):
    workload = story_workload(seed)
    calls = np.flatnonzero(workload.kind == StepKind.CALL)
    found = isolated_calls_j(workload, FLEET, np.zeros(len(calls), np.int64))
    assert len(found) == len(calls)
    for place, step in enumerate(calls):
        prompt, output = workload.input_tokens[step], workload.output_tokens[step]
        alone = replay_on(workload_of([Story(0.0, [call(int(prompt), int(output))])]), ALONE).timeline
        assert found[place] == pytest.approx(alone.total_j, rel=1e-9)


def test_calls_alone_find_what_they_found_in_company():
    nodes = [call(300, 20), call(400, 9, 0)]
    nodes[1].prefix = (0, 0, 310)
    workload = workload_of([Story(0.0, nodes)])
    replayed = replay_on(workload, ALONE).timeline.outcome
    assert replayed.calls["cached_tokens"].tolist() == [0, 304]
    found = isolated_calls_j(workload, FLEET, replayed.calls["cached_tokens"])
    np.testing.assert_allclose(found, replayed.calls["energy_j"], rtol=1e-9)


def test_a_fleet_says_whether_it_has_a_prefix_cache():
    assert not Fleet.of("H100", "Llama-3.1-8B", prefix_cache=False).limits()[0].enable_prefix_cache
    with pytest.raises(ScenarioInvalid, match="true or false"):
        Fleet.of("H100", "Llama-3.1-8B", prefix_cache="no")


def test_sessions_alone_find_nothing_of_others():
    nodes = [[call(300, 20)], [call(300, 20)]]
    nodes[1][0].prefix = (0, 0, 300)
    workload = workload_of([Story(0.0, each) for each in nodes])
    found = isolated_sessions(workload, FLEET).energy_j
    assert found[0] == pytest.approx(found[1], rel=1e-9)
