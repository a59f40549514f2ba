"""Columns of a trace as numpy arrays: values and which of them are known.

Arrow's own null functions live in a module that takes 0.1 s to import; a replay needs only validity bits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tracekit.analyzers.kernels.layout import Ints

Flags = npt.NDArray[np.bool_]


class Column(NamedTuple):
    """Values (undefined where unknown) and whether each is known; both of shape (rows,)."""

    values: Ints
    known: Flags

    def filled(self, other: int | Ints) -> Ints:
        """The values, with `other` where unknown."""
        return np.where(self.known, self.values, other)


class Lists(NamedTuple):
    """Lists of int64: row i holds `values[offsets[i]:offsets[i + 1]]`; unknown is empty, an unknown value -1."""

    offsets: Ints
    values: Ints


class FloatLists(NamedTuple):
    """Lists of float32: row i holds `values[offsets[i]:offsets[i + 1]]`; unknown is empty, an unknown value NaN."""

    offsets: Ints
    values: npt.NDArray[np.float32]


def ints(table: pa.Table, name: str) -> Column:
    """A column of int64 or int32."""
    array = _one(table, name)
    _validity, data = array.buffers()
    kind = np.dtype(array.type.to_pandas_dtype())
    if not len(array) or data is None:
        return Column(np.zeros(len(array), np.int64), _known(array))
    values = np.frombuffer(data, kind, len(array), array.offset * kind.itemsize)
    return Column(values.astype(np.int64), _known(array))


def flags(table: pa.Table, name: str) -> Flags:
    """A column of bools; unknown is false."""
    array = _one(table, name)
    _validity, data = array.buffers()
    if not len(array) or data is None:
        return np.zeros(len(array), np.bool_)
    return _bits(data, array.offset, len(array)) & _known(array)


def codes(table: pa.Table, name: str) -> tuple[Ints, list[str]]:
    """A category column as indices into its words; -1 where unknown."""
    array = table.column(name)
    array = array.unify_dictionaries().combine_chunks() if array.num_chunks else array
    if isinstance(array, pa.ChunkedArray):
        if not array.num_chunks:
            return np.zeros(0, np.int64), []
        array = array.chunk(0)
    indices = ints(pa.table([array.indices], ["codes"]), "codes")
    return indices.filled(-1), array.dictionary.to_pylist()


def lists(table: pa.Table, name: str) -> Lists:
    """A column of lists of int64."""
    array = _one(table, name)
    if not len(array):
        return Lists(np.zeros(1, np.int64), np.zeros(0, np.int64))
    values = ints(pa.table([array.values], ["values"]), "values").filled(-1)
    return Lists(_offsets(array), values)


def float_lists(table: pa.Table, name: str) -> FloatLists:
    """A column of lists of float32."""
    array = _one(table, name)
    if not len(array):
        return FloatLists(np.zeros(1, np.int64), np.zeros(0, np.float32))
    return FloatLists(_offsets(array), array.values.to_numpy(zero_copy_only=False))


def _offsets(array: pa.Array) -> Ints:
    offsets = np.frombuffer(array.offsets.buffers()[1], np.int32, len(array) + 1, array.offsets.offset * 4)
    return offsets.astype(np.int64)


def _one(table: pa.Table, name: str) -> pa.Array:
    column = table.column(name).combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        return column.chunk(0) if column.num_chunks else pa.array([], column.type)
    return column


def _known(array: pa.Array) -> Flags:
    validity = array.buffers()[0]
    if validity is None:
        return np.ones(len(array), np.bool_) if array.null_count == 0 else np.zeros(len(array), np.bool_)
    return _bits(validity, array.offset, len(array))


def _bits(buffer: pa.Buffer, offset: int, count: int) -> Flags:
    bits = np.unpackbits(np.frombuffer(buffer, np.uint8), bitorder="little")
    return bits[offset : offset + count].astype(np.bool_)
