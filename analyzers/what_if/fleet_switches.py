"""Switches of the fleet as a whole: how calls are ordered and routed, and whether prompts have pools of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tracekit.analyzers.scenario import QUEUE_ORDERS, ROUTERS, Fleet
from tracekit.analyzers.what_if.domain import Domain, Value, choice
from tracekit.analyzers.what_if.switch import Subject, Switch
from tracekit.errors import WhatIfInvalid


def _of_fleet(key: str, domain: Domain, meaning: str) -> Switch:
    def turned(fleet: Fleet, value: Value) -> Fleet:
        changed: dict[str, Any] = {key: value}
        return replace(fleet, **changed)

    return Switch(key, Subject.FLEET, domain, meaning, lambda fleet: getattr(fleet, key), turned)


def _read_split(text: str) -> Value:
    if text.lower() == "off":
        return None
    prefills, decodes = (int(part) for part in text.split(":"))
    if min(prefills, decodes) < 1:
        raise ValueError(text)
    return f"{prefills}:{decodes}"


def _split(fleet: Fleet) -> Value:
    if fleet.pools[0].role == "both":
        return None
    counts = [
        sum(pool.replicas for pool in fleet.pools if pool.role == role) for role in ("prefill", "decode")
    ]
    return f"{counts[0]}:{counts[1]}"


def _with_split(fleet: Fleet, value: Value) -> Fleet:
    """One pool becomes two of its kind; two of one kind become one again; of two the numbers can be changed."""
    if value == _split(fleet):
        return fleet
    pools = fleet.pools
    if any(pool.min_replicas is not None for pool in pools):
        raise WhatIfInvalid.split("a pool of it is elastic")
    if value is None:
        first, *others = (replace(pool, role="both", replicas=1) for pool in pools)
        if any(other != first for other in others):
            raise WhatIfInvalid.split("its pools differ, so they are no one pool")
        return replace(fleet, pools=(replace(first, replicas=fleet.replicas),))
    prefills, decodes = (int(part) for part in str(value).split(":"))
    if len(pools) == 1:
        pools = (replace(pools[0], role="prefill"), replace(pools[0], role="decode"))
    if [pool.role for pool in pools] != ["prefill", "decode"]:
        raise WhatIfInvalid.split("it has several pools, and which of them are meant is not said")
    return replace(fleet, pools=(replace(pools[0], replicas=prefills), replace(pools[1], replicas=decodes)))


FLEET_SWITCHES = (
    Switch(
        "split",
        Subject.FLEET,
        Domain("off, or REPLICAS:REPLICAS such as 1:3", _read_split),
        "Replicas that compute prompts, and others of the same kind that decode.",
        _split,
        _with_split,
        warning="KV goes over the pool's link (transfer_gb_s, 50 GB/s unless the fleet file says otherwise)",
    ),
    _of_fleet("router", choice("router", ROUTERS), "How a replica is chosen for a call."),
    _of_fleet("queue_order", choice("queue order", QUEUE_ORDERS), "Which waiting call goes first."),
)
