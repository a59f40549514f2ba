"""One replay of a sizing as numbers alone: a worker needs no catalog, no file and no trace.

So a worker on another machine cannot know another price or calibration than the one who asked. It draws the sessions
itself, from the recorded ones, and keeps them for the next fleet.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from tracekit.analyzers.kernels.layout import Pool, Workload
from tracekit.analyzers.kernels.prepare import pool_rows
from tracekit.analyzers.kernels.replay import replay_pools
from tracekit.analyzers.sizing.arriving import AtRate, OverDay
from tracekit.analyzers.sizing.drawn import DRAWN
from tracekit.analyzers.sizing.observation import Observation, observe
from tracekit.analyzers.sizing.replicate import Replicate
from tracekit.analyzers.sizing.slo import Slo
from tracekit.analyzers.workers.code import content_digest


class Recorded(NamedTuple):
    """A recorded workload, which every worker gets once, and a name for its content."""

    workload: Workload
    digest: str

    @classmethod
    def of(cls, workload: Workload) -> Recorded:
        """That workload, named."""
        return cls(workload, content_digest(workload._asdict()))

    def arriving(self, replicate: Replicate, release: AtRate | OverDay) -> Workload:
        """The replicate's sessions as they arrive."""
        key = (self.digest, replicate.seed, replicate.number, release.drawn_by())
        return DRAWN.of(key, lambda: release.workload(self.workload, replicate))


class Task(NamedTuple):
    """What a replay is computed from, beside the recorded workload.

    `pools` are as they are in this replicate, `gpus` of one replica of each; `slos` say which percentiles are told.
    """

    replicate: Replicate
    release: AtRate | OverDay
    pools: tuple[Pool, ...]
    gpus: tuple[int, ...]
    router: int
    queue_order: int
    slos: tuple[Slo, ...]

    def key(self, recorded: str, code: str) -> str:
        """A name for its result: the recorded content, every number above, and what computes."""
        told = hashlib.sha256(pool_rows(self.pools).tobytes())
        drawn = (self.replicate.seed, self.replicate.number, self.release)
        percentiles = tuple((slo.metric, slo.percent) for slo in self.slos)
        rules = [pool.limits.calls for pool in self.pools]
        rest = (recorded, code, drawn, self.gpus, self.router, self.queue_order, rules, percentiles)
        told.update(repr(rest).encode())
        return told.hexdigest()


def observed(recorded: Recorded, task: Task) -> Observation:
    """What the replay says; what a worker is sent to do."""
    workload = recorded.arriving(task.replicate, task.release)
    outcome = replay_pools(workload, task.pools, task.router, task.queue_order, task.replicate.number)
    return observe(workload, outcome, task.gpus, task.release.window(outcome), task.slos)
