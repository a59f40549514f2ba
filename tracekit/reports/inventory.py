"""What a trace holds, as a document and as tables; the catalogs' tables beside it."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from rich.console import Console
from rich.table import Table

from tracekit.provenance import Host
from tracekit.reports import catalog_tables
from tracekit.reports.merged import host_line
from tracekit.reports.recording import not_seen_lines
from tracekit.reports.terminal import wide_console
from tracekit.schema import COLUMNS, Kind
from tracekit.trace import Trace

SCHEMA_VERSION = 1
Document = dict[str, Any]
# Of each catalog in a document: the table of its values, and that of their sources.
CATALOGS = MappingProxyType(
    {
        "gpus": (catalog_tables.gpu_table, catalog_tables.gpu_source_table),
        "models": (catalog_tables.model_table, catalog_tables.model_source_table),
        "grids": (catalog_tables.grid_table, catalog_tables.grid_table),
        "pues": (catalog_tables.pue_table, catalog_tables.pue_table),
        "hosts": (catalog_tables.host_table, catalog_tables.host_table),
    }
)


def trace_document(trace: Trace) -> Document:
    """Rows by kind, provenance and what was not seen."""
    return {
        "schema_version": SCHEMA_VERSION,
        "trace": str(trace.path),
        "rows": {kind.value: trace.count(kind) for kind in Kind},
        "provenance": asdict(trace.provenance),
        "not_seen": list(not_seen_lines(trace.provenance.not_seen)),
    }


def column_rows() -> list[Document]:
    """One record a column of the trace file."""
    return [column._asdict() for column in COLUMNS]


def to_json(document: Document) -> str:
    """The JSON text that `--json` prints."""
    every: Document = {"schema_version": SCHEMA_VERSION, "trace": None, "assumptions": [], "sources": {}}
    return json.dumps(every | document, indent=2, sort_keys=True)


def print_document(document: Document, *, sources: bool = False) -> None:
    """The document as tables on stdout; of the catalogs their values, or where those come from."""
    console = wide_console()
    if "rows" in document:
        _print_trace(console, document)
    for key, tables in CATALOGS.items():
        if key in document:
            console.print(tables[sources](document[key]))
    if "columns" in document:
        console.print(_column_table(document["columns"]))


def _print_trace(console: Console, document: Document) -> None:
    provenance = document["provenance"]
    console.print(document["trace"], highlight=False, markup=False, soft_wrap=True)
    table = Table("kind", "rows")
    for kind, count in document["rows"].items():
        if count:
            table.add_row(kind, f"{count:,}")
    console.print(table)
    console.print(
        f"made by   tracekit {provenance['software_version']}, origin {provenance['origin']}", highlight=False
    )
    console.print(f"command   {shlex.join(provenance['command'])}", highlight=False, markup=False)
    if any(host["clock_source"] for host in provenance["hosts"]):  # merged
        for host in provenance["hosts"]:
            console.print(f"clock     {host_line(Host(**host))}", highlight=False, markup=False)
    for name, text in provenance["labels"].items():
        console.print(f"label     {name}: {text}", highlight=False, markup=False)
    for phrase in document["not_seen"]:
        console.print(f"not seen  {phrase}", highlight=False, markup=False)
    if provenance["recovered"]:
        console.print("recovered from the spool of a recording that was cut off")


def _column_table(rows: list[Document]) -> Table:
    table = Table(
        "column", "type", "unit", "kinds", "meaning", title="Columns of a trace", title_justify="left"
    )
    for row in rows:
        table.add_row(row["name"], row["type"], row["unit"], ", ".join(row["kinds"]), row["doc"])
    return table
