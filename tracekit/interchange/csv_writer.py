"""A trace as one tidy CSV: a row a row, `kind` says which, each column once with its unit in the header.

Empty is unknown. Lists are JSON. Text is such that no spreadsheet takes it for a formula. Content is left out, and
so are lists that only serve to compare prompts or to draw a stream's pace: they stay in the trace.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import polars as pl

from tracekit.errors import TraceEmpty
from tracekit.interchange.exported import Exported
from tracekit.interchange.spreadsheet import neutral_columns
from tracekit.schema import COLUMNS, Column, Kind
from tracekit.trace import Trace

_LEFT_OUT = frozenset(
    {
        "request_content", "response_content", "block_hashes", "part_hashes", "part_end_bytes", "part_roles",
        "chunk_gap_us",
    }
)  # fmt: skip
_SPELLED = {"tokens": "tokens", "bytes": "bytes", "MHz": "mhz", "degC": "c", "W": "w", "J": "j"}


def export(trace: Trace) -> Exported:
    """The lines of `trace`: a header with the columns of the kinds in it, then kind after kind.

    Raises
    ------
    TraceEmpty : it has no rows.
    """
    kinds = [kind for kind in Kind if trace.count(kind)]
    if not kinds:
        raise TraceEmpty.of(trace.path, "row", "There is nothing to write.")
    columns = [
        column
        for column in COLUMNS
        if column.name not in _LEFT_OUT and not set(column.kinds).isdisjoint(kinds)
    ]
    return Exported(_lines(trace, kinds, columns), [])


def header(column: Column) -> str:
    """A column's name with its unit, which most names carry already."""
    unit = column.unit
    if not unit or f"_{_SPELLED.get(unit, unit)}" in f"{column.name}_total"[: len(column.name)]:
        return column.name
    return f"{column.name} [{unit}]"


def _lines(trace: Trace, kinds: list[Kind], columns: list[Column]) -> Iterator[str]:
    yield pl.DataFrame(schema=[header(column) for column in columns]).write_csv()
    for kind in kinds:
        own = [column.name for column in columns if kind in column.kinds]
        for piece in trace.pieces(kind, own):
            rows = pl.DataFrame(pl.from_arrow(piece))
            lists = [name for name, dtype in rows.schema.items() if isinstance(dtype, pl.List)]
            rows = neutral_columns(rows.with_columns(_as_json(rows[name]) for name in lists))
            absent = [pl.lit(None).alias(column.name) for column in columns if column.name not in own]
            yield (
                rows.with_columns(absent)
                .select(column.name for column in columns)
                .write_csv(include_header=False)
            )


def _as_json(lists: pl.Series) -> pl.Series:
    texts = [None if value is None else json.dumps(value, ensure_ascii=False) for value in lists.to_list()]
    return pl.Series(lists.name, texts, pl.String)
