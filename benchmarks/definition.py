"""Small recorded sessions, replayed by the kernel and by its definition in plain Python (tests/oracle).

`python -m benchmarks.definition TRACE FLEET.toml SESSIONS` prints JSON. The definition writes out every token of every
prompt and goes block by block and step by step, so the sessions are the smallest that have some calls.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.engine import hit_fraction
from tests.oracle.agreement import assert_same_outcome
from tests.oracle.replay_oracle import replay_by_hand
from tracekit.analyzers.drawn_sessions import draw_sessions
from tracekit.analyzers.kernels.layout import Ints, Outcome, Workload
from tracekit.analyzers.kernels.replay import replay_pools
from tracekit.analyzers.replay import pools_of
from tracekit.analyzers.scenario import Fleet
from tracekit.analyzers.workload import compile_workload
from tracekit.trace import Trace

FEWEST_CALLS = 5


def smallest_sessions(workload: Workload, count: int) -> Ints:
    """Those with the fewest prompt tokens among those that have some calls."""
    first = workload.session_step_start[:-1]
    calls = np.add.reduceat((workload.output_tokens > 0).astype(np.int64), first)
    tokens = np.add.reduceat(workload.input_tokens.astype(np.int64), first)
    eligible = np.flatnonzero(calls >= FEWEST_CALLS)
    return np.sort(eligible[np.argsort(tokens[eligible], kind="stable")[:count]])


def main() -> None:
    trace, fleet_file, count = sys.argv[1:]
    whole = compile_workload(Trace.open(Path(trace))).workload
    chosen = smallest_sessions(whole, int(count))
    workload = draw_sessions(whole, chosen, whole.session_arrival_s[chosen])
    fleet = Fleet.from_toml(Path(fleet_file))
    (priced,) = pools_of(fleet)
    pool = priced._replace(usd_per_s=0.0)  # the definition knows no prices
    kernel = replay_pools(workload, [pool], pool.limits.router, pool.limits.queue_order, fleet.seed)
    begun_s = time.process_time()
    definition = replay_by_hand(workload, pool.cost, pool.power, pool.limits)
    taken_s = time.process_time() - begun_s
    told = {
        "sessions": chosen.tolist(),
        "calls": int(kernel.calls.size),
        "kernel_hit_fraction": hit_fraction(workload, kernel),
        "definition_hit_fraction": hit_fraction(workload, definition),
        "definition_cpu_s": taken_s,
        "same": is_same(kernel, definition),
    }
    print(json.dumps(told))


def is_same(kernel: Outcome, definition: Outcome) -> bool:
    """Whether every call, segment and session agrees, not the hits alone."""
    try:
        assert_same_outcome(kernel, definition)
    except AssertionError as difference:
        print(difference, file=sys.stderr)
        return False
    return True


if __name__ == "__main__":
    main()
