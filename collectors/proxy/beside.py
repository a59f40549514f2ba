"""The proxy as the supervisor has it: its socket, its process, and what the agent's environment says of both."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import select
import socket
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tracekit.collectors.inside.loopback import ADDRESSES, HOST, UNSET
from tracekit.collectors.inside.spool import Writer
from tracekit.collectors.proxy.command import program_of
from tracekit.collectors.proxy.dotenv import beside
from tracekit.collectors.proxy.upstream import Upstreams
from tracekit.collectors.proxy.variables import Addresses, addresses

START_SECONDS = 20.0
_RESTARTS = 3
_SOCKET = 3  # its number in the process
_LIBRARY = "aiohttp"
_MODULE = "tracekit.collectors.proxy.process"


class ProxyDidNotStart(Exception):
    """Its process ended or kept silent; a note says so, and the recording goes on without it."""


def is_installed() -> bool:
    """Whether the proxy's library is there."""
    return importlib.util.find_spec(_LIBRARY) is not None


@dataclass
class Proxy:
    """The proxy's socket, which stays open here, and the process that serves it.

    The socket listens before the process runs, and goes on if the process has to be started anew: an agent that
    connects meanwhile waits instead of failing.
    """

    addresses: Addresses
    _upstreams: Upstreams
    _socket: socket.socket
    _environment: dict[str, str]
    _directory: Path
    _mask: set[Any]
    _notes: Writer
    pid: int = 0
    _orders: int = -1
    _agent: int = 0
    _restarts: int = field(default=_RESTARTS)

    @classmethod
    def start(
        cls,
        command: Sequence[str],
        environment: Mapping[str, str],
        directory: Path,
        notes: Writer,
        mask: set[Any],
        more: tuple[str, ...] = (),
    ) -> Self | None:
        """Serve the base URLs of this command's environment.

        Parameters
        ----------
        environment : the agent's, with the recorder's own variables in it.
        directory : the spool.
        mask : the signals that are blocked outside the supervisor.
        more : further variables that hold a base URL.

        Returns
        -------
        the proxy, ready; None if no variable leads anywhere.

        Raises
        ------
        ProxyDidNotStart : the process cannot be started.
        """
        listening = socket.create_server((HOST, 0), backlog=1024)
        upstreams = Upstreams(listening.getsockname()[1])
        found = addresses(environment, beside(command, Path.cwd()), program_of(command), upstreams, more)
        if not found.names:
            listening.close()
            return None
        proxy = cls(found, upstreams, listening, dict(environment), directory, mask, notes)
        if proxy._spawn():
            return proxy
        proxy.release(())
        raise ProxyDidNotStart

    def environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The agent's environment with our addresses in it, which no proxy of the user's may get to see."""
        found = self.addresses
        changed = {**environment, **found.replaced, **found.added, **found.restored}
        changed[ADDRESSES] = self._upstreams.words()
        changed[UNSET] = " ".join(f"{name}={address}" for name, address in found.added.items())
        return {**changed, **_bypass(environment)}

    def serve(self, agent: int) -> None:
        """Tell the process whom it serves."""
        self._agent = agent
        self._tell(f"agent {agent}")

    def tend(self) -> None:
        """Start the process anew if it died."""
        try:
            if os.waitpid(self.pid, os.WNOHANG)[0] != self.pid:
                return
        except ChildProcessError:
            return
        self._notes.note("hook_error", "proxy: died")
        self._restarts -= 1
        if self._restarts >= 0 and self._spawn():
            self.serve(self._agent)

    def release(self, others: Iterable[int]) -> bool:
        """Let go of the process; whether it goes on, for others who outlive the recording and have its addresses."""
        pids = " ".join(map(str, others))
        if pids:
            self._tell(f"linger {pids}")
        self._socket.close()
        with contextlib.suppress(OSError):
            os.close(self._orders)
        return bool(pids)

    def _spawn(self) -> bool:
        """A process in a group of its own, so that Ctrl-C passes it by; whether it is ready to serve."""
        if self._orders >= 0:
            os.close(self._orders)
        orders, self._orders = os.pipe()
        answers, told = os.pipe()
        given = [_out_of_the_way(file) for file in (orders, told, self._socket.fileno())]
        files = [
            (os.POSIX_SPAWN_DUP2, given[0], 0),
            (os.POSIX_SPAWN_DUP2, given[1], 1),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_DUP2, given[2], _SOCKET),
        ]
        # -P: nothing in the agent's folder may stand in for a library of ours
        arguments = [
            sys.executable,
            "-P",
            "-m",
            _MODULE,
            "--spool",
            str(self._directory),
            "--socket",
            str(_SOCKET),
        ]
        try:
            self.pid = os.posix_spawn(
                sys.executable, arguments, self._surroundings(), file_actions=files, setpgroup=0,
                setsigmask=self._mask,
            )  # fmt: skip
        except OSError as error:
            self._notes.note("hook_error", f"proxy: {type(error).__name__}")
            return False
        finally:
            for file in (orders, told, *given):
                os.close(file)
        try:
            if _is_told_ready(answers):
                return True
        finally:
            os.close(answers)
        self._notes.note("hook_error", "proxy: did not start")
        return False

    def _surroundings(self) -> dict[str, str]:
        """The agent's environment, which names the user's certificates and proxies; not its part in the recording."""
        package = Path(__file__).parents[2]
        theirs = os.environ.get("PYTHONPATH")
        surroundings = {
            **self._environment,
            "PYTHONPATH": os.pathsep.join([str(package.parent), *([theirs] if theirs else [])]),
            ADDRESSES: self._upstreams.words(),
        }
        surroundings.pop("TRACEKIT_SPOOL", None)
        return surroundings

    def _tell(self, line: str) -> None:
        with contextlib.suppress(OSError):
            os.write(self._orders, line.encode() + b"\n")

    def _close(self) -> None:
        self._socket.close()
        with contextlib.suppress(OSError):
            os.close(self._orders)


def _out_of_the_way(file: int) -> int:
    """A copy whose number is none of those that the process gets."""
    return fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, _SOCKET + 1)


def _is_told_ready(answers: int) -> bool:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if select.select([answers], [], [], 0.1)[0]:
            return os.read(answers, 64) == b"ready\n"
    return False


def _bypass(environment: Mapping[str, str]) -> dict[str, str]:
    """NO_PROXY with this host in it, where the user has a proxy."""
    names = {name.lower() for name, value in environment.items() if value}
    if not names & {"http_proxy", "https_proxy", "all_proxy"}:
        return {}
    changed = {}
    for name in ("NO_PROXY", "no_proxy"):
        known = environment.get(name) or environment.get(name.swapcase(), "")
        missing = [host for host in (HOST, "localhost") if host not in known.split(",")]
        changed[name] = known if known.strip() == "*" else ",".join([*([known] if known else []), *missing])
    return changed
