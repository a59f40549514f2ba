"""The fleets that are considered: kinds of replica that can be had in any number, and those that cannot be used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple

import numpy as np

from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.kernels.layout import StepKind, Workload
from tracekit.analyzers.scenario import DEFAULT_QUEUE_ORDER, Fleet, Pool
from tracekit.analyzers.sizing.small_model import SmallModel, pairs, parted
from tracekit.errors import CatalogInvalid, ModelDoesNotFit, ScenarioInvalid

DEFAULT_GPUS = ("L40S", "A100-SXM-80GB", "H100-SXM-80GB", "H200-SXM-141GB", "B200-SXM-180GB", "MI300X")
DEFAULT_TPS = (1, 2, 4, 8)
DEFAULT_ROUTERS = ("least-outstanding", "session-affine", "prefix-aware")
DEFAULT_MOST_REPLICAS = 256
PREFILL_SHARES = (0.25, 0.5, 0.75)
"""Of the replicas, where prompts and answers are computed by pools of their own."""


@dataclass(frozen=True)
class Kind:
    """Fleets that differ in size alone: `pools` of one replica each, in the shares `mix` of the whole."""

    pools: tuple[Pool, ...]
    router: str
    queue_order: str = DEFAULT_QUEUE_ORDER
    mix: tuple[float, ...] = (1.0,)

    @property
    def least_replicas(self) -> int:
        return len(self.pools)

    def counts(self, replicas: int) -> tuple[int, ...]:
        """How many of `replicas` each pool has: at least one, the rest by largest remainder."""
        exact = [max(1.0, share * replicas) for share in self.mix]
        counts = [int(part) for part in exact]
        by_remainder = sorted(range(len(exact)), key=lambda place: (counts[place] - exact[place], place))
        for place in by_remainder[: max(0, replicas - sum(counts))]:
            counts[place] += 1
        while sum(counts) > replicas:
            counts[counts.index(max(counts))] -= 1
        return tuple(counts)

    def fleet(self, replicas: int) -> Fleet:
        """The fleet of that many replicas, at least `least_replicas`."""
        pools = zip(self.pools, self.counts(replicas), strict=True)
        return Fleet(tuple(_sized(pool, count) for pool, count in pools), self.router, self.queue_order)

    def gpus(self, replicas: int) -> int:
        counts = self.counts(replicas)
        return sum(pool.tp * count for pool, count in zip(self.pools, counts, strict=True))

    def usd_per_h(self, replicas: int) -> float:
        """The catalog's typical price of all its GPUs."""
        counts = zip(self.pools, self.counts(replicas), strict=True)
        return sum(count * pool.tp * catalog.gpu(pool.gpu).price.typical for pool, count in counts)

    @property
    def name(self) -> str:
        """Its pools with their shares of the replicas, router and settings, without a size."""
        if len(self.pools) == 1:
            return f"{_pool_name(self.pools[0])}, {self.router}"
        shares = zip(self.mix, self.pools, strict=True)
        pools = " + ".join(f"{100 * share:.0f} % {_pool_name(pool)}" for share, pool in shares)
        return f"{pools}, {self.router}"

    def sized_name(self, replicas: int) -> str:
        """Its name with the replicas of each pool; fleets of one name are the same."""
        if len(self.pools) == 1:
            return f"{replicas} x {self.name}"
        counts = zip(self.counts(replicas), self.pools, strict=True)
        return f"{' + '.join(f'{count} x {_pool_name(pool)}' for count, pool in counts)}, {self.router}"

    @property
    def has_small_model(self) -> bool:
        """Whether some of its pools are for some of the calls."""
        return any(pool.calls for pool in self.pools)

    @property
    def sort_key(self) -> tuple[str, ...]:
        return (self.name, str(self.pools), str(self.mix))


def kind_of(fleet: Fleet) -> Kind:
    """The fleets that differ from this one in size alone."""
    mix = tuple(pool.replicas / fleet.replicas for pool in fleet.pools)
    pools = tuple(replace(pool, replicas=max(1, pool.min_replicas or 1)) for pool in fleet.pools)
    return Kind(pools, fleet.router, fleet.queue_order, mix)


def _sized(pool: Pool, replicas: int) -> Pool:
    least = None if pool.min_replicas is None else min(pool.min_replicas, replicas)
    return replace(pool, replicas=replicas, min_replicas=least)


def _pool_name(pool: Pool) -> str:
    tp = f" TP{pool.tp}" if pool.tp > 1 else ""
    role = "" if pool.role == "both" else f" ({pool.role})"
    seqs = "" if pool.max_num_seqs is None else f", {pool.max_num_seqs} seqs"
    tokens = "" if pool.max_num_batched_tokens is None else f", {pool.max_num_batched_tokens} batched tokens"
    calls = f" for {pool.calls}" if pool.calls else ""
    return f"{pool.gpu}{tp} with {pool.model}{role}{calls}{seqs}{tokens}"


class Rejected(NamedTuple):
    """A kind that cannot be used, and why."""

    name: str
    why: str


class Candidates(NamedTuple):
    """What is searched, and what is not."""

    kinds: tuple[Kind, ...]
    rejected: tuple[Rejected, ...]


class Space(NamedTuple):
    """What the user lets the search choose from; names of the catalog, None is the engine's own setting."""

    gpus: Sequence[str] = DEFAULT_GPUS
    models: Sequence[str] = ()
    tps: Sequence[int] = DEFAULT_TPS
    routers: Sequence[str] = DEFAULT_ROUTERS
    queue_order: str = DEFAULT_QUEUE_ORDER
    max_num_seqs: Sequence[int | None] = (None,)
    max_num_batched_tokens: Sequence[int | None] = (None,)
    calibration: str | None = None
    with_split: bool = False
    with_mixed: bool = False
    small: SmallModel | None = None


def candidates(space: Space, workload: Workload) -> Candidates:
    """The kinds of the space that can serve the workload, and those that cannot, with the reason.

    A kind is rejected if a model does not fit its GPUs, if its GPU has no price, or if it would refuse calls that
    another kind can take, because prompt and answer are longer than its cache.

    Raises
    ------
    UnknownName : a name that the catalog lacks.
    ScenarioInvalid, SizingRefused : a small model's rule that cannot be read, or that leaves nothing to choose.
    """
    rejected: list[Rejected] = []
    single = list(_usable(_pools(space), rejected))
    single = _without_refusing(single, workload, rejected)
    kinds = [Kind((pool,), router, space.queue_order) for pool in single for router in space.routers]
    if space.with_split:
        kinds += _split(single, space)
    if space.with_mixed:
        kinds += _mixed(single, space)
    if space.small is not None:
        kinds += _with_small(space, space.small, workload, rejected)
    return Candidates(tuple(kinds), tuple(rejected))


def _with_small(space: Space, small: SmallModel, workload: Workload, rejected: list[Rejected]) -> list[Kind]:
    """The small model for its calls beside a pool for the others, which need not hold the longest of all."""
    small = small._replace(model=catalog.model(small.model).name)
    parts = parted(workload, small)
    known = {one.name for one in rejected}
    refusals: list[Rejected] = []
    others = _without_refusing(list(_usable(_pools(space), [])), parts.others, [])
    of_small = space._replace(models=(small.model,), max_num_seqs=(None,), max_num_batched_tokens=(None,))
    for_calls = (replace(pool, calls=small.calls) for pool in _pools(of_small))
    usable = _without_refusing(list(_usable(for_calls, refusals)), parts.small, refusals)
    rejected += [one for one in refusals if one.name not in known]
    return [
        Kind(pair.pools, router, space.queue_order, (pair.share, 1.0 - pair.share))
        for pair in pairs(usable, others, parts)
        for router in space.routers[:1]
    ]


def _pools(space: Space) -> Iterable[Pool]:
    names = [catalog.gpu(gpu).name for gpu in space.gpus]
    models = [catalog.model(model).name for model in space.models]
    settings = product(
        dict.fromkeys(models),
        dict.fromkeys(names),
        space.tps,
        space.max_num_seqs,
        space.max_num_batched_tokens,
    )
    for model, gpu, tp, seqs, tokens in settings:
        yield Pool(
            gpu=gpu,
            model=model,
            tp=tp,
            max_num_seqs=seqs,
            max_num_batched_tokens=tokens,
            calibration=space.calibration,
        )


def _usable(pools: Iterable[Pool], rejected: list[Rejected]) -> Iterable[Pool]:
    for pool in pools:
        try:
            pool.limits()
            price = catalog.gpu(pool.gpu).price
        except (ModelDoesNotFit, ScenarioInvalid, CatalogInvalid) as error:
            rejected.append(Rejected(_pool_name(pool), str(error)))
            continue
        assert price.typical > 0
        yield pool


def _without_refusing(pools: list[Pool], workload: Workload, rejected: list[Rejected]) -> list[Pool]:
    refused = {pool: refused_calls(pool, workload) for pool in pools}
    fewest = min(refused.values(), default=0)
    of_all = int(np.count_nonzero(workload.kind == StepKind.CALL))
    kept = []
    for pool, count in refused.items():
        takes_none = 0 < count == of_all
        if count == fewest and not takes_none:
            kept.append(pool)
        else:
            which = "every call" if takes_none else f"{count - fewest} call(s) that others can take"
            rejected.append(
                Rejected(
                    _pool_name(pool),
                    f"it would refuse {which}: prompt and answer are longer than the {pool.limits().max_model_len:,} "
                    "tokens that it has room for",
                )
            )
    return kept


def refused_calls(pool: Pool, workload: Workload) -> int:
    """Recorded calls whose prompt and answer are longer than a replica takes."""
    is_call = workload.kind == StepKind.CALL
    tokens = workload.input_tokens[is_call].astype(np.int64) + workload.output_tokens[is_call]
    return int(np.count_nonzero(tokens > pool.limits().max_model_len))


def _split(pools: list[Pool], space: Space) -> list[Kind]:
    """Prompts and answers on pools of their own, of the same kind of replica."""
    return [
        Kind(
            (replace(pool, role="prefill"), replace(pool, role="decode")),
            space.routers[0],
            space.queue_order,
            (share, 1.0 - share),
        )
        for pool in pools
        for share in PREFILL_SHARES
    ]


def _mixed(pools: list[Pool], space: Space) -> list[Kind]:
    """Two kinds of GPU in equal numbers behind one router; the same model and TP on both."""
    return [
        Kind((one, other), "least-outstanding", space.queue_order, (0.5, 0.5))
        for place, one in enumerate(pools)
        for other in pools[:place]
        if (one.model, one.tp) == (other.model, other.tp) and one.gpu != other.gpu
    ]
