"""A scenario: a fleet, what is changed of the sessions, and the seed of what is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from tracekit.analyzers.scenario import Fleet
from tracekit.analyzers.what_if.asked import checked_what_if, switch_named, value_of, what_if_of_file
from tracekit.analyzers.what_if.changes import UNCHANGED, Changes
from tracekit.analyzers.what_if.registry import SWITCHES
from tracekit.analyzers.what_if.switch import Switch
from tracekit.analyzers.what_if.turning import turned
from tracekit.errors import ScenarioInvalid, WhatIfInvalid


@dataclass(frozen=True)
class Scenario:
    """What a workload is replayed under.

    `switches` remembers what was switched, name and value as they were given, in the registry's order, and
    `without_effect` which of them had that value already.
    """

    fleet: Fleet
    changes: Changes = UNCHANGED
    seed: int = 0
    switches: tuple[tuple[str, str], ...] = field(default=(), compare=False)
    without_effect: frozenset[str] = field(default=frozenset(), compare=False)

    @classmethod
    def from_toml(cls, path: Path, seed: int = 0) -> Self:
        """The scenario of a fleet file with its table [what_if].

        Raises
        ------
        ScenarioInvalid, UnknownName, WhatIfInvalid : the file cannot be read, or asks for what cannot be.
        """
        return cls(Fleet.from_toml(path).named(), seed=seed).switched(what_if_of_file(path))

    def switched(self, asked: Mapping[str, object]) -> Self:
        """The scenario with switches turned, by name, in the registry's order whatever theirs.

        A switch of pools turns all of them, or those that its name begins with: `decode.replicas`, `pool2.tp`.

        Raises
        ------
        WhatIfInvalid, UnknownName, ScenarioInvalid, ModelDoesNotFit : no such switch or value; or the scenario that
            comes of it cannot be.
        """
        told = checked_what_if(asked)
        values = {name: value_of(name, told[name]) for name in sorted(told, key=_rank)}
        try:
            fleet, changes, same = turned(self.fleet, self.changes, values)
            _check(fleet)
        except ScenarioInvalid as error:
            raise WhatIfInvalid.of(_words(told), error) from error
        named = dict(self.switches) | {name: _as_text(value) for name, value in told.items()}
        return replace(
            self,
            fleet=fleet,
            changes=changes,
            switches=tuple(sorted(named.items(), key=lambda pair: _rank(pair[0]))),
            without_effect=(self.without_effect - set(told)) | same,
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """What its results have to be called: `upper bound`, by the switch that makes them one."""
        return tuple(f"{name}: {switch.label}" for name, switch in self._turned_switches() if switch.label)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its switches leave out, a sentence each, and which of them do nothing here."""
        told = [f"{name}: {switch.warning}" for name, switch in self._turned_switches() if switch.warning]
        same = [
            f"{name}: changes nothing, it was so before" for name in sorted(self.without_effect, key=_rank)
        ]
        return (*told, *same, *self._idle_switches())

    def _turned_switches(self) -> list[tuple[str, Switch]]:
        return [
            (name, switch_named(name)[1]) for name, _value in self.switches if name not in self.without_effect
        ]

    def _idle_switches(self) -> list[str]:
        """Switches whose value nothing reads."""
        pools = self.fleet.pools
        unread = {
            "retention_s": not any(pool.retention == "ttl" for pool in pools) and "no pool has retention=ttl",
            "offload_gb": not any(pool.retention == "offload" for pool in pools)
            and "no pool has retention=offload",
            "startup_s": not any(pool.min_replicas for pool in pools) and "no pool has min_replicas",
        }
        return [
            f"{name}: does nothing, because {unread[key]}"
            for name, _value in self.switches
            if unread.get(key := switch_named(name)[1].name)
        ]


def _rank(name: str) -> tuple[int, str]:
    return list(SWITCHES).index(switch_named(name)[1].name), name


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "off" if value is None else str(value)


def _words(asked: Mapping[str, object]) -> str:
    return ",".join(f"{name}={_as_text(value)}" for name, value in asked.items())


def _check(fleet: Fleet) -> None:
    """Raises what replaying on it would: ScenarioInvalid, ModelDoesNotFit, UnknownName, CalibrationInvalid."""
    fleet.limits()
    for pool in fleet.pools:
        pool.cost()
