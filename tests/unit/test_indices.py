"""No kernel counts from an array's end: with an index below 0 its machine code would read what lies before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

IN_PLAIN_PYTHON = """
from tests.oracle.fleets import fleet_crowd
from tests.oracle.test_long_sessions import long_sessions
from tests.golden.test_kernel_is_vllm import PER_TOKEN, as_stories
from tests.oracle.workloads import FLAT, NEVER, fleet, workload_of
from tests.unit.test_indices import guard
from tracekit.analyzers.kernels import branches, replay, segments

replay.prepare = guard(replay.prepare, results=True)
branches.lay_out = guard(branches.lay_out)
branches.join_stretches = guard(branches.join_stretches)
segments.put_in_place = guard(segments.put_in_place)
pins = {"retention": 1}, {"retention": 2, "retention_s": 0.5}, {"retention": 3}, {"batching": 2}
for seed in range(10):
    scenario = fleet_crowd(seed)
    replay.replay_pools(*scenario)
    for change in pins if seed == 4 else ():
        pools = [pool._replace(limits=pool.limits._replace(role=0, **change)) for pool in scenario.pools]
        replay.replay_pools(scenario.workload, pools)
for seed in range(6):
    workload = long_sessions(seed)
    limits = fleet(num_blocks=workload.limits.num_gpu_blocks, max_model_len=NEVER)
    replay.replay(workload_of(as_stories(workload)), PER_TOKEN, FLAT, limits)
print("done")
"""


class Guarded(np.ndarray):
    """An array that cannot be counted from its end."""

    def __getitem__(self, key):  # type: ignore[no-untyped-def]
        assert_not_negative(key)
        return super().__getitem__(key)

    def __setitem__(self, key, value):  # type: ignore[no-untyped-def]
        assert_not_negative(key)
        super().__setitem__(key, value)


def assert_not_negative(key: object) -> None:
    for part in key if isinstance(key, tuple) else (key,):
        assert not (isinstance(part, int | np.integer) and part < 0), f"index {part}"


def guarded(value):  # type: ignore[no-untyped-def]
    """The same with every array guarded."""
    if isinstance(value, np.ndarray):
        return value.view(Guarded)
    return type(value)(*map(guarded, value)) if isinstance(value, tuple) else value


def guard(function, *, results=False):  # type: ignore[no-untyped-def]
    """The same function, of guarded arguments or with guarded results."""
    if results:
        return lambda *arguments: guarded(function(*arguments))
    return lambda *arguments: function(*map(guarded, arguments))


def test_no_kernel_counts_from_the_end() -> None:
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", IN_PLAIN_PYTHON],
        env=environment,
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "done\n", done.stderr[-2000:]


def test_the_guard_guards() -> None:
    rows = guarded(np.zeros((3, 2)))
    for use in (lambda: rows[-1], lambda: rows[0][-1], lambda: rows[0, np.int64(-1)]):
        with pytest.raises(AssertionError):
            use()
