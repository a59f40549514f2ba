"""Where a replay's numbers come from: the tier of its step times, and how far off they may be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.hardware.calibration import Calibration
from tracekit.analyzers.hardware.replica import Replica
from tracekit.analyzers.replay import Replay
from tracekit.analyzers.scenario import Pool
from tracekit.reports.on_fleet import OnFleet

ANALYTIC = "analytic"
TIERS = (ANALYTIC, "calibrated", "measured")
"""The weakest first."""
Document = dict[str, Any]


def replay_sources(replays: Sequence[OnFleet], grid_code: str = catalog.DEFAULT_GRID) -> dict[str, str]:
    """Where the replays' numbers come from, with their error; those of the first replay."""
    return fleet_sources(replays[:1], grid_code)


def fleet_sources(replays: Sequence[OnFleet], grid_code: str = catalog.DEFAULT_GRID) -> dict[str, str]:
    """The same of all of them; what several share is said once."""
    grid = catalog.grid(grid_code)
    return {
        "replayed time": _of_all(replays, "step"),
        "replayed energy": f"scope gpu; {_of_all(replays, 'power')}",
        "cost": "modelled: billed GPU time x the catalog's typical price",
        "carbon": f"modelled: energy x grid {grid.code} {grid.low:g}-{grid.high:g} g/kWh ({grid.source})",
    }


def _of_all(replays: Sequence[OnFleet], part: str) -> str:
    return "; ".join(dict.fromkeys(source for replay in replays for source in _sources(replay, part)))


def replay_tier(replay: Replay) -> str:
    """The weakest tier of what its pools' steps take: measured, calibrated or analytic."""
    tiers = {ANALYTIC if found is None else found.tier for found in _calibrations(replay)}
    return next(tier for tier in TIERS if tier in tiers)


def _calibrations(replay: OnFleet) -> list[Calibration | None]:
    return [pool.calibrated() for pool in replay.fleet.pools]


def _sources(replay: OnFleet, part: str) -> list[str]:
    """Where a duration or power comes from, with its error, of each pool."""
    pools = zip(replay.fleet.pools, replay.replicas, _calibrations(replay), strict=True)
    return [_source(*pool, part) for pool in pools]


def _source(pool: Pool, replica: Replica, calibration: Calibration | None, part: str) -> str:
    noun, error = _analytic(replica, part)
    analytic = f"modelled, analytic tier ({replica.engine.name}); {noun} error {_band(error)}"
    if pool.calibration is None:
        return analytic
    correction = None if calibration is None else getattr(calibration, part)
    if calibration is None or correction is None:
        return f"{analytic}; {pool.calibration} has nothing for this model, GPU, engine and tp"
    told = f"{calibration.points} points of {calibration.source}, {calibration.date}"
    left = "unknown: too few batches" if correction.error is None else _band(correction.error)
    return f"modelled, {calibration.tier} tier ({told}); {noun} error {left}"


def _analytic(replica: Replica, part: str) -> tuple[str, catalog.ErrorBand]:
    if part == "step":
        return "ITL", replica.engine.itl_error[replica.model.kind]
    return "power", replica.engine.power_error[replica.model.kind]


def _band(error: catalog.ErrorBand) -> str:
    return f"{error.mape:.1%} mean, {error.median_ape:.1%} median ({error.on})"


def error_bands(replay: Replay) -> Document:
    """The largest of its pools: what calibration leaves, else the analytic error; None where one is unknown."""
    return {"itl": _worst_band(replay, "step"), "power": _worst_band(replay, "power")}


def _worst_band(replay: Replay, part: str) -> Document | None:
    bands = []
    for replica, calibration in zip(replay.replicas, _calibrations(replay), strict=True):
        correction = None if calibration is None else getattr(calibration, part)
        bands.append(_analytic(replica, part)[1] if correction is None else correction.error)
    if None in bands:
        return None
    worst = max(bands, key=lambda band: band.mape)
    return {"mape": worst.mape, "median_ape": worst.median_ape, "on": worst.on}
