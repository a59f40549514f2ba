"""The recorder's proxy as the agent's processes see it: what its addresses stand for, and which variables are ours.

The supervisor says both in the environment. TRACEKIT_PROXY is its port and, for every token that a path may begin
with, the origin behind it; TRACEKIT_UNSET are the base-URL variables that nobody had set before.
"""

from __future__ import annotations

import os

from .state import STATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Url = tuple[str, str, int | None, str]

HOST = "127.0.0.1"
ADDRESSES = "TRACEKIT_PROXY"
UNSET = "TRACEKIT_UNSET"
TWIN_HEADER = "x-tracekit-id"
_PORTS = {"http": 80, "https": 443}


class Loopback:
    """The proxy's addresses.

    Parameters
    ----------
    words : its port, and token=origin for each upstream, as TRACEKIT_PROXY has them.
    ours : name=address of the variables that only the proxy set, as TRACEKIT_UNSET has them.
    """

    def __init__(self, words: str, ours: str = "") -> None:
        port, *upstreams = words.split()
        self.port = int(port)
        self._origins = dict(word.split("=", 1) for word in upstreams)
        self.unset = dict(word.split("=", 1) for word in ours.split())
        self.address = f"{HOST}:{port}/"

    def true_url(self, url: Url) -> Url | None:
        """Where a request to this address ends up; None if it is not the proxy's."""
        _scheme, host, port, path = url
        if port != self.port or host != HOST:
            return None
        token, _, rest = path.lstrip("/").partition("/")
        origin = self._origins.get(token)
        return None if origin is None else (*_origin(origin), "/" + rest)

    def leads_here(self, words: list[str], environment: Mapping[Any, Any]) -> bool:
        """Whether a process so called, in this environment, knows an address of the proxy."""
        return any(self.address in word for word in words) or any(
            self.address in os.fsdecode(value) for name, value in environment.items() if not _is_ours(name)
        )


def start(environment: Mapping[str, str]) -> None:
    """Know the proxy, if the run has one, and take the variables that only it set out of this process's sight.

    Clients look at whether such a variable is there. The hooks see this process's calls anyway. What it starts
    with an environment that it inherits finds them again: they stay in the environment that the system knows.
    """
    words = environment.get(ADDRESSES)
    if not words:
        return
    STATE.loopback = Loopback(words, environment.get(UNSET, ""))
    for name, address in STATE.loopback.unset.items():
        if os.environ.get(name) == address:
            del os.environ[name]
            os.putenv(name, address)


def environment_for_child(environment: Any) -> Any:
    """The environment for a process that the recorder cannot be put into: a copy of ours gets our variables back."""
    loopback = STATE.loopback
    if loopback is None or environment is None or not loopback.unset:
        return environment
    names = {os.fsdecode(name) for name in environment}
    missing = {name: address for name, address in loopback.unset.items() if name not in names}
    return {**environment, **missing} if ADDRESSES in names and missing else environment


def _is_ours(name: Any) -> bool:
    return os.fsdecode(name) == UNSET


def _origin(text: str) -> tuple[str, str, int | None]:
    scheme, _, place = text.partition("://")
    host, colon, port = place.rpartition(":")
    if not colon or port.endswith("]"):
        return scheme, place.strip("[]"), _PORTS.get(scheme)
    return scheme, host.strip("[]"), int(port)
