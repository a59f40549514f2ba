"""What stands around the GPUs: the building's overhead, and the watts of the host."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tracekit.errors import UnknownName


@dataclass(frozen=True)
class Pue:
    """Power usage effectiveness: energy of the building over energy of its machines."""

    name: str
    operator: str
    pue: float
    year: int
    source: str
    date: str


@dataclass(frozen=True)
class Host:
    """Watts of a server without its GPUs, shared among them, in the state in which they were taken."""

    name: str
    server: str
    gpus: int
    host_w_per_gpu: float
    state: str
    source: str
    date: str


def pues() -> list[Pue]:
    """All operators."""
    return [Pue(name=name, **row) for name, row in _tables()["pue"].items()]


def pue(name: str) -> Pue:
    """The operator of that name. Raises UnknownName."""
    known = {each.name: each for each in pues()}
    if name.lower() not in known:
        raise UnknownName.among("PUE", name, known)
    return known[name.lower()]


def hosts() -> list[Host]:
    """All servers."""
    return [Host(name=name, **row) for name, row in _tables()["host"].items()]


def host(name: str) -> Host:
    """The server of that name. Raises UnknownName."""
    known = {each.name: each for each in hosts()}
    if name.lower() not in known:
        raise UnknownName.among("host", name, known)
    return known[name.lower()]


@cache
def _tables() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("facilities.toml").read_text("utf-8"))
