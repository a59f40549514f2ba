"""A fake server for the session, and a recorder in this very process for tests of single hooks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.collectors.fake_server import FakeServer
from tracekit.collectors.inside import import_hook
from tracekit.collectors.inside.clock import Clock
from tracekit.collectors.inside.identity import Hashing
from tracekit.collectors.inside.spool import Writer
from tracekit.collectors.inside.state import STATE
from tracekit.spool import read_spool

Records = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="session")
def fake() -> Iterator[FakeServer]:
    server = FakeServer().start()
    yield server
    server.stop()


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Records]:
    """Record this process; call it for the records so far, of one kind if wanted."""
    STATE.writer = Writer(str(tmp_path), Clock())
    STATE.writer.start()
    STATE.hashing = Hashing(b"test key")

    def records(kind: str | None = None) -> list[dict[str, Any]]:
        return [record for record in read_spool(tmp_path).records if kind in (None, record["t"])]

    yield records
    STATE.writer = None
    STATE.hashing = None
    STATE.open_sessions.clear()
    STATE.open_tools.clear()


def _hooked() -> list[tuple[Any, str]]:
    """Every function that a hook replaces: its owner and its name."""
    import http.client

    import aiohttp
    import httpx
    import httpx2
    import urllib3.connection
    import websockets.asyncio.connection
    import websockets.sync.connection

    clients: list[Any] = [httpx.Client, httpx.AsyncClient, httpx2.Client, httpx2.AsyncClient]
    sockets = [websockets.sync.connection.Connection, websockets.asyncio.connection.Connection]
    names: list[tuple[Any, tuple[str, ...]]] = [
        *((client, ("_send_single_request",)) for client in clients),
        (http.client.HTTPConnection, ("request", "putrequest", "send", "getresponse")),
        (urllib3.connection.HTTPConnection, ("request",)),
        (aiohttp.ClientSession, ("_request",)),
        (aiohttp.BaseConnector, ("connect",)),
        (aiohttp.ClientRequest, ("send",)),
        (aiohttp.ClientResponse, ("start",)),
        (aiohttp.StreamReader, ("feed_data", "feed_eof", "set_exception")),
        *((socket, ("send", "recv", "close")) for socket in sockets),
    ]
    return [(owner, name) for owner, several in names for name in several]


@pytest.fixture
def hooked(recorded: Records) -> Iterator[Records]:
    """Record this process with every library hooked that is imported."""
    places = _hooked()
    originals = [getattr(owner, name) for owner, name in places]
    for name in import_hook.HOOKS:
        module = sys.modules.get(name)
        if module is not None and name != "subprocess":
            import_hook.patch(module)
    assert all(getattr(owner, name) is not was for (owner, name), was in zip(places, originals, strict=True))
    yield recorded
    for (owner, name), original in zip(places, originals, strict=True):
        setattr(owner, name, original)
