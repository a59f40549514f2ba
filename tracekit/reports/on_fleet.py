"""What assumptions and sources are told of: a fleet and what its replicas are, replayed on or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

from tracekit.analyzers.hardware.replica import Replica
from tracekit.analyzers.kernels.layout import FleetLimits
from tracekit.analyzers.scenario import Fleet


class OnFleet(Protocol):
    """A replay, or a fleet by itself."""

    @property
    def fleet(self) -> Fleet:
        """The fleet."""

    @property
    def replicas(self) -> tuple[Replica, ...]:
        """One of each pool."""

    @property
    def limits(self) -> tuple[FleetLimits, ...]:
        """Of each pool."""


@dataclass(frozen=True)
class FleetAlone:
    """A fleet by itself."""

    fleet: Fleet
    replicas: tuple[Replica, ...]
    limits: tuple[FleetLimits, ...]

    @classmethod
    def of(cls, fleet: Fleet) -> Self:
        """Raises what a replay on it would: UnknownName, ScenarioInvalid, ModelDoesNotFit."""
        return cls(fleet, tuple(pool.replica() for pool in fleet.pools), fleet.limits())
