"""Distributions as reports show them: mean, spread and percentiles of one quantity."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

PERCENTILES = (50, 90, 95, 99)
CURVE = tuple(range(0, 101, 2))
"""The percents of a distribution's curve: enough to draw it."""


def percentile(values: npt.NDArray[np.float64], percent: float) -> float:
    """The smallest of `values` (n,), at least one, that `percent` of them do not exceed (numpy's inverted_cdf)."""
    return float(np.percentile(values, percent, method="inverted_cdf"))


@dataclass(frozen=True)
class Distribution:
    """`n` values of one quantity, in its own unit.

    Percentiles are the smallest value that at least so many percent do not exceed (numpy's inverted_cdf);
    `cv` is the coefficient of variation (population standard deviation over mean), `p95_over_p50` the tail,
    `curve` the values at every second percent from 0 to 100.
    """

    n: int
    mean: float
    p50: float
    p90: float
    p95: float
    p99: float
    cv: float | None
    p95_over_p50: float | None
    curve: tuple[float, ...]

    @classmethod
    def of(cls, values: npt.NDArray[np.float64]) -> Distribution | None:
        """The distribution of `values`, or None if there are none."""
        if not len(values):
            return None
        found = np.percentile(values, [*PERCENTILES, *CURVE], method="inverted_cdf").tolist()
        p50, p90, p95, p99 = found[: len(PERCENTILES)]
        mean = float(np.mean(values))
        return cls(
            n=len(values),
            mean=mean,
            p50=p50,
            p90=p90,
            p95=p95,
            p99=p99,
            cv=float(np.std(values)) / mean if mean else None,
            p95_over_p50=p95 / p50 if p50 else None,
            curve=tuple(found[len(PERCENTILES) :]),
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"curve": list(self.curve)}
