"""Numbers drawn around a mean."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def lognormal(random: np.random.Generator, mean: float, cv: float, count: int) -> Floats:
    """`count` values, one from each of `count` equally likely intervals, shuffled: their mean errs little."""
    sigma = np.sqrt(np.log1p(cv**2))
    quantile = (random.permutation(count) + random.uniform(size=count)) / count
    values: Floats = mean * np.exp(sigma * ndtri(np.clip(quantile, 1e-12, 1 - 1e-12)) - 0.5 * sigma**2)
    return values


def gamma(random: np.random.Generator, mean: float, cv: float, count: int) -> Floats:
    """`count` independent values; without spread, or of mean 0, all are the mean."""
    if cv == 0 or mean == 0:
        return np.full(count, mean)
    return np.asarray(random.gamma(cv**-2, mean * cv**2, count), dtype=np.float64)


def whole(random: np.random.Generator, values: Floats, least: int = 0) -> Ints:
    """Rounded up or down at random, so that the mean stays; no less than `least`."""
    return np.maximum(np.floor(values + random.uniform(size=values.shape)), least).astype(np.int64)
