"""The decorators of every kernel, so that numba's flags stand in one place.

No fastmath: joules and nanoseconds must add up. Kernels release the GIL so that replays may run in threads.
numba's on-disk cache does not notice edits in another module, so a kernel module that calls another kernel
module must be touched when that one changes (CI starts from an empty cache).
"""

from pathlib import Path
from typing import Any

from numba import njit

FLAGS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": False}

NO_RUNTIME: dict[str, Any] = {"_nrt": False}  # missing from numba's own stubs

in_place_kernel = njit(**FLAGS, **NO_RUNTIME, forceinline=True)
"""For kernels that only read and write arrays which they are given.

Without numba's runtime they cannot allocate, and do not count references: where every call hands on a dozen
arrays, the counting took 90 % of the time.
"""

called_kernel = njit(**FLAGS, **NO_RUNTIME)
"""The same, but compiled once instead of into every caller: for what no single step needs.

A call hands on every array by its parts (some 20 ns); machine code in every caller is what compiling takes long for.
"""


def is_compiled(function: Any) -> bool:
    """Whether a kernel's machine code lies on disk, newer than its source; true where JIT is off."""
    cache = getattr(function, "_cache", None)
    if cache is None:
        return True
    source = Path(function.py_func.__code__.co_filename)
    line = function.py_func.__code__.co_firstlineno
    found = Path(cache.cache_path).glob(f"{source.stem}.{function.__name__}-{line}.*.nbi")
    return any(file.stat().st_mtime >= source.stat().st_mtime for file in found)
