"""Samples of power: what each record says, and what is said once of its device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import pyarrow as pa

from tracekit.schema import Kind, columns_of
from tracekit.spool import Record
from tracekit.trace import table_of_columns

ROWS_AT_ONCE = 16_384
"""Rows made of records together: some 50 MB of Python objects."""


class Samples:
    """Rows of a recording's `power` records.

    Parameters
    ----------
    devices : the recording's `device` records, in time order; of an id, the last that says something counts.
    host : of the recording; records may name another.
    """

    def __init__(self, devices: Iterable[Record], host: str | None) -> None:
        self._host = host
        self._names = [
            column.name
            for column in columns_of(Kind.POWER_SAMPLE)
            if column.name not in ("kind", "row_id", "start_ns", "host")
        ]
        self._facts: dict[str, Record] = {}
        for device in devices:
            self._facts[device["id"]] = self._facts.get(device["id"], {}) | device

    def tables(
        self, records: Iterable[Record], first_row: int, on_unfit: Callable[[str], None]
    ) -> Iterator[pa.Table]:
        """The rows, numbered from `first_row`, some ten thousands a table; `on_unfit` as in `table_of`."""
        records = iter(records)
        while piece := list(islice(records, ROWS_AT_ONCE)):
            yield table_of_columns(Kind.POWER_SAMPLE, self._columns(piece, first_row), len(piece), on_unfit)
            first_row += len(piece)

    def _columns(self, records: list[Record], first_row: int) -> dict[str, list[Any]]:
        facts = [self._facts.get(record.get("id", ""), {}) for record in records]
        columns: dict[str, list[Any]] = {
            "row_id": list(range(first_row, first_row + len(records))),
            "start_ns": [record["ns"] for record in records],
            "host": [record.get("host") or self._host for record in records],
        }
        for name in self._names:
            if any(name in fact for fact in self._facts.values()):
                values = [
                    record[name] if name in record else fact.get(name)
                    for record, fact in zip(records, facts, strict=True)
                ]
            else:
                values = [record.get(name) for record in records]
            if any(value is not None for value in values):
                columns[name] = values
        return columns
