"""The scenario a workload is replayed under: which pools, which router, which engine limits."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from pathlib import Path
from typing import Any, Self, TypeVar

from tracekit.analyzers.call_rule import call_rule
from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.hardware.calibration import Calibration, calibrated_cost
from tracekit.analyzers.hardware.calibration_file import calibration_for
from tracekit.analyzers.hardware.power_cap import capped_cost
from tracekit.analyzers.hardware.replica import Replica, kv_capacity_tokens
from tracekit.analyzers.hardware.step_cost import ReplicaCost, replica_cost
from tracekit.analyzers.kernels.lanes import in_turn
from tracekit.analyzers.kernels.layout import (
    ANY_CALL,
    BLOCK_TOKENS,
    Batching,
    CallRule,
    FleetLimits,
    QueueOrder,
    Retention,
    Role,
    Router,
)
from tracekit.errors import ScenarioInvalid, UnknownName

Choice = TypeVar("Choice", bound=IntEnum)
LONGEST_S = 1e9


def _names(choices: type[Choice]) -> dict[str, Choice]:
    return {choice.name.lower().replace("_", "-"): choice for choice in choices}


ROUTERS = _names(Router)
QUEUE_ORDERS = _names(QueueOrder)
RETENTIONS = _names(Retention)
BATCHINGS = _names(Batching)
ROLES = _names(Role)
LEAST = {
    "retention_s": 0,
    "offload_gb": 0,
    "offload_gb_s": 1e-9,
    "transfer_gb_s": 1e-9,
    "transfer_s": 0,
    "startup_s": 0,
    "scale_down_s": 0,
    "kv_compression": 1e-3,
}
DEFAULT_ROUTER = "least-outstanding"
DEFAULT_QUEUE_ORDER = "fcfs"


@dataclass(frozen=True)
class Pool:
    """Identical replicas of one model.

    `retention` is what becomes of a call's KV until its session's next call, `retention_s` is for `ttl`,
    `offload_gb` (host memory of a replica) and `offload_gb_s` (of each GPU's link to it, one way) for
    `offload`. `power_cap_w` is of each GPU. `role` is what part of a call they compute. With `min_replicas`
    the pool is elastic: another replica is started when more than `scale_up_calls` calls stand on each that
    is on or starting, takes `startup_s`, and is switched off after `scale_down_s` without a call.
    `transfer_gb_s` and `transfer_s` are of the link that brings KV to a pool that decodes. `calibration` is
    a file of `tracekit calibrate`; without one for this model, GPU, engine and tp, steps are analytic.
    `kv_compression` is a factor on the bytes of a token's KV. `calls` is which calls it is for, by `call_rule`; a
    call goes to the pools whose rule it is the first to meet, and to those without one if it meets none.
    """

    gpu: str
    model: str
    tp: int = 1
    replicas: int = 1
    engine: str = catalog.DEFAULT_ENGINE
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    max_model_len: int | None = None
    kv_tokens: int | None = None
    prefix_cache: bool = True
    retention: str = "lru"
    retention_s: float = 300.0
    offload_gb: float = 100.0
    offload_gb_s: float = 25.0
    batching: str = "continuous"
    role: str = "both"
    transfer_gb_s: float = 50.0
    transfer_s: float = 0.0
    min_replicas: int | None = None
    startup_s: float = 60.0
    scale_up_calls: int = 8
    scale_down_s: float = 60.0
    calibration: str | None = None
    power_cap_w: float | None = None
    kv_compression: float = 1.0
    calls: str = ""

    def __post_init__(self) -> None:
        for name in ("gpu", "model", "engine", "calls"):
            if not isinstance(getattr(self, name), str):
                raise ScenarioInvalid.not_text(name, getattr(self, name))
        if self.calibration is not None and not isinstance(self.calibration, str):
            raise ScenarioInvalid.not_text("calibration", self.calibration)
        if not isinstance(self.prefix_cache, bool):
            raise ScenarioInvalid.not_a_flag("prefix_cache", self.prefix_cache)
        _check_name("retention", self.retention, RETENTIONS)
        _check_name("batching", self.batching, BATCHINGS)
        _check_name("role", self.role, ROLES)
        call_rule(self.calls)
        for name in (
            "tp",
            "replicas",
            "max_num_seqs",
            "max_num_batched_tokens",
            "max_model_len",
            "kv_tokens",
            "min_replicas",
            "scale_up_calls",
        ):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise ScenarioInvalid.not_positive(name, value)
        for name, least in LEAST.items():
            _check_number(name, getattr(self, name), least)
        if self.power_cap_w is not None:
            _check_number("power_cap_w", self.power_cap_w, 0)
        if self.retention == "offload" and (
            self.role != "both" or self.batching == "slots" or not self.prefix_cache
        ):
            raise ScenarioInvalid.cannot_offload()
        if self.min_replicas is not None and self.min_replicas > self.replicas:
            raise ScenarioInvalid.more_than("min_replicas", self.min_replicas, "replicas", self.replicas)

    def replica(self) -> Replica:
        """One replica's parts from the catalog. Raises UnknownName, ScenarioInvalid."""
        model = catalog.model(self.model)
        if model.heads % self.tp:
            raise ScenarioInvalid.tp_does_not_divide(self.tp, model.name, model.heads)
        return Replica(
            catalog.gpu(self.gpu), model, catalog.engine(self.engine), self.tp, self.kv_compression
        )

    def calibrated(self) -> Calibration | None:
        """What corrects its replicas' steps; None: nothing fits them. Raises CalibrationInvalid, UnknownName."""
        if self.calibration is None:
            return None
        return calibration_for(Path(self.calibration), self.replica())

    def cost(self) -> ReplicaCost:
        """What a replica's steps take and draw, by the best tier there is.

        Raises CalibrationInvalid, ScenarioInvalid, UnknownName.
        """
        replica, calibration = self.replica(), self.calibrated()
        cost = replica_cost(replica)
        if calibration is not None:
            cost = calibrated_cost(cost, calibration)
        return cost if self.power_cap_w is None else capped_cost(cost, replica, self.power_cap_w)

    def limits(self, router: str = DEFAULT_ROUTER, queue_order: str = DEFAULT_QUEUE_ORDER) -> FleetLimits:
        """What the scheduler may do. Raises ModelDoesNotFit, UnknownName."""
        replica = self.replica()
        # vLLM's block 0 is a placeholder that no call gets
        blocks = kv_capacity_tokens(replica) // BLOCK_TOKENS - 1
        if self.kv_tokens is not None:
            blocks = max(1, self.kv_tokens // BLOCK_TOKENS)
        capacity = blocks * BLOCK_TOKENS
        seqs = self.max_num_seqs or replica.engine.max_num_seqs
        longest = self.max_model_len or min(replica.model.max_model_len, capacity)
        if self.batching == "slots":  # each has its own part of the memory
            longest = min(longest, capacity // seqs)
            blocks = seqs * -(-longest // BLOCK_TOKENS)
        return FleetLimits(
            replicas=self.replicas,
            router=int(ROUTERS[router]),
            max_num_seqs=seqs,
            max_num_batched_tokens=self.max_num_batched_tokens or replica.engine.max_num_batched_tokens,
            block_size=BLOCK_TOKENS,
            num_blocks=blocks,
            max_model_len=longest,
            enable_prefix_cache=int(self.prefix_cache),
            queue_order=int(QUEUE_ORDERS[queue_order]),
            retention=int(RETENTIONS[self.retention]),
            retention_s=float(self.retention_s),
            offload_tokens=int(self.offload_gb * 1e9 / (self.tp * replica.kv_bytes_per_token_and_gpu)),
            offload_token_s=replica.kv_bytes_per_token_and_gpu / (self.offload_gb_s * 1e9),
            batching=int(BATCHINGS[self.batching]),
            role=int(ROLES[self.role]),
            transfer_s=float(self.transfer_s),
            transfer_token_s=replica.kv_bytes_per_token / (self.transfer_gb_s * 1e9),
            min_replicas=self.min_replicas or 0,
            startup_s=float(self.startup_s),
            scale_up_calls=self.scale_up_calls,
            scale_down_s=float(self.scale_down_s),
            calls=call_rule(self.calls),
        )

    def named(self) -> Self:
        """The same pool under the catalog's own names. Raises UnknownName."""
        return replace(self, gpu=catalog.gpu(self.gpu).name, model=catalog.model(self.model).name)


@dataclass(frozen=True)
class Fleet:
    """Pools behind one router; those for some of the calls come first, and those that decode last.

    `assumed` names what the user did not choose; reports print it first.
    """

    pools: tuple[Pool, ...]
    router: str = DEFAULT_ROUTER
    queue_order: str = DEFAULT_QUEUE_ORDER
    seed: int = 0
    assumed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_name("router", self.router, ROUTERS)
        _check_name("queue_order", self.queue_order, QUEUE_ORDERS)
        if not isinstance(self.seed, int) or isinstance(self.seed, bool) or self.seed < 0:
            raise ScenarioInvalid.not_positive("seed", self.seed)
        if not self.pools:
            raise ScenarioInvalid.unbalanced_roles([])
        lanes = self.lanes
        for lane in lanes:
            roles = {pool.role for pool in lane}
            if roles not in ({"both"}, {"prefill", "decode"}):
                raise ScenarioInvalid.unbalanced_roles(sorted(roles))
        if call_rule(lanes[-1][0].calls) != ANY_CALL:
            raise ScenarioInvalid.nobody_for_the_rest()
        by_lane = [pool for lane in lanes for pool in lane]
        object.__setattr__(self, "pools", tuple(sorted(by_lane, key=lambda pool: pool.role == "decode")))

    @classmethod
    def of(cls, gpu: str, model: str, *, router: str = DEFAULT_ROUTER, **pool: Any) -> Self:
        """A fleet of one pool."""
        return cls((Pool(gpu, model, **pool),), router)

    @classmethod
    def from_toml(cls, path: Path) -> Self:
        """The fleet described by a TOML file: a table ``[fleet]``, and ``[[pool]]`` where it has more than one.

        Raises
        ------
        ScenarioInvalid, UnknownName : the file cannot be read, or has a key or name that is not known.
        """
        try:
            tables = tomllib.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ScenarioInvalid.unreadable(path, str(error)) from error
        fleet, pools = tables.get("fleet", {}), tables.get("pool", [])
        nothing = "fleet" not in tables and not pools
        if nothing or not isinstance(fleet, dict) or not isinstance(pools, list):
            raise ScenarioInvalid.unreadable(path, "it has no table [fleet]")
        of_fleet = [field.name for field in fields(cls) if field.name not in ("pools", "assumed")]
        of_pool = [field.name for field in fields(Pool)]
        if not pools:
            _known_keys(path, "[fleet]", fleet, [*of_fleet, *of_pool])
            pools = [{key: value for key, value in fleet.items() if key not in of_fleet}]
            fleet = {key: value for key, value in fleet.items() if key in of_fleet}
            _needed_keys(path, "[fleet]", pools[0])
        _known_keys(path, "[fleet]", fleet, of_fleet)
        for pool in pools:
            _known_keys(path, "[[pool]]", pool, of_pool)
            _needed_keys(path, "[[pool]]", pool)
            if isinstance(pool.get("calibration"), str):  # beside the fleet file, unless it says otherwise
                pool["calibration"] = str(path.parent / pool["calibration"])
        return cls(pools=tuple(Pool(**pool) for pool in pools), **fleet)

    @property
    def replicas(self) -> int:
        return sum(pool.replicas for pool in self.pools)

    def limits(self) -> tuple[FleetLimits, ...]:
        """What the schedulers of its pools may do. Raises ModelDoesNotFit, UnknownName."""
        return tuple(pool.limits(self.router, self.queue_order) for pool in self.pools)

    @property
    def lanes(self) -> tuple[tuple[Pool, ...], ...]:
        """The pools by the calls they are for, in the order in which their rules are tried; the rest's last."""
        return tuple(
            tuple(pool for pool in self.pools if call_rule(pool.calls) == rule) for rule in self.lane_rules
        )

    @property
    def lane_rules(self) -> list[CallRule]:
        """The rules of its lanes; the last is met by every call."""
        return in_turn(call_rule(pool.calls) for pool in self.pools)

    def alone(self) -> Self:
        """One replica of the first kind for each of its calls, which computes them from beginning to end."""
        firsts = (lane[0] for lane in self.lanes)
        return replace(
            self, pools=tuple(replace(pool, replicas=1, role="both", min_replicas=None) for pool in firsts)
        )

    def named(self) -> Self:
        """The same fleet under the catalog's own names. Raises UnknownName."""
        return replace(self, pools=tuple(pool.named() for pool in self.pools))


def _check_number(name: str, value: object, least: float) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value < LONGEST_S:
        raise ScenarioInvalid.not_seconds(name, value)


def _check_name(kind: str, name: object, known: Mapping[str, Any]) -> None:
    if not isinstance(name, str):
        raise ScenarioInvalid.not_text(kind, name)
    if name not in known:
        raise UnknownName.among(kind.replace("_", " "), name, known)


def _known_keys(path: Path, where: str, table: dict[str, Any], known: list[str]) -> None:
    for key in table:
        if key not in known:
            raise UnknownName.among(f"key of {where} in {path}", key, known)


def _needed_keys(path: Path, where: str, table: dict[str, Any]) -> None:
    for key in ("gpu", "model"):
        if key not in table:
            raise ScenarioInvalid.unreadable(path, f"{where} has no '{key}'")
