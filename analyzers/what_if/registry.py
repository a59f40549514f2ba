"""All switches, in the order in which they are turned."""

from __future__ import annotations

from types import MappingProxyType

from tracekit.analyzers.what_if.fleet_switches import FLEET_SWITCHES
from tracekit.analyzers.what_if.pool_switches import POOL_SWITCHES
from tracekit.analyzers.what_if.session_switches import SESSION_SWITCHES
from tracekit.analyzers.what_if.switch import Switch

SWITCHES: MappingProxyType[str, Switch] = MappingProxyType(
    {switch.name: switch for switch in (*FLEET_SWITCHES, *POOL_SWITCHES, *SESSION_SWITCHES)}
)
"""By name. Fleet first, so that a split pool's parts can be named."""
