"""One GPU's data sheet, and what an hour of it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from tracekit.errors import CatalogInvalid

PRICE_KEYS = ("low", "typical", "high", "kind", "source", "date")
# Numbers, each with a source; the first are those that a replay cannot do without.
NEEDED_KEYS = ("memory_gb", "bandwidth_gb_s", "bf16_dense_tflops", "tdp_w", "warm_idle_w", "link_gb_s")
VALUE_KEYS = (*NEEDED_KEYS, "usable_gb", "fp8_dense_tflops", "fp4_dense_tflops", "idle_w")
WORD_KEYS = ("architecture", "memory_type", "link")


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
    """One device's data sheet; None where unknown, or where the device has no such unit.

    `sources` says of each value where it comes from; a value that no data sheet states begins with `measured:` or
    `assumed:`. Rates are dense (without structured sparsity). `bf16_dense_tflops` is the rate of 16-bit floats, which
    are fp16 on devices older than Ampere. `usable_gb` is the memory that the driver reports, in 1e9 bytes;
    `memory_gb` is the number on the data sheet. `link_gb_s` is the GPU's rate to its peers over `link` (NVLink,
    Infinity Fabric or PCIe), both directions together. `idle_w` is the bare device, `warm_idle_w` a device whose
    engine holds a model and waits. `usd_per_hour` is None where no offer is known.
    """

    name: str
    architecture: str
    memory_type: str
    memory_gb: float
    usable_gb: float | None
    bandwidth_gb_s: float
    bf16_dense_tflops: float
    fp8_dense_tflops: float | None
    fp4_dense_tflops: float | None
    tdp_w: float
    idle_w: float | None
    warm_idle_w: float
    link: str
    link_gb_s: float
    usd_per_hour: Price | None
    sources: Mapping[str, str]
    aliases: tuple[str, ...] = ()

    @classmethod
    def from_row(cls, name: str, row: Mapping[str, Any]) -> Self:
        """The GPU of a catalog row. Raises CatalogInvalid where a needed value is missing or no number."""
        for key in (*NEEDED_KEYS, *WORD_KEYS):
            if key not in row:
                raise CatalogInvalid.row_lacks("gpu", name, key)
        values = {key: _number(name, key, row[key]) for key in VALUE_KEYS if key in row}
        rest: dict[str, Any] = dict.fromkeys(VALUE_KEYS) | values | {key: row[key] for key in WORD_KEYS}
        return cls(
            name=name,
            usd_per_hour=Price(**row["usd_per_hour"]) if "usd_per_hour" in row else None,
            sources={key: f"{row[key]['source']} ({row[key]['date']})" for key in values},
            aliases=tuple(row.get("aliases", ())),
            **rest,
        )

    @property
    def price(self) -> Price:
        """What an hour of it costs. Raises CatalogInvalid where no offer is known."""
        if self.usd_per_hour is None:
            raise CatalogInvalid.no_price(self.name)
        return self.usd_per_hour


def _number(name: str, key: str, entry: Mapping[str, Any]) -> float:
    value = entry.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise CatalogInvalid.not_a_number("gpu", name, key, value)
    return value
