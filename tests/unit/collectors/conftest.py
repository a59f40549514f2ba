"""A fake server for the session, and a recorder in this very process for tests of single hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.collectors.fake_server import FakeServer
from tracekit.collectors.inside import httpx_hooks
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


@pytest.fixture
def hooked(recorded: Records) -> Iterator[Records]:
    """Record this process with httpx and httpx2 hooked."""
    import httpx
    import httpx2

    clients: list[Any] = [httpx.Client, httpx.AsyncClient, httpx2.Client, httpx2.AsyncClient]
    originals = [client._send_single_request for client in clients]
    httpx_hooks.patch(httpx)
    httpx_hooks.patch(httpx2)
    yield recorded
    for client, original in zip(clients, originals, strict=True):
        client._send_single_request = original
