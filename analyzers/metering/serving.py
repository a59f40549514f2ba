"""Which GPUs serve the endpoints that calls went to: only their joules go to calls."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from tracekit.analyzers.metering.reads import Device
from tracekit.analyzers.metering.steps import Route
from tracekit.errors import ServesInvalid

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Serves:
    """What `--serves URL=HOST:GPU[,GPU]` says: these GPUs of that host, by index or id, answer that URL."""

    text: str
    host: str
    port: int | None
    path: str
    gpu_host: str
    gpus: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """The option's value read. Raises ServesInvalid."""
        url, equals, where = text.rpartition("=")
        gpu_host, colon, listed = where.rpartition(":")
        gpus = tuple(gpu.strip() for gpu in listed.split(","))
        parts = urlsplit(url if "//" in url else f"//{url}")
        try:
            port = parts.port
        except ValueError as error:
            raise ServesInvalid.unreadable(text) from error
        if not (equals and colon and parts.hostname and gpu_host and all(gpus)):
            raise ServesInvalid.unreadable(text)
        port = port or DEFAULT_PORTS.get(parts.scheme)
        return cls(text, parts.hostname, port, parts.path.rstrip("/"), gpu_host, gpus)

    def answers(self, route: Route) -> bool:
        """Whether calls on that route went to the URL; all loopback addresses are one."""
        same_host = (route.host or "").lower() == self.host or (
            is_loopback(route.host) and is_loopback(self.host)
        )
        same_port = self.port is None or route.port is None or route.port == self.port
        path = route.path or ""
        return same_host and same_port and (not path or path == self.path or path.startswith(f"{self.path}/"))

    def names(self, gpu: Device) -> bool:
        """Whether the device is one of those named."""
        return gpu.host == self.gpu_host and bool({str(gpu.index), gpu.uuid} & set(self.gpus))


@dataclass(frozen=True)
class Serving:
    """The routes that one GPU serves, and why, or why none."""

    routes: frozenset[int]
    why: str


def is_loopback(host: str | None) -> bool:
    """Whether that address is of the client's own machine."""
    name = (host or "").strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def servings(
    gpus: Sequence[Device],
    is_used: Sequence[bool | None],
    routes: Sequence[Route],
    declared: Sequence[Serves],
) -> list[Serving]:
    """What each GPU serves: what is declared, else what calls found on loopback of its host.

    Of several GPUs on such a host those that never ran a kernel, while others did, serve nothing (`is_used` says
    of each whether it did; None: not known).

    Raises
    ------
    ServesInvalid : a declaration names a URL that no call went to, or a GPU that was not sampled.
    """
    for each in declared:
        if not any(each.answers(route) for route in routes):
            raise ServesInvalid.no_such_endpoint(each.text, sorted({route.endpoint for route in routes}))
        for name in each.gpus:
            if not any(gpu.host == each.gpu_host and name in (str(gpu.index), gpu.uuid) for gpu in gpus):
                raise ServesInvalid.no_such_gpu(each.text, name, [gpu.label for gpu in gpus])
    open_routes = {
        index: route
        for index, route in enumerate(routes)
        if not any(each.answers(route) for each in declared)
    }
    at_work = {gpu.host for gpu, used in zip(gpus, is_used, strict=True) if used}
    return [
        _serving(gpu, routes, open_routes, declared, is_left_out=used is False and gpu.host in at_work)
        for gpu, used in zip(gpus, is_used, strict=True)
    ]


def _serving(
    gpu: Device,
    routes: Sequence[Route],
    open_routes: dict[int, Route],
    declared: Sequence[Serves],
    *,
    is_left_out: bool,
) -> Serving:
    if gpu.kind != "gpu":
        return Serving(frozenset(), "no GPU")
    named = [each for each in declared if each.names(gpu)]
    if named:
        told = frozenset(
            index for index, route in enumerate(routes) if any(each.answers(route) for each in named)
        )
        return Serving(told, "--serves")
    local = frozenset(index for index, route in open_routes.items() if _is_on_host(route, gpu.host))
    if not local:
        return Serving(local, "no call went to a server on its host, as far as the trace says")
    if is_left_out:
        return Serving(frozenset(), "it never ran a kernel, while another GPU of its host did")
    return Serving(local, "a server on loopback of its host")


def _is_on_host(route: Route, host: str) -> bool:
    return route.client == host and (is_loopback(route.host) or route.host == host)
