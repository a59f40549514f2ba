"""The points of a sweep as a flat table, one row a point: for CSV and Parquet."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tracekit.analyzers.sweep.figures import Figures
from tracekit.reports.document import Document
from tracekit.reports.words import shown_name
from tracekit.trace import check_output

LONGEST = 500
Columns = dict[str, list[Any]]


def sweep_columns(document: Document) -> Columns:
    """By name: trace, each switch, whether it is on the front, the error, then figures; with seeds, their intervals."""
    points = document["points"]
    columns: Columns = {
        "trace": [shown_name(point["trace"], LONGEST) for point in points],
        **{name: [point["switches"][name] for point in points] for name in document["over"]},
        "on_front": [point["on_front"] for point in points],
        "error": [point["error"] for point in points],
    }
    for name in _figure_names(document):
        columns[name] = [(point["figures"] or {}).get(name) for point in points]
        if document["interval_level"] is not None:
            for place, end in enumerate(("low", "high")):
                columns[f"{name}_{end}"] = [_end(point, name, place) for point in points]
    return columns


def sweep_csv(document: Document) -> str:
    """The table as CSV; unknown is empty."""
    columns = sweep_columns(document)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow(_cell(value) for value in row)
    return text.getvalue()


def write_sweep_parquet(path: Path, document: Document, *, force: bool) -> None:
    """Writes the table atomically.

    Raises
    ------
    OutputRefused : the file exists and `force` is off, or its folder cannot be written.
    """
    check_output(path, force=force)
    columns = sweep_columns(document)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        pq.write_table(pa.table({name: _array(name, values) for name, values in columns.items()}), partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _figure_names(document: Document) -> list[str]:
    figures: Figures = next(point["figures"] for point in document["points"] if point["figures"] is not None)
    return list(figures)


def _end(point: Document, name: str, place: int) -> float | None:
    interval = point["intervals"].get(name)
    return None if interval is None else interval[place]


def _array(name: str, values: list[Any]) -> pa.Array:
    """Text and flags as they are; figures as float64, so that a mean of counts and an unknown column have a type."""
    if name == "on_front":
        return pa.array(values, pa.bool_())
    is_figure = all(value is None or isinstance(value, int | float) for value in values) and name != "error"
    return pa.array(values, pa.float64() if is_figure else pa.string())


def _cell(value: object) -> object:
    """Such that no spreadsheet takes text for a formula."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and value[:1] in tuple("=+-@") and not _is_number(value):
        return f"'{value}"
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
