"""The decorators of every kernel, so that numba's flags stand in one place.

No fastmath: joules and nanoseconds must add up. Kernels release the GIL so that replays may run in threads.
numba's on-disk cache does not notice edits in another module, so a kernel module that calls another kernel
module must be touched when that one changes (`make test` starts from an empty cache).
"""

from typing import Any

from numba import njit

FLAGS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": False}

kernel = njit(**FLAGS)

IN_PLACE: dict[str, Any] = {"forceinline": True, "_nrt": False}  # `_nrt` is missing from numba's own stubs

in_place_kernel = njit(**FLAGS, **IN_PLACE)
"""For kernels that only read and write arrays which they are given.

Without numba's runtime they cannot allocate, and do not count references: where every call hands on a dozen
arrays, the counting took 90 % of the time.
"""
