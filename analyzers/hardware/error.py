"""How wrong modelled values are, against measured ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tracekit.analyzers.kernels.layout import Floats


class Error(NamedTuple):
    """Of n values: shares of 1. APE is |modelled / measured - 1|; the bias is the mean with its sign."""

    n: int
    mape: float
    median_ape: float
    bias: float


STATISTICS = ("mape", "median_ape", "bias")


def error_of(modelled: Floats, measured: Floats) -> Error | None:
    """The error over the points (n,) where both are known; None where there is no such point."""
    off = modelled / measured - 1.0
    off = off[np.isfinite(off)]
    if not len(off):
        return None
    ape = np.abs(off)
    return Error(len(off), float(ape.mean()), float(np.median(ape)), float(off.mean()))
