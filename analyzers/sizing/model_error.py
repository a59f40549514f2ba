"""How wrong the model of time and power may be: one lognormal factor on each, per replicate.

The factors of a replicate are exp(sigma z) with z standard normal, drawn once for all fleets; sigma is the fleet's,
from the mean error that the tier it is modelled by was validated to have. A lognormal factor of median 1 is off by
exp(sigma^2 / 2) (2 Phi(sigma) - 1) on average, from which sigma follows.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from tracekit.analyzers.catalog.engine import ErrorBand
from tracekit.analyzers.kernels.layout import Pool
from tracekit.analyzers.scenario import Fleet
from tracekit.analyzers.scenario import Pool as ScenarioPool

UNKNOWN_MAPE = 0.3
"""Where a calibration is too small to say how far off it is: the worst that analytic tiers were found to be."""
HOST_TERMS = ("host_base_s", "host_prompt_s", "host_decode_s")


class ModelError(NamedTuple):
    """The sigmas of the logarithms of the two factors."""

    time: float
    power: float


class Deviation(NamedTuple):
    """How many sigmas a replicate is off, in time and in power; (0, 0) is the model as it is."""

    time: float = 0.0
    power: float = 0.0

    def beside(self, other: Deviation) -> Deviation:
        """Both together."""
        return Deviation(self.time + other.time, self.power + other.power)


AS_MODELLED = Deviation()
EXACT = ModelError(0.0, 0.0)


def sigma_of(mape: float) -> float:
    """The sigma of a lognormal factor of median 1 whose mean absolute error is `mape`, a share of 1; by bisection."""
    low, high = 0.0, 5.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _mape(middle) < mape else (low, middle)
    return low


def _mape(sigma: float) -> float:
    return math.exp(sigma**2 / 2) * math.erf(sigma / math.sqrt(2))


def model_error(fleet: Fleet) -> ModelError:
    """The fleet's: that of its worst pool."""
    return ModelError(
        max(sigma_of(_band(pool, "step")) for pool in fleet.pools),
        max(sigma_of(_band(pool, "power")) for pool in fleet.pools),
    )


def _band(pool: ScenarioPool, part: str) -> float:
    calibration = pool.calibrated()
    correction = None if calibration is None else getattr(calibration, part)
    if correction is not None:
        return UNKNOWN_MAPE if correction.error is None else float(correction.error.mape)
    replica = pool.replica()
    bands = replica.engine.itl_error if part == "step" else replica.engine.power_error
    band: ErrorBand = bands[replica.model.kind]
    return band.mape


def deviating(pool: Pool, error: ModelError, deviation: Deviation) -> Pool:
    """The kernel's pool with every second and every watt off by the replicate's factors."""
    if deviation == AS_MODELLED or error == EXACT:
        return pool
    time = math.exp(error.time * deviation.time)
    power = math.exp(error.power * deviation.power)
    seconds = {name: value * time for name, value in pool.cost._asdict().items()}
    curve = {
        name: value * time
        for name, value in pool.power._asdict().items()
        if name in HOST_TERMS or name.startswith("driven_")
    }
    watts = {name: getattr(pool.power, name) * power for name in ("idle_w", "floor_w", "span_w")}
    table = {name: tuple(term * time for term in terms) for name, terms in pool.table._asdict().items()}
    return pool._replace(
        cost=pool.cost._replace(**seconds),
        power=pool.power._replace(**curve, **watts),
        table=pool.table._replace(**table),
    )
