"""The trace file: one Parquet table, row groups that never mix kinds, provenance in its metadata."""

from __future__ import annotations

import json
import os
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from tracekit.errors import OutputRefused, RemoteRefused, TracekitError, TraceNotFound, TraceUnreadable
from tracekit.location import Location, Url, location_of, url_meant
from tracekit.provenance import METADATA_KEY, Provenance
from tracekit.remote import opened, refused
from tracekit.schema import COLUMNS, FORMAT_VERSION, Kind, columns_of

ROWS_PER_GROUP = 131_072
ROWS_PER_PIECE = 4_096
"""Read at once where a column holds long lists: some 20 MB of a thousand float32 each."""

_ARROW: dict[str, pa.DataType] = {
    "bool": pa.bool_(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "uint64": pa.uint64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "string": pa.string(),
    "category": pa.dictionary(pa.int32(), pa.string()),
}


def arrow_type(name: str) -> pa.DataType:
    """The Arrow type of a schema type word."""
    if name.startswith("list["):
        return pa.list_(_ARROW[name[5:-1]])
    return _ARROW[name]


@cache
def arrow_schema() -> pa.Schema:
    """The Arrow schema of a trace; each field's metadata holds unit, OTel name and doc."""
    return pa.schema(
        [
            pa.field(
                column.name,
                arrow_type(column.type),
                metadata={"unit": column.unit, "otel": column.otel, "doc": column.doc},
            )
            for column in COLUMNS
        ]
    )


def table_of(
    kind: Kind, rows: Sequence[Mapping[str, Any]], on_unfit: Callable[[str], None] | None = None
) -> pa.Table:
    """`rows` as a table of the full schema; an absent key is null.

    A value that its column cannot hold is null too, if `on_unfit` is there to be told the column's name.

    Raises
    ------
    ValueError : a row has a key that rows of `kind` may not fill.
    pyarrow.ArrowException, TypeError, OverflowError : a value does not fit, and there is no `on_unfit`.
    """
    names = set().union(*rows)
    return table_of_columns(
        kind, {name: [row.get(name) for row in rows] for name in names}, len(rows), on_unfit
    )


def table_of_columns(
    kind: Kind,
    columns: Mapping[str, list[Any]],
    count: int,
    on_unfit: Callable[[str], None] | None = None,
) -> pa.Table:
    """`columns`, each of `count` values, as a table of the full schema; other columns are null.

    `on_unfit` is as in `table_of`.

    Raises
    ------
    ValueError : a column is none that rows of `kind` may fill.
    pyarrow.ArrowException, TypeError, OverflowError : a value does not fit, and there is no `on_unfit`.
    """
    if foreign := columns.keys() - {column.name for column in columns_of(kind)}:
        raise ValueError(f"{kind} rows have no column {', '.join(sorted(foreign))}")
    arrays = []
    for field in arrow_schema():
        if field.name == "kind":
            arrays.append(pa.array([kind.value] * count, pa.string()).cast(field.type))
        elif field.name in columns:
            arrays.append(_array(columns[field.name], field, on_unfit))
        else:
            arrays.append(pa.nulls(count, field.type))
    return pa.table(arrays, schema=arrow_schema())


_UNFIT = (pa.ArrowException, TypeError, OverflowError, ValueError)


def _array(values: list[Any], field: pa.Field, on_unfit: Callable[[str], None] | None) -> pa.Array:
    plain = pa.string() if pa.types.is_dictionary(field.type) else field.type
    try:
        array = pa.array(values, plain)
    except _UNFIT:
        if on_unfit is None:
            raise
        array = pa.array([_fitting(value, plain, field.name, on_unfit) for value in values], plain)
    return array if plain is field.type else array.dictionary_encode().cast(field.type)


def _fitting(value: Any, kind: pa.DataType, name: str, on_unfit: Callable[[str], None]) -> Any:
    """The value if its column can hold it, text with what is no text replaced, else None."""
    if isinstance(value, str):
        value = value.encode("utf-8", "replace").decode()
    try:
        pa.array([value], kind)
    except _UNFIT:
        on_unfit(name)
        return None
    return value


def write_trace(
    path: Path, tables: Mapping[Kind, pa.Table], provenance: Provenance, *, force: bool = False
) -> None:
    """Write the trace atomically: a reader sees the whole file or none.

    Raises
    ------
    OutputRefused : the file exists and `force` is off, or its folder cannot be written.
    OSError : the disk is full; nothing is left behind.
    """
    with TraceWriter(path, force=force) as writer:
        for kind in Kind:
            if (table := tables.get(kind)) is not None:
                writer.write(table)
        writer.provenance = provenance


class TraceWriter:
    """A trace written piece by piece, each a table of one kind; it appears at `path` whole or not at all, mode 0600.

    Used as a context: an exception inside it leaves nothing behind. `provenance` is set before the end.

    Raises
    ------
    OutputRefused : the file exists and `force` is off, or its folder cannot be written.
    """

    def __init__(self, path: Path, *, force: bool = False) -> None:
        check_output(path, force=force)
        self.provenance: Provenance | None = None
        self._path = path
        self._partial = path.with_name(f".{path.name}.{os.getpid()}.partial")

    def __enter__(self) -> Self:
        self._partial.unlink(missing_ok=True)
        os.close(os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))  # its owner's alone
        try:
            self._file = pq.ParquetWriter(self._partial, arrow_schema(), compression="zstd")
        except BaseException:
            self._partial.unlink(missing_ok=True)
            raise
        return self

    def write(self, table: pa.Table) -> None:
        """Appends rows of one kind, as `table_of` makes them.

        Raises
        ------
        OSError : the disk is full.
        """
        if table.num_rows:
            self._file.write_table(table.replace_schema_metadata(None), ROWS_PER_GROUP)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None and self.provenance is not None:
                self._file.add_key_value_metadata({METADATA_KEY: self.provenance.to_json()})
            self._file.close()
            if kind is None:
                with self._partial.open("rb") as written:
                    os.fsync(written.fileno())
                os.replace(self._partial, self._path)
        finally:
            self._partial.unlink(missing_ok=True)


def check_output(path: Path, *, force: bool) -> None:
    """Refuse early what writing would refuse late.

    Raises
    ------
    OutputRefused : the file exists and `force` is off, or its folder is missing or cannot be written.
    """
    if (url := url_meant(path)) is not None:
        raise OutputRefused.elsewhere(url)
    if path.is_dir():
        raise OutputRefused.not_writable(path, "it is a folder")
    if path.exists() and not force:
        raise OutputRefused.exists(path)
    if not path.parent.is_dir():
        raise OutputRefused.not_writable(path, f"there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputRefused.not_writable(path, f"the folder {path.parent} is read-only")


@dataclass(frozen=True)
class Trace:
    """An open trace; rows are read per kind, on demand."""

    path: Location
    provenance: Provenance
    _file: pq.ParquetFile
    _groups: Mapping[Kind, tuple[int, ...]]
    _present: frozenset[str]

    @classmethod
    def open(cls, path: Location | str) -> Trace:
        """The trace at `path`, which may be a URL that fsspec reads; its footer is read and checked.

        Raises
        ------
        TraceNotFound, TraceUnreadable : missing; truncated, foreign, newer or damaged.
        RemoteRefused, UnknownName : a URL that cannot be read.
        """
        if isinstance(path, str):
            path = location_of(path)
        file = _parquet_file(path)
        provenance = _provenance(path, file)
        names = file.schema_arrow.names  # translated anew on every access
        return cls(path, provenance, file, _groups_by_kind(path, file, names), frozenset(names))

    def count(self, kind: Kind) -> int:
        """Rows of `kind`, from the footer alone."""
        return sum(self._file.metadata.row_group(group).num_rows for group in self._groups.get(kind, ()))

    def rows(self, kind: Kind, columns: Iterable[str] | None = None) -> pa.Table:
        """The rows of `kind`, with `columns` or all that the kind may fill.

        A column that an older file lacks is null throughout.

        Raises
        ------
        TraceUnreadable : the bytes of a row group are damaged.
        RemoteRefused : they did not come.
        """
        wanted = [column.name for column in columns_of(kind)] if columns is None else list(columns)
        groups = list(self._groups.get(kind, ()))
        if not groups:
            return pa.schema([arrow_schema().field(name) for name in wanted]).empty_table()
        try:
            table = self._file.read_row_groups(groups, [name for name in wanted if name in self._present])
        except _faults(self.path) as error:
            raise _unreadable(self.path, error) from error
        return self._with_absent(table, wanted)

    def pieces(self, kind: Kind, columns: Iterable[str]) -> Iterator[pa.Table]:
        """The same rows, some thousands at a time: for columns of long lists, which may not fit in memory together.

        Raises
        ------
        TraceUnreadable : the bytes of a row group are damaged.
        RemoteRefused : they did not come.
        """
        wanted, groups = list(columns), list(self._groups.get(kind, ()))
        present = [name for name in wanted if name in self._present]
        # what is read ahead of a file elsewhere is one row group, not all
        parts = [[group] for group in groups] if isinstance(self.path, Url) else [groups]
        try:
            for part in parts if groups else ():
                for batch in self._file.iter_batches(ROWS_PER_PIECE, part, present):
                    yield self._with_absent(pa.Table.from_batches([batch]), wanted)
        except _faults(self.path) as error:
            raise _unreadable(self.path, error) from error

    def _with_absent(self, table: pa.Table, wanted: list[str]) -> pa.Table:
        """The columns wanted, those that the file lacks null throughout."""
        schema = arrow_schema()
        arrays = [
            table.column(name) if name in self._present else pa.nulls(table.num_rows, schema.field(name).type)
            for name in wanted
        ]
        return pa.table(arrays, names=wanted)


def _parquet_file(path: Location) -> pq.ParquetFile:
    if isinstance(path, Path) and not path.is_file():
        raise TraceNotFound.at(path)
    try:
        if isinstance(path, Url):
            file = opened(path)
            parquet = pq.ParquetFile(file, pre_buffer=True)
            weakref.finalize(parquet, file.close)
            return parquet
        # reading ahead pays on slow file systems, and keeps the bytes of all columns at once
        return pq.ParquetFile(path, pre_buffer=False)
    except _faults(path) as error:
        raise _unreadable(path, error) from error


def _faults(path: Location) -> tuple[type[Exception], ...]:
    """What reading it may raise; drivers of files elsewhere have errors of their own."""
    return (Exception,) if isinstance(path, Url) else (pa.ArrowException, OSError)


def _unreadable(path: Location, error: Exception) -> TracekitError:
    reason = next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
    if isinstance(path, Path):
        return TraceUnreadable.truncated(path, reason)
    return (
        RemoteRefused.no_parquet(path, reason)
        if isinstance(error, pa.ArrowException)
        else refused(path, error)
    )


def _provenance(path: Location, file: pq.ParquetFile) -> Provenance:
    text = (file.metadata.metadata or {}).get(METADATA_KEY)
    if text is None:
        raise TraceUnreadable.foreign(path)
    try:
        version = int(json.loads(text)["format_version"])
        if version > FORMAT_VERSION:
            raise TraceUnreadable.newer(path, version, FORMAT_VERSION)
        return Provenance.from_json(text)
    except (ValueError, TypeError, KeyError) as error:
        raise TraceUnreadable.damaged(path, f"its provenance cannot be read: {error}") from error


def _groups_by_kind(path: Location, file: pq.ParquetFile, names: list[str]) -> dict[Kind, tuple[int, ...]]:
    groups: dict[Kind, list[int]] = {}
    if "kind" not in names:
        raise TraceUnreadable.damaged(path, "it has no column 'kind'")
    column = names.index("kind")
    for group in range(file.metadata.num_row_groups):
        statistics = file.metadata.row_group(group).column(column).statistics
        if statistics is None or statistics.min != statistics.max:
            raise TraceUnreadable.damaged(path, f"row group {group} mixes kinds")
        try:
            groups.setdefault(Kind(statistics.min), []).append(group)
        except ValueError:
            continue  # a kind that a later minor version added
    return {kind: tuple(indices) for kind, indices in groups.items()}
