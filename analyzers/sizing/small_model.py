"""Candidates in which a small model answers some of the calls, on replicas of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tracekit.analyzers.call_rule import call_rule
from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.kernels.lanes import lanes_of
from tracekit.analyzers.kernels.layout import ANY_CALL, StepKind, Workload
from tracekit.analyzers.replay import pools_of
from tracekit.analyzers.scenario import Fleet, Pool
from tracekit.analyzers.sizing.bound import work_s
from tracekit.errors import SizingRefused

ODDS = (0.6, 1.0, 1.6)
"""Of the small model's replicas against the others', times those at which both have equal work."""


class SmallModel(NamedTuple):
    """A model of the catalog, and the rule (`call_rule`) of the calls that it may answer."""

    model: str
    calls: str


class Parts(NamedTuple):
    """The workload with the small model's calls alone, and with the others alone; the rest are gaps."""

    small: Workload
    others: Workload


class Pair(NamedTuple):
    """A pool of the small model and one of another, and the small one's share of the replicas."""

    pools: tuple[Pool, Pool]
    share: float


def parted(workload: Workload, small: SmallModel) -> Parts:
    """Raises ScenarioInvalid; SizingRefused where the rule leaves one of the two without a call."""
    is_call = workload.kind == StepKind.CALL
    is_small = is_call & (lanes_of(workload, [call_rule(small.calls), ANY_CALL], 0) == 0)
    met = int(np.count_nonzero(is_small))
    if met in (0, np.count_nonzero(is_call)):
        raise SizingRefused.small_model_for_none_or_all(small.calls, met, int(np.count_nonzero(is_call)))
    return Parts(_with_gaps(workload, is_call & ~is_small), _with_gaps(workload, is_small))


def _with_gaps(workload: Workload, where: np.ndarray) -> Workload:
    kind = np.where(where, np.int8(StepKind.GAP), workload.kind).astype(np.int8)
    return workload._replace(kind=kind)


def pairs(small: Sequence[Pool], others: Iterable[Pool], parts: Parts) -> list[Pair]:
    """Each of the other pools with a small model on the same GPU, and on the GPU where its calls cost least.

    `small` are the pools that may hold the small model; of a GPU the one of the fewest is taken.
    """
    by_gpu: dict[str, Pool] = {}
    for pool in sorted(small, key=lambda pool: pool.tp, reverse=True):
        by_gpu[pool.gpu] = pool
    if not by_gpu:
        return []
    cheapest = min(by_gpu.values(), key=lambda pool: (_usd(parts.small, pool), pool.gpu))
    found = []
    for other in others:
        for one in dict.fromkeys((by_gpu.get(other.gpu, cheapest), cheapest)):
            share = _balance(parts, one, other)
            found += [Pair((one, other), odds * share / (odds * share + 1.0 - share)) for odds in ODDS]
    return found


def _balance(parts: Parts, small: Pool, other: Pool) -> float:
    """The small model's share of the replicas at which all have equal work."""
    small_s, other_s = _work_s(parts.small, small), _work_s(parts.others, other)
    return small_s / (small_s + other_s)


def _usd(workload: Workload, pool: Pool) -> float:
    return _work_s(workload, pool) * pool.tp * catalog.gpu(pool.gpu).price.typical


def _work_s(workload: Workload, pool: Pool) -> float:
    alone = Fleet((replace(pool, calls="", replicas=1),))
    return work_s(workload, pools_of(alone)[0])
