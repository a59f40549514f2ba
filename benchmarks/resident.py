"""How much of an array is in memory: pages that were never touched are not (Linux alone tells)."""

from __future__ import annotations

import mmap
import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

PRESENT = np.uint64(1 << 63)


def resident_bytes(array: npt.NDArray[Any]) -> int:
    """Of its pages those that are mapped, by /proc/self/pagemap; all of them where there is none."""
    pagemap = Path("/proc/self/pagemap")
    if not pagemap.exists() or array.nbytes < mmap.PAGESIZE:
        return array.nbytes
    first = array.ctypes.data // mmap.PAGESIZE
    pages = -(-(array.ctypes.data + array.nbytes) // mmap.PAGESIZE) - first
    with pagemap.open("rb") as stream:
        stream.seek(8 * first)
        entries = np.frombuffer(stream.read(8 * pages), np.uint64)
    return int(np.count_nonzero(entries & PRESENT)) * mmap.PAGESIZE


def peak_mb() -> float:
    """The most memory that this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
