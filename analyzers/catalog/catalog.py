"""GPUs, models, engine profiles and grids as records, read from the TOML files beside this module."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tracekit.errors import UnknownName


@dataclass(frozen=True)
class Price:
    """Dollars per GPU-hour: a range, `typical` for reports, with kind, source and date."""

    low: float
    typical: float
    high: float
    kind: str
    source: str
    date: str


@dataclass(frozen=True)
class Gpu:
    """One device's data sheet; `sources` says where each value comes from."""

    name: str
    memory_gb: float
    bandwidth_gb_s: float
    bf16_dense_tflops: float
    tdp_w: float
    nvlink_gb_s: float
    warm_idle_w: float
    usd_per_hour: Price
    sources: Mapping[str, str]


@dataclass(frozen=True)
class Model:
    """One model's architecture."""

    name: str
    source: str
    parameters: int
    layers: int
    hidden_size: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied_embeddings: bool
    dtype_bytes: int
    max_model_len: int

    @property
    def streamed_parameters(self) -> int:
        """Parameters read in every step: all but an input embedding of its own (rows are looked up)."""
        embedding = 0 if self.tied_embeddings else self.vocabulary * self.hidden_size
        return self.parameters - embedding

    @property
    def kv_bytes_per_token(self) -> int:
        return 2 * self.layers * self.kv_heads * self.head_dim * self.dtype_bytes


@dataclass(frozen=True)
class ErrorBand:
    """How wrong a formula was, on what: shares of 1."""

    mape: float
    median_ape: float
    on: str


@dataclass(frozen=True)
class PowerFit:
    """Coefficients of the power curve, and their error."""

    q0: float
    q1: float
    q2: float
    exponent: float
    cap: float
    error: ErrorBand


@dataclass(frozen=True)
class Engine:
    """An engine profile: host terms, efficiencies, scheduler limits."""

    name: str
    scheduler: str
    source: str
    weight_efficiency: float
    kv_efficiency: float
    compute_efficiency: float
    step_us: float
    layer_us: float
    sequence_us: float
    all_reduce_us: float
    max_num_seqs: int
    max_num_batched_tokens: int
    memory_share: float
    activation_gb: float
    itl_error: ErrorBand
    power: PowerFit


@dataclass(frozen=True)
class Grid:
    """Carbon intensity of one grid, gCO2e/kWh, as the range between two sources."""

    code: str
    name: str
    low: float
    high: float
    source: str


DEFAULT_ENGINE = "vllm-0.11"
DEFAULT_GRID = "WOR"


def gpu(name: str) -> Gpu:
    """The GPU of that name or alias. Raises UnknownName, with the nearest names."""
    table = _table("gpus")
    key = _key("GPU", name, table)
    row = table[key]
    values = {field: entry for field, entry in row.items() if field not in ("aliases", "usd_per_hour")}
    return Gpu(
        name=key,
        usd_per_hour=Price(**row["usd_per_hour"]),
        sources={field: f"{entry['source']} ({entry['date']})" for field, entry in values.items()},
        **{field: float(entry["value"]) for field, entry in values.items()},
    )


def model(name: str) -> Model:
    """The model of that name or alias. Raises UnknownName, with the nearest names."""
    table = _table("models")
    key = _key("model", name, table)
    row = {field: value for field, value in table[key].items() if field not in ("aliases", "source", "date")}
    return Model(name=key, source=f"{table[key]['source']} ({table[key]['date']})", **row)


def find_model(name: str | None) -> Model | None:
    """The model of that name or alias, or None: a model that is not known never maps silently."""
    table = _table("models")
    aliases = _aliases(table)
    return model(aliases[name.lower()]) if name is not None and name.lower() in aliases else None


def engine(name: str = DEFAULT_ENGINE) -> Engine:
    """The engine profile of that name. Raises UnknownName."""
    table = _table("engines")
    key = _key("engine", name, table)
    row = {
        field: value
        for field, value in table[key].items()
        if field not in ("aliases", "date", "power", "itl_error")
    }
    fit = dict(table[key]["power"])
    return Engine(
        name=key,
        itl_error=ErrorBand(**table[key]["itl_error"]),
        power=PowerFit(error=ErrorBand(**fit.pop("error")), **fit),
        **row,
    )


def grid(code: str = DEFAULT_GRID) -> Grid:
    """The grid of that ISO 3166 code (WOR: the world). Raises UnknownName."""
    table = _table("grids")
    key = _key("grid", code, table)
    return Grid(code=key, **{field: value for field, value in table[key].items() if field != "date"})


def names(kind: str) -> list[str]:
    """The names in one catalog: gpus, models, engines or grids."""
    return list(_table(kind))


@cache
def _table(kind: str) -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / f"{kind}.toml").read_text("utf-8"))


def _aliases(table: Mapping[str, Any]) -> dict[str, str]:
    return {alias.lower(): key for key, row in table.items() for alias in (key, *row.get("aliases", ()))}


def _key(kind: str, name: str, table: Mapping[str, Any]) -> str:
    aliases = _aliases(table)
    if name.lower() not in aliases:
        also = [alias for row in table.values() for alias in row.get("aliases", ())]
        raise UnknownName.among(kind, name, table, also)
    return aliases[name.lower()]
