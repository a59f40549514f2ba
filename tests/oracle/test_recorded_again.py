"""What the definition replays, recorded as a collector would and replayed again on the same fleet, is the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.oracle.fleets import FleetScenario, fleet_crowd, for_undrawn_calls
from tests.oracle.replay_oracle import Replay
from tests.oracle.session import Session, Step
from tracekit.analyzers.kernels.layout import Pool, Router, StepKind, Workload
from tracekit.analyzers.kernels.replay import replay_pools
from tracekit.analyzers.workload import Compiled, compile_workload
from tracekit.provenance import Provenance
from tracekit.schema import Kind
from tracekit.trace import Trace, table_of, write_trace

FIRST_STEP = 1000
"""Row of step 0; rows of sessions are less."""


def at_odd_times(seed: int) -> FleetScenario:
    """A busy fleet where no two events fall on one instant, as a clock in ns would tell them apart, by chance only."""
    scenario = fleet_crowd(seed)
    work = scenario.workload
    odd_s = np.random.default_rng(seed).exponential(0.004, work.lag_s.size)
    return scenario._replace(
        workload=work._replace(lag_s=work.lag_s + odd_s),
        pools=[for_undrawn_calls(one_by_one(pool)) for pool in scenario.pools],
        router=int(Router.LEAST_OUTSTANDING) if scenario.router == Router.POWER_OF_TWO else scenario.router,
    )


def one_by_one(pool: Pool) -> Pool:
    """The same, with KV of prompts that end in one step arriving one after the other: else by number."""
    limits = pool.limits
    return pool._replace(limits=limits._replace(transfer_token_s=max(1e-5, limits.transfer_token_s)))


def ns(seconds: float) -> int:
    return round(seconds * 1e9)


def session_row(session: Session) -> dict[str, object]:
    return {
        "row_id": session.number,
        "start_ns": ns(session.arrival_s),
        "end_ns": ns(session.end_s),
        "status": "ok",
    }


def step_row(step: Step) -> dict[str, object]:
    return {
        "row_id": FIRST_STEP + step.number,
        "session_id": step.session.number,
        "start_ns": ns(step.start_s),
        "end_ns": ns(step.end_s),
        "parents": [FIRST_STEP + parent.number for parent in step.parents],
    }


def call_row(step: Step) -> dict[str, object]:
    gaps_us = 1e6 * np.diff(step.call.token_s)
    return step_row(step) | {
        "status": "ok",
        "model": step.model,
        "input_tokens": step.input_tokens,
        "output_tokens": step.output_tokens,
        "first_token_ns": ns(step.call.first_token_s),
        "chunk_gap_us": gaps_us.tolist(),
    }


def recorded(replay: Replay, path: Path) -> Compiled:
    calls = [call_row(step) for step in replay.steps if step.kind == StepKind.CALL]
    tools = [step_row(step) for step in replay.steps if step.kind == StepKind.TOOL]
    tables = {
        Kind.SESSION: table_of(Kind.SESSION, [session_row(session) for session in replay.sessions]),
        Kind.LLM_CALL: table_of(Kind.LLM_CALL, calls),
        Kind.TOOL_SPAN: table_of(Kind.TOOL_SPAN, tools),
    }
    write_trace(path, tables, Provenance(1, "0", [], 0))
    return compile_workload(Trace.open(path))


def with_prefixes_of(work: Workload, compiled: Compiled) -> Workload:
    """A trace cannot say that a prompt begins as a later one does; these workloads can."""
    step = compiled.row_id - FIRST_STEP
    parent = work.prefix_parent[step]
    return compiled.workload._replace(
        prefix_parent=np.where(parent < 0, parent, np.argsort(step)[parent]),
        prefix_tokens=work.prefix_tokens[step],
    )


INSIDE = [seed for seed in range(40) if fleet_crowd(seed).workload.inner_edge.size]


@pytest.mark.parametrize("seed", INSIDE)
def test_a_replay_recorded_and_replayed_again_is_the_same(seed: int, tmp_path: Path) -> None:
    scenario = at_odd_times(seed)
    definition = Replay(*scenario)
    first = definition.run()
    compiled = recorded(definition, tmp_path / "t.parquet")
    assert compiled.inner_starts > 0
    again = replay_pools(with_prefixes_of(scenario.workload, compiled), *scenario[1:])
    step = compiled.row_id - FIRST_STEP
    for field in ("start_s", "end_s"):
        elapsed_s = again.steps[field] + compiled.origin_ns / 1e9
        np.testing.assert_allclose(elapsed_s, first.steps[field][step], rtol=0, atol=1e-6, err_msg=field)
    assert again.engine_steps == first.engine_steps
