"""What the catalogs know, as documents and as tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from rich.table import Table

from tracekit.analyzers.catalog import catalog, facility
from tracekit.analyzers.catalog.gpu import VALUE_KEYS

Document = dict[str, Any]


def gpu_rows() -> list[Document]:
    """One record a GPU: data sheet, price range, sources."""
    return [asdict(catalog.gpu(name)) for name in catalog.names("gpus")]


def model_rows() -> list[Document]:
    """One record a model: its architecture, source, and the sizes that follow."""
    return [_model_row(catalog.model(name)) for name in catalog.names("models")]


def _model_row(model: catalog.Model) -> Document:
    return asdict(model) | {
        "active_parameters": model.active_parameters,
        "weight_bytes": model.weight_bytes,
        "kv_bytes_per_token": model.kv_bytes_per_token,
    }


def grid_rows() -> list[Document]:
    """One record a grid: its range and sources."""
    return [asdict(catalog.grid(code)) for code in catalog.names("grids")]


def pue_rows() -> list[Document]:
    """One record an operator: power usage effectiveness and year."""
    return [asdict(row) for row in facility.pues()]


def host_rows() -> list[Document]:
    """One record a server: watts beside its GPUs, for each of them."""
    return [asdict(row) for row in facility.hosts()]


def gpu_table(rows: list[Document]) -> Table:
    """Data sheets; `-` stands where the device lacks it or nobody says."""
    columns = (
        "GPU", "GB", "GB/s", "TFLOPS at 16/8/4 bits", "TDP W", "idle/warm W", "link GB/s", "$/h (low-high)"
    )  # fmt: skip
    table = _table("GPUs", columns)
    for row in rows:
        rates = "/".join(_number(row[f"{kind}_dense_tflops"]) for kind in ("bf16", "fp8", "fp4"))
        table.add_row(
            row["name"],
            _number(row["memory_gb"]),
            _number(row["bandwidth_gb_s"]),
            rates,
            _number(row["tdp_w"]),
            f"{_number(row['idle_w'])}/{_assumed(row, 'warm_idle_w')}",
            f"{row['link']} {row['link_gb_s']:g}",
            _price(row["usd_per_hour"]),
        )
    table.caption = "* assumed; --sources says from what, and the dates of prices"
    table.caption_justify = "left"
    return table


def _assumed(row: Document, key: str) -> str:
    mark = "*" if row["sources"][key].startswith("assumed:") else ""
    return f"{row[key]:g}{mark}"


def _price(price: Document | None) -> str:
    if price is None:
        return "-"
    return f"{price['typical']:.2f} ({price['low']:.2f}-{price['high']:.2f})"


def model_table(rows: list[Document]) -> Table:
    """Sizes: parameters, of them active, weights, cache of a token, and the longest context."""
    columns = (
        "model",
        "parameters",
        "active",
        "weights",
        "layers",
        "hidden",
        "heads / kv",
        "KV/token",
        "context",
    )
    table = _table("Models", columns)
    for row in rows:
        active = row["active_parameters"]
        table.add_row(
            row["name"],
            f"{row['parameters'] / 1e9:.2f} B",
            f"{active / 1e9:.1f} B" if row["experts"] else "-",
            f"{row['weight_bytes'] / 1e9:.1f} GB {row['precision']}",
            str(row["layers"]),
            str(row["hidden_size"]),
            "latent" if row["latent_values"] else f"{row['heads']} / {row['kv_heads']}",
            f"{row['kv_bytes_per_token'] / 1024:.0f} KiB",
            f"{row['max_model_len']:,}",
        )
    return table


def grid_table(rows: list[Document]) -> Table:
    """Carbon intensities."""
    table = _table("Grids", ("code", "grid", "gCO2e/kWh", "source"))
    for row in rows:
        table.add_row(row["code"], row["name"], _range(row["low"], row["high"]), row["source"])
    return table


def _range(low: float, high: float) -> str:
    return f"{low:g}" if low == high else f"{low:g}-{high:g}"


def pue_table(rows: list[Document]) -> Table:
    """Operators."""
    table = _table("Power usage effectiveness", ("name", "operator", "PUE", "year", "source"))
    for row in rows:
        table.add_row(row["name"], row["operator"], f"{row['pue']:.2f}", str(row["year"]), row["source"])
    return table


def host_table(rows: list[Document]) -> Table:
    """Servers."""
    table = _table("Hosts", ("name", "server", "W/GPU", "state", "source"))
    for row in rows:
        table.add_row(
            row["name"],
            row["server"],
            f"{row['host_w_per_gpu']:g}",
            row["state"],
            f"{row['source']} ({row['date']})",
        )
    return table


def gpu_source_table(rows: list[Document]) -> Table:
    """One line a value."""
    table = _table("Where the GPUs' values come from", ("GPU", "value", "", "source"))
    for row in rows:
        for key in VALUE_KEYS:
            if key in row["sources"]:
                table.add_row(row["name"], key, _number(row[key]), row["sources"][key])
        price = row["usd_per_hour"]
        if price:
            table.add_row(
                row["name"],
                "usd_per_hour",
                f"{price['typical']:g}",
                f"{price['kind']}: {price['source']} ({price['date']})",
            )
    return table


def model_source_table(rows: list[Document]) -> Table:
    """One line a model, with its other spellings."""
    table = _table("Where the models' values come from", ("model", "source", "also known as"))
    for row in rows:
        table.add_row(row["name"], f"{row['source']} ({row['date']})", ", ".join(row["aliases"]))
    return table


def _number(value: float | str | None) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:g}"


def _table(title: str, columns: Iterable[str]) -> Table:
    first, *others = columns
    table = Table(title=title, title_justify="left")
    table.add_column(first, no_wrap=True)
    for column in others:
        table.add_column(column)
    return table
