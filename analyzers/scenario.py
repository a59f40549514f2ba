"""The scenario a workload is replayed under: which fleet, which router, which engine limits."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.hardware import Replica, kv_capacity_tokens
from tracekit.analyzers.kernels.layout import BLOCK_TOKENS, FleetLimits, Router
from tracekit.errors import ScenarioInvalid, UnknownName

ROUTERS = {router.name.lower().replace("_", "-"): router for router in Router}
DEFAULT_ROUTER = "least-outstanding"


@dataclass(frozen=True)
class Fleet:
    """Identical replicas of one model behind one router.

    `assumed` names what the user did not choose; reports print it first.
    """

    gpu: str
    model: str
    tp: int = 1
    replicas: int = 1
    router: str = DEFAULT_ROUTER
    engine: str = catalog.DEFAULT_ENGINE
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    max_model_len: int | None = None
    prefix_cache: bool = True
    assumed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("gpu", "model", "router", "engine"):
            if not isinstance(getattr(self, name), str):
                raise ScenarioInvalid.not_text(name, getattr(self, name))
        if not isinstance(self.prefix_cache, bool):
            raise ScenarioInvalid.not_a_flag("prefix_cache", self.prefix_cache)
        if self.router not in ROUTERS:
            raise UnknownName.among("router", self.router, ROUTERS)
        for name in ("tp", "replicas", "max_num_seqs", "max_num_batched_tokens", "max_model_len"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise ScenarioInvalid.not_positive(name, value)

    @classmethod
    def from_toml(cls, path: Path) -> Self:
        """The fleet described by the table ``[fleet]`` of a TOML file.

        Raises
        ------
        ScenarioInvalid, UnknownName : the file cannot be read, or has a key or name that is not known.
        """
        try:
            table = tomllib.loads(path.read_text("utf-8")).get("fleet")
        except (OSError, ValueError) as error:
            raise ScenarioInvalid.unreadable(path, str(error)) from error
        if not isinstance(table, dict):
            raise ScenarioInvalid.unreadable(path, "it has no table [fleet]")
        return cls(
            **_known_keys(path, table, [field.name for field in fields(cls) if field.name != "assumed"])
        )

    def replica(self) -> Replica:
        """One replica's parts from the catalog. Raises UnknownName, ScenarioInvalid."""
        model = catalog.model(self.model)
        if model.heads % self.tp:
            raise ScenarioInvalid.tp_does_not_divide(self.tp, model.name, model.heads)
        return Replica(catalog.gpu(self.gpu), catalog.model(self.model), catalog.engine(self.engine), self.tp)

    def limits(self) -> FleetLimits:
        """What the scheduler may do. Raises ModelDoesNotFit, UnknownName."""
        replica = self.replica()
        # vLLM's block 0 is a placeholder that no call gets
        blocks = kv_capacity_tokens(replica) // BLOCK_TOKENS - 1
        capacity = blocks * BLOCK_TOKENS
        return FleetLimits(
            replicas=self.replicas,
            router=int(ROUTERS[self.router]),
            max_num_seqs=self.max_num_seqs or replica.engine.max_num_seqs,
            max_num_batched_tokens=self.max_num_batched_tokens or replica.engine.max_num_batched_tokens,
            block_size=BLOCK_TOKENS,
            num_blocks=blocks,
            max_model_len=self.max_model_len or min(replica.model.max_model_len, capacity),
            enable_prefix_cache=int(self.prefix_cache),
        )

    def named(self) -> Self:
        """The same fleet under the catalog's own names. Raises UnknownName."""
        return replace(self, gpu=catalog.gpu(self.gpu).name, model=catalog.model(self.model).name)


def _known_keys(path: Path, table: dict[str, Any], known: list[str]) -> dict[str, Any]:
    for key in table:
        if key not in known:
            raise UnknownName.among(f"key of [fleet] in {path}", key, known)
    for key in ("gpu", "model"):
        if key not in table:
            raise ScenarioInvalid.unreadable(path, f"[fleet] has no '{key}'")
    return table
