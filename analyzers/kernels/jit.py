"""The one decorator of every kernel, so that numba's flags stand in one place.

No fastmath: joules and nanoseconds must add up. Kernels release the GIL so that replays may run in threads.
numba's on-disk cache does not notice edits in another module, so a kernel module that calls another kernel
module must be touched when that one changes (`make test` starts from an empty cache).
"""

from numba import njit

kernel = njit(cache=True, nogil=True, error_model="numpy", fastmath=False, forceinline=True, _nrt=False)
