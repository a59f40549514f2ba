"""Switches turned on a fleet and on what is changed of its sessions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, NamedTuple

from tracekit.analyzers.scenario import Fleet, Pool
from tracekit.analyzers.what_if.asked import pools_named, switch_named
from tracekit.analyzers.what_if.changes import Changes
from tracekit.analyzers.what_if.domain import Value
from tracekit.analyzers.what_if.switch import Subject
from tracekit.errors import WhatIfInvalid


class Turned(NamedTuple):
    """A fleet and changes with switches turned, and those of them that changed nothing."""

    fleet: Fleet
    changes: Changes
    same: frozenset[str]


def turned(fleet: Fleet, changes: Changes, values: Mapping[str, Value]) -> Turned:
    """The fleet and changes with the switches of these names at these values, in this order.

    A pool has to be possible with all of its switches turned, not after each.

    Raises
    ------
    WhatIfInvalid, ScenarioInvalid, UnknownName : what comes of it is no fleet.
    """
    same = set()
    by_subject: dict[Subject, dict[str, Value]] = {subject: {} for subject in Subject}
    for name, value in values.items():
        by_subject[switch_named(name)[1].subject][name] = value
    for name, value in by_subject[Subject.FLEET].items():
        before, fleet = fleet, switch_named(name)[1].turned(fleet, value)
        same |= {name} if fleet == before else set()
    for name, value in by_subject[Subject.SESSIONS].items():
        old, changes = changes, switch_named(name)[1].turned(changes, value)
        same |= {name} if changes == old else set()
    if changes.parallel_calls and changes.sequential_calls:
        raise WhatIfInvalid.together("calls.parallel", "calls.sequential", "calls run side by side or not")
    pools, unchanged = _turned_pools(fleet, by_subject[Subject.POOL])
    if pools != fleet.pools:
        fleet = replace(fleet, pools=pools, assumed=_still_assumed(fleet, pools))
    return Turned(fleet, changes, frozenset(same | unchanged))


def _turned_pools(fleet: Fleet, values: Mapping[str, Value]) -> tuple[tuple[Pool, ...], set[str]]:
    told = [_fields(pool) for pool in fleet.pools]
    same = set()
    for name, value in values.items():
        pool, switch = switch_named(name)
        before = [dict(one) for one in told]
        for place in pools_named(pool, [each.role for each in fleet.pools]):
            told[place] = switch.turned(told[place], value)
        same |= {name} if told == before else set()
    return tuple(Pool(**one) for one in told), same


def _still_assumed(fleet: Fleet, pools: tuple[Pool, ...]) -> tuple[str, ...]:
    """What nobody chose, without the GPUs and models that are there no more."""
    before, after = (
        {name for pool in told for name in (pool.gpu, pool.model)} for told in (fleet.pools, pools)
    )
    return tuple(note for note in fleet.assumed if not any(name in note for name in before - after))


def _fields(pool: Pool) -> dict[str, Any]:
    return {field.name: getattr(pool, field.name) for field in fields(pool)}
