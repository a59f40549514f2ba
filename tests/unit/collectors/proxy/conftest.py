"""A proxy in this very process, in a thread with an event loop of its own."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tracekit.collectors.proxy.forwarding import Forwarding
from tracekit.collectors.proxy.process import client, server
from tracekit.collectors.proxy.route import tls
from tracekit.collectors.proxy.upstream import Upstreams


@dataclass
class Loop:
    """An event loop in a thread."""

    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def run(self, work: Awaitable[Any]) -> Any:
        async def wait() -> Any:
            return await work

        return asyncio.run_coroutine_threadsafe(wait(), self.loop).result(30)


@pytest.fixture
def loop() -> Iterator[Loop]:
    it = Loop()
    thread = threading.Thread(target=it.loop.run_forever)
    thread.start()
    yield it
    it.loop.call_soon_threadsafe(it.loop.stop)
    thread.join()
    it.loop.close()


@pytest.fixture
def through(recorded: Any, loop: Loop) -> Iterator[Callable[[str], str]]:
    """Give a server's URL, get the one at a proxy that records into `recorded`."""
    listening = socket.create_server(("127.0.0.1", 0))
    upstreams = Upstreams(listening.getsockname()[1])

    async def start() -> Any:
        session = client()
        serving = server(Forwarding(upstreams, session, tls(os.environ), os.getppid()))
        acceptor = await loop.loop.create_server(serving, sock=listening)
        return session, serving, acceptor

    session, serving, acceptor = loop.run(start())
    yield upstreams.through

    async def stop() -> None:
        acceptor.close()
        await serving.shutdown(0.05)
        await session.close()
        await asyncio.sleep(0.05)

    loop.run(stop())


@dataclass
class Scripted:
    """A server that answers with the bytes it was given, and keeps what it was sent."""

    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    closed: list[float] = field(default_factory=list)


@pytest.fixture
def scripted(loop: Loop) -> Iterator[Callable[..., Scripted]]:
    """Start a server whose handler is `play(reader, writer, request)`, called per request."""
    servers: list[asyncio.AbstractServer] = []

    def serve(play: Callable[..., Awaitable[None]], **options: Any) -> Scripted:
        it = Scripted()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    it.requests.append(head)
                    await play(reader, writer, head)
                    await writer.drain()
            except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
                it.closed.append(loop.loop.time())
            finally:
                writer.close()

        async def start() -> asyncio.AbstractServer:
            return await asyncio.start_server(connected, "127.0.0.1", 0, **options)

        started = loop.run(start())
        servers.append(started)
        scheme = "https" if options.get("ssl") else "http"
        it.url = f"{scheme}://127.0.0.1:{started.sockets[0].getsockname()[1]}"
        return it

    yield serve

    async def stop() -> None:
        for started in servers:
            started.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            if "connected" in repr(task.get_coro()):
                task.cancel()
        await asyncio.sleep(0.02)

    loop.run(stop())
