"""The proxy's own process: serves the socket that the supervisor made, until the supervisor says that it is over.

On its standard input it is told ``agent PID`` and, at the end, ``linger PID ...``: processes that go on after the
recording, for whom it then only passes on what they send. On its standard output it says ``ready``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, web

from tracekit.collectors.inside.clock import Clock
from tracekit.collectors.inside.identity import hashing
from tracekit.collectors.inside.loopback import ADDRESSES
from tracekit.collectors.inside.spool import Writer
from tracekit.collectors.inside.startup import configure
from tracekit.collectors.inside.state import STATE
from tracekit.collectors.proxy.forwarding import Forwarding
from tracekit.collectors.proxy.route import tls
from tracekit.collectors.proxy.upstream import Upstreams

HEADER_BYTES = 256 * 1024
IDLE_SECONDS = 4.0
"""How long a connection to a server is kept for the next request: less than the 5 s after which many close it."""
GRACE_SECONDS = 0.05
_POLL_SECONDS = 0.2
_NO_TIMEOUT = ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
_FOREVER_SECONDS = 10.0 * 365 * 86400


class Duty:
    """How long the process has to go on."""

    def __init__(self) -> None:
        self.is_over = asyncio.Event()
        self._agent: list[int] = []
        self._waits_for: list[int] | None = None

    def told(self, line: str) -> None:
        """One line from the supervisor."""
        word, *pids = line.split() or [""]
        if word == "agent":
            self._agent = [int(pid) for pid in pids]
        elif word == "linger":
            STATE.writer = None  # the recording is over
            self._waits_for = [int(pid) for pid in pids]

    def alone(self) -> None:
        """The supervisor is gone: the agent, if it goes on, still needs its addresses."""
        if self._waits_for is None:
            self._waits_for = self._agent

    async def watch(self) -> None:
        """Return when nobody is left to serve."""
        while self._waits_for is None or any(map(_is_alive, self._waits_for)):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.is_over.wait(), _POLL_SECONDS)
                return


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return False


def client() -> ClientSession:
    """The client that asks the servers: it adds nothing, takes nothing away and never gives up."""
    return ClientSession(
        connector=TCPConnector(limit=0, keepalive_timeout=IDLE_SECONDS),
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
        timeout=_NO_TIMEOUT,
        trust_env=False,  # it would add passwords from ~/.netrc; forward_proxy does the rest
        max_line_size=HEADER_BYTES,
        max_field_size=HEADER_BYTES,
    )


def server(forwarding: Forwarding) -> web.Server:
    """What the agent's connections meet; a connection that breaks off cancels what it had asked for."""
    return web.Server(
        forwarding.answer,
        handler_cancellation=True,
        access_log=None,
        auto_decompress=False,
        keepalive_timeout=_FOREVER_SECONDS,
        max_line_size=HEADER_BYTES,
        max_field_size=HEADER_BYTES,
    )


async def _serve(listening: socket.socket, upstreams: Upstreams, duty: Duty) -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, duty.is_over.set)
    loop.add_reader(sys.stdin.fileno(), _listen, duty)
    session = client()
    is_tls = any(origin.scheme == "https" for origin in upstreams.origins.values())
    trusted = tls(os.environ) if is_tls else None  # reading the authorities takes longer than all the rest
    serving = server(Forwarding(upstreams, session, trusted, os.getppid()))
    async with session:
        acceptor = await loop.create_server(serving, sock=listening, backlog=1024)
        os.write(sys.stdout.fileno(), b"ready\n")
        await duty.watch()
        acceptor.close()
        await asyncio.sleep(GRACE_SECONDS)  # for what has happened already and is not yet known
        await serving.shutdown(GRACE_SECONDS)


def _listen(duty: Duty) -> None:
    text = os.read(sys.stdin.fileno(), 65536)
    if not text:
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        duty.alone()
    for line in text.decode().splitlines():
        duty.told(line)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told otherwise."""
    parser = argparse.ArgumentParser(prog="proxy", description=__doc__)
    parser.add_argument("--spool", type=Path, required=True, help="directory that the records go to")
    parser.add_argument("--socket", type=int, required=True, help="descriptor of the listening socket")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    STATE.writer = Writer(
        str(options.spool), Clock(os.environ.get("TRACEKIT_CLOCK")), spare=os.environ.get("TRACEKIT_SPARE", ""),
        is_agent=False,
    )  # fmt: skip
    configure(os.environ)
    hashing()
    upstreams = Upstreams.read(os.environ[ADDRESSES])
    with socket.socket(fileno=options.socket) as listening:
        listening.setblocking(False)
        asyncio.run(_run(listening, upstreams))
    return 0


async def _run(listening: socket.socket, upstreams: Upstreams) -> None:
    await _serve(listening, upstreams, Duty())


if __name__ == "__main__":
    os._exit(main())  # nothing is buffered, and the supervisor waits
