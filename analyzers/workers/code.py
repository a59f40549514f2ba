"""What computes a replay's figures, by name: the sources that a worker has, and what its machine makes of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tracekit.analyzers.kernels.code_file import CodeFile


@cache
def sources_digest() -> str:
    """A name for this process's sources of everything that figures come from, and for the numpy that draws."""
    told = hashlib.sha256(np.__version__.encode())
    folder = Path(__file__).parents[1]
    for file in sorted(folder.rglob("*.py")):
        told.update(file.relative_to(folder).as_posix().encode())
        told.update(hashlib.sha256(file.read_bytes()).digest())
    return told.hexdigest()


def computer() -> str:
    """The same with the compilers and the processor, which may round otherwise."""
    return f"{sources_digest()} {CodeFile.ours().path.name}"


def content_digest(columns: Mapping[str, npt.NDArray[np.generic] | tuple[str, ...]]) -> str:
    """A name for what these arrays and lists of names hold."""
    told = hashlib.sha256()
    for name, column in columns.items():
        if isinstance(column, tuple):
            told.update(f"{name} {column!r} ".encode())
            continue
        told.update(f"{name} {column.dtype} {column.shape} ".encode())
        told.update(column.tobytes())
    return told.hexdigest()
