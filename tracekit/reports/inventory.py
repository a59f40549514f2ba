"""What a trace holds and what the catalogs know, as a document and as tables."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from tracekit.analyzers.catalog import catalog
from tracekit.reports.recording import not_seen_lines
from tracekit.reports.terminal import wide_console
from tracekit.schema import COLUMNS, Kind
from tracekit.trace import Trace

SCHEMA_VERSION = 1
Document = dict[str, Any]


def trace_document(trace: Trace) -> Document:
    """Rows by kind, provenance and what was not seen."""
    return {
        "schema_version": SCHEMA_VERSION,
        "trace": str(trace.path),
        "rows": {kind.value: trace.count(kind) for kind in Kind},
        "provenance": asdict(trace.provenance),
        "not_seen": list(not_seen_lines(trace.provenance.not_seen)),
    }


def gpu_rows() -> list[Document]:
    """One record a GPU: data sheet, price range, sources."""
    return [asdict(catalog.gpu(name)) for name in catalog.names("gpus")]


def model_rows() -> list[Document]:
    """One record a model: its architecture and source."""
    return [asdict(catalog.model(name)) for name in catalog.names("models")]


def column_rows() -> list[Document]:
    """One record a column of the trace file."""
    return [column._asdict() for column in COLUMNS]


def to_json(document: Document) -> str:
    """The JSON text that `--json` prints."""
    every: Document = {"schema_version": SCHEMA_VERSION, "trace": None, "assumptions": [], "sources": {}}
    return json.dumps(every | document, indent=2, sort_keys=True)


def print_document(document: Document) -> None:
    """The document as tables on stdout."""
    console = wide_console()
    if "rows" in document:
        _print_trace(console, document)
    if "gpus" in document:
        console.print(_gpu_table(document["gpus"]))
    if "models" in document:
        console.print(_model_table(document["models"]))
    if "columns" in document:
        console.print(_column_table(document["columns"]))


def _print_trace(console: Console, document: Document) -> None:
    provenance = document["provenance"]
    table = Table("kind", "rows", title=document["trace"], title_justify="left")
    for kind, count in document["rows"].items():
        if count:
            table.add_row(kind, f"{count:,}")
    console.print(table)
    console.print(
        f"made by   tracekit {provenance['software_version']}, origin {provenance['origin']}", highlight=False
    )
    console.print(f"command   {shlex.join(provenance['command'])}", highlight=False, markup=False)
    for name, text in provenance["labels"].items():
        console.print(f"label     {name}: {text}", highlight=False, markup=False)
    for phrase in document["not_seen"]:
        console.print(f"not seen  {phrase}", highlight=False, markup=False)
    if provenance["recovered"]:
        console.print("recovered from the spool of a recording that was cut off")


def _gpu_table(rows: list[Document]) -> Table:
    table = Table(
        "GPU",
        "memory GB",
        "GB/s",
        "bf16 TFLOPS",
        "TDP W",
        "warm idle W",
        "$/h (low-high)",
        title="GPUs",
        title_justify="left",
    )
    for row in rows:
        price = row["usd_per_hour"]
        table.add_row(
            row["name"],
            f"{row['memory_gb']:g}",
            f"{row['bandwidth_gb_s']:g}",
            f"{row['bf16_dense_tflops']:g}",
            f"{row['tdp_w']:g}",
            f"{row['warm_idle_w']:g}",
            f"{price['typical']:.2f} ({price['low']:.2f}-{price['high']:.2f}), {price['date']}",
        )
    return table


def _model_table(rows: list[Document]) -> Table:
    table = Table(
        "model",
        "parameters",
        "layers",
        "hidden",
        "heads / kv",
        "context",
        title="Models",
        title_justify="left",
    )
    for row in rows:
        table.add_row(
            row["name"],
            f"{row['parameters'] / 1e9:.2f} B",
            str(row["layers"]),
            str(row["hidden_size"]),
            f"{row['heads']} / {row['kv_heads']}",
            f"{row['max_model_len']:,}",
        )
    return table


def _column_table(rows: list[Document]) -> Table:
    table = Table(
        "column", "type", "unit", "kinds", "meaning", title="Columns of a trace", title_justify="left"
    )
    for row in rows:
        table.add_row(row["name"], row["type"], row["unit"], ", ".join(row["kinds"]), row["doc"])
    return table
