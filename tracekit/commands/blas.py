"""OpenBLAS, numpy's linear algebra, which no replay and no analysis calls."""

from __future__ import annotations

import os
import sys

THREADS = "OPENBLAS_NUM_THREADS"


def load_without_threads() -> None:
    """Imports numpy, if this is its first import, without a pool of threads.

    OpenBLAS starts a thread per core when it is loaded, and each spins for some 30 ms before it first sleeps.
    The variable is gone again afterwards: a process that this one starts may want the threads.
    """
    if THREADS in os.environ or "numpy" in sys.modules:
        return
    os.environ[THREADS] = "1"
    try:
        import numpy  # noqa: F401
    finally:
        del os.environ[THREADS]
