"""The supervisor: starts the agent with the recorder in it, stays beside it, and ends with its exit code."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tracekit.collectors.companion import METRICS, SAMPLER, Companion
from tracekit.collectors.hash_key import hash_key_file
from tracekit.collectors.host_clock import boot_id
from tracekit.collectors.inside.clock import Clock
from tracekit.collectors.inside.secret import (
    SECRET,
    command_without_secrets,
    is_secret_name,
    scrubbed,
    with_shapes_replaced,
    without_assignments,
)
from tracekit.collectors.inside.spool import LOST_SLOTS, Writer
from tracekit.collectors.proxy.beside import Proxy, ProxyDidNotStart
from tracekit.errors import LaunchFailed, OutputRefused
from tracekit.spool import LOCK_FILE, SPARE_PREFIX

INJECTED_DIRECTORY = Path(__file__).resolve().parent / "injected"
STRAGGLER_SECONDS = 1.0
_DOUBLE_PRESS_SECONDS = 1.0
_PR_SET_CHILD_SUBREAPER = 36
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_RESTORED = (signal.SIGPIPE, signal.SIGXFSZ)  # Python ignores them, and programs inherit that
_POLL_SECONDS = 0.2


def record(  # noqa: PLR0913  (what a recording can be told)
    command: Sequence[str],
    spool_directory: Path,
    *,
    version: str = "",
    hash_key: Path | None = None,
    sample_power: bool = True,
    power_interval_s: float = 0.05,
    ask_clocks: Sequence[str] = (),
    engine_metrics: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    choices: Mapping[str, str] | None = None,
    proxy_variables: tuple[str, ...] | None = None,
    on_tick: Callable[[], None] = lambda: None,
) -> int:
    """Run a command with the recorder in it and in its Python children.

    Parameters
    ----------
    command : the program and its arguments.
    spool_directory : where the records go; made if missing.
    version : tracekit's, for the records.
    hash_key : file with the key of the hashes; default: the user's own.
    ask_clocks : HOST:PORT of hosts that `tracekit sample --serve` runs on, to merge their traces with this one.
    engine_metrics : pages of server metrics to sample; empty: those of private servers that the agent calls;
        None: none.
    environment : the agent's environment before the recorder's additions; default: this process's.
    labels : notes for the trace's provenance.
    choices : what the recorder in the agent shall do otherwise than by default: `usage` inject, `content` redacted
        or full.
    proxy_variables : lead base URLs through the recorder's proxy as well, which needs aiohttp: those of the
        variables that are known, and of these. None for no proxy.
    on_tick : called some five times a second while the command runs; must be quick and raise nothing.

    Returns
    -------
    the command's exit code; 128 + n if signal n ended it.

    Raises
    ------
    LaunchFailed : the command does not exist or cannot be executed.
    OutputRefused : the spool directory cannot be written.
    """
    _check(command)
    directory = spool_directory.absolute()
    wall_ns, monotonic_ns = time.time_ns(), time.monotonic_ns()
    run = _run(command, directory, version, f"{wall_ns}:{monotonic_ns}", hash_key)
    run["labels"] = _labels(labels or {})
    run["choices"] = dict(choices or {})
    run["spare"] = _spare(directory)
    _write_run(directory, run)
    _fill_loss_counts(directory)
    lock = _locked(directory)
    surroundings = _environment(dict(os.environ if environment is None else environment), directory, run)
    notes = Writer(str(directory), Clock(run["clock"]), is_agent=False)
    _adopt_orphans(True)
    signals = _Signals()
    beside = _Companions(directory, run, notes, signals.outside)
    orphans: set[int] = set()
    try:
        beside.read_engines(engine_metrics)
        if sample_power:
            beside.sample_power(power_interval_s, ask_clocks)
        if proxy_variables is not None:
            surroundings = beside.forward(command, surroundings, proxy_variables)
        others = _children()  # our own, and what this process had started before
        child = _spawn(command, surroundings, signals.outside)
        if beside.proxy is not None:
            beside.proxy.serve(child)
        watch = _Watch(child, signals, notes, others, on_tick, beside.proxy)
        code = watch.code()
        orphans = watch.orphans
    finally:
        beside.stop(orphans)
        signals.restore()
        _adopt_orphans(False)
        os.close(lock)
    run["exit_code"] = code
    run["end_ns"] = wall_ns - monotonic_ns + time.monotonic_ns()
    with contextlib.suppress(OutputRefused):
        _write_run(directory, run)
    return code


def _check(command: Sequence[str]) -> None:
    program = command[0]
    if shutil.which(program) is not None:
        return
    if os.sep in program and os.path.exists(program):
        raise LaunchFailed.not_executable(
            program, "a directory" if os.path.isdir(program) else "permission denied"
        )
    raise LaunchFailed.not_found(program)


def _run(
    command: Sequence[str], directory: Path, version: str, clock: str, hash_key: Path | None
) -> dict[str, Any]:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise OutputRefused.not_writable(directory, error.strerror or str(error)) from error
    try:
        key_file = hash_key_file(hash_key)
    except OSError as error:
        if hash_key is not None:
            raise OutputRefused.not_writable(hash_key, error.strerror or str(error)) from error
        # no home to write to: a key for this recording alone
        key_file = hash_key_file(directory / "hash-key")
    wall_ns, monotonic_ns = (int(part) for part in clock.split(":"))
    return {
        "command": command_without_secrets(command),
        "argv": command_without_secrets(sys.argv),
        "cwd": os.getcwd(),
        "host": platform.node(),
        "pid": os.getpid(),
        "start_ns": wall_ns,
        "start_monotonic_ns": monotonic_ns,
        "clock": clock,
        "clock_offset_ns": wall_ns - monotonic_ns,
        "boot_id": boot_id(),
        "tracekit": version,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "hash_key_file": str(key_file.absolute()),
    }


def _labels(labels: Mapping[str, str]) -> dict[str, str]:
    return {
        scrubbed(name): SECRET if is_secret_name(name) else with_shapes_replaced(without_assignments(text))
        for name, text in labels.items()
    }


def _write_run(directory: Path, run: Mapping[str, Any]) -> None:
    file = directory / "run.json"
    draft = directory / "run.json.part"
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            os.fchmod(descriptor, 0o600)
            stream.write(json.dumps(run, indent=1) + "\n")
        draft.replace(file)
    except OSError as error:
        raise OutputRefused.not_writable(directory, error.strerror or str(error)) from error


def _spare(directory: Path) -> str:
    """A directory for what this disk does not take: in the system's temporary folder, if that is another disk."""
    try:
        temporary = tempfile.gettempdir()  # which fails where the whole file system is read-only
        if os.stat(temporary).st_dev == os.stat(directory).st_dev:
            return ""
        return tempfile.mkdtemp(prefix=SPARE_PREFIX)
    except OSError:
        return ""


def _fill_loss_counts(directory: Path) -> None:
    """Room for the writers' counts of lost records, taken now: on a full disk only what is there can be written."""
    with contextlib.suppress(OSError), (directory / "lost").open("wb") as stream:
        os.fchmod(stream.fileno(), 0o600)
        stream.write(bytes(8 * LOST_SLOTS))
        stream.flush()
        os.fsync(stream.fileno())


def _locked(directory: Path) -> int:
    """The file whose lock says, as long as this process lives, that the recording is running."""
    file = os.open(directory / LOCK_FILE, os.O_WRONLY | os.O_CREAT, 0o600)
    with contextlib.suppress(OSError):  # a file system without locks
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file


def _environment(environment: dict[str, str], directory: Path, run: Mapping[str, Any]) -> dict[str, str]:
    ours = str(INJECTED_DIRECTORY)
    theirs = [
        entry for entry in environment.get("PYTHONPATH", "").split(os.pathsep) if entry and entry != ours
    ]
    environment["PYTHONPATH"] = os.pathsep.join([ours, *theirs])
    environment["TRACEKIT_SPOOL"] = str(directory)
    environment["TRACEKIT_SPARE"] = run["spare"]
    environment["TRACEKIT_CLOCK"] = run["clock"]
    environment["TRACEKIT_HASH_KEY"] = run["hash_key_file"]
    environment["TRACEKIT_VERSION"] = run["tracekit"]
    for name in ("usage", "content"):
        environment[f"TRACEKIT_{name.upper()}"] = run["choices"].get(name, "")
    return environment


def _spawn(command: Sequence[str], environment: dict[str, str], mask: set[Any]) -> int:
    try:
        return os.posix_spawnp(command[0], list(command), environment, setsigmask=mask, setsigdef=_RESTORED)
    except FileNotFoundError as error:
        raise LaunchFailed.not_found(command[0]) from error
    except OSError as error:
        raise LaunchFailed.not_executable(command[0], error.strerror or str(error)) from error


class _Companions:
    """The recorder's own processes beside the agent: power, servers' metrics, the proxy."""

    def __init__(self, directory: Path, run: dict[str, Any], notes: Writer, mask: set[Any]) -> None:
        self._directory = directory
        self._run = run
        self._notes = notes
        self._mask = mask
        self._metrics = Companion(METRICS, directory, run["clock"], notes)
        self._sampler = Companion(SAMPLER, directory, run["clock"], notes)
        self.proxy: Proxy | None = None

    def read_engines(self, pages: Sequence[str] | None) -> None:
        if pages is not None:
            self._metrics.start(self._mask, pages)

    def sample_power(self, interval_s: float, ask_clocks: Sequence[str]) -> None:
        words = ["--stay", *(word for peer in ask_clocks for word in ("--ask-clock", peer))]
        self._sampler.start(self._mask, ["--interval", str(interval_s), *words])

    def forward(
        self, command: Sequence[str], surroundings: dict[str, str], variables: tuple[str, ...]
    ) -> dict[str, str]:
        """The agent's environment with the proxy's addresses in it, if there is anything to forward."""
        try:
            self.proxy = Proxy.start(
                command, surroundings, self._directory, self._notes, self._mask, variables
            )
        except ProxyDidNotStart:
            return surroundings
        self._run["proxy"] = [] if self.proxy is None else self.proxy.addresses.names
        _write_run(self._directory, self._run)
        return surroundings if self.proxy is None else self.proxy.environment(surroundings)

    def stop(self, orphans: set[int]) -> None:
        """End all of them, but for a proxy that processes left behind still need."""
        self._metrics.hurry()
        self._sampler.hurry()
        if self.proxy is not None and not self.proxy.release(orphans):
            _stop(self.proxy.pid)
        self._sampler.stop()
        self._metrics.stop()


def _stop(process: int) -> None:
    """End a child of ours: politely, then not."""
    for number, patience_s in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 2.0)):
        try:
            os.kill(process, number)
        except ProcessLookupError:
            return
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            try:
                if os.waitpid(process, os.WNOHANG)[0] == process:
                    return
            except ChildProcessError:
                return
            time.sleep(0.005)


class _Signals:
    """Signals for the agent that arrive here, taken one by one with their origin.

    They are blocked and waited for: only so can one that the terminal sent to the whole process group (the
    agent has it already) be told from one that somebody sent to the supervisor alone.
    """

    def __init__(self) -> None:
        if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:  # inherited; it would lose the exit code
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._taken = {number for number in _FORWARDED if signal.getsignal(number) is not signal.SIG_IGN}
        self.outside: set[Any] = signal.pthread_sigmask(signal.SIG_BLOCK, self._taken | {signal.SIGCHLD})

    def next(self) -> tuple[int, bool] | None:
        """The next signal and whether it was meant for us alone; None for a child's news or after a while."""
        wait = getattr(signal, "sigtimedwait", None)
        if wait is None:  # macOS: it cannot be told, so a terminal's signal may reach the agent twice
            time.sleep(0.02)
            pending = signal.sigpending() & self._taken
            return (signal.sigwait(pending), True) if pending else None
        news = wait(self._taken | {signal.SIGCHLD}, _POLL_SECONDS)
        if news is None or news.si_signo == signal.SIGCHLD:
            return None
        return news.si_signo, news.si_code <= 0

    def restore(self) -> None:
        """Back to how they were; what came while the agent was ending was the agent's, and is dropped."""
        ours = self._taken | {signal.SIGCHLD}
        wait = getattr(signal, "sigtimedwait", None)
        # what is pending now a library's thread may take at once: it is never waited for
        while wait is not None and wait(ours, 0) is not None:
            pass
        while wait is None and (pending := signal.sigpending() & ours):
            signal.sigwait(pending)
        signal.pthread_sigmask(signal.SIG_SETMASK, self.outside)


class _Watch:
    """The agent's process while it runs, and the orphans it leaves."""

    def __init__(
        self,
        child: int,
        signals: _Signals,
        notes: Writer,
        others: set[int],
        on_tick: Callable[[], None],
        proxy: Proxy | None = None,
    ) -> None:
        self._others = others
        self._on_tick = on_tick
        self._proxy = proxy
        self.orphans: set[int] = set()  # who goes on when all is over
        self._child = child
        self._signals = signals
        self._notes = notes
        self._presses: list[float] = []
        self._status: int | None = None

    def code(self) -> int:
        """Wait for the agent and briefly for its orphans; the agent's exit code."""
        while not self._is_over():
            news = self._signals.next()
            if news is not None:
                self._pass_on(*news)
            else:
                if self._proxy is not None:
                    self._proxy.tend()
                self._reap_orphans()
            self._on_tick()
        self._wait_for_orphans()
        code = os.waitstatus_to_exitcode(self._status or 0)
        return 128 - code if code < 0 else code

    def _is_over(self) -> bool:
        pid, status = os.waitpid(self._child, os.WNOHANG)
        if pid == self._child:
            self._status = status
        return self._status is not None

    def _pass_on(self, number: int, is_ours_alone: bool) -> None:
        if is_ours_alone:
            self._send(number)
        elif number == signal.SIGINT:
            now = time.monotonic()
            self._presses = [press for press in self._presses if now - press < _DOUBLE_PRESS_SECONDS] + [now]
            if len(self._presses) > 1:
                self._send(signal.SIGTERM if len(self._presses) == 2 else signal.SIGKILL)

    def _send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._child, number)

    def _reap_orphans(self) -> None:
        """Take those that have ended, as init would: who waits for a daemon's end must not find it for ever."""
        proxy = set() if self._proxy is None else {self._proxy.pid}
        _reap(_children() - self._others - proxy - {self._child})

    def _wait_for_orphans(self) -> None:
        """Give processes that outlive the agent a moment to finish their records, and say who did not."""
        end = time.monotonic() + STRAGGLER_SECONDS
        if self._proxy is not None:
            self._others.add(self._proxy.pid)
        while (orphans := _children() - self._others) and time.monotonic() < end:
            _reap(orphans)
            time.sleep(0.01)
        self.orphans = _children() - self._others
        for orphan in sorted(self.orphans):
            self._notes.note("process_left_running", _name(orphan))


def _reap(pids: set[int]) -> None:
    """Take those that have ended."""
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def _children() -> set[int]:
    """Children of this process, and orphans that became ours, whatever session and group they are in."""
    if not sys.platform.startswith("linux"):
        return set()
    try:
        return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))
    except OSError:
        return set()


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _adopt_orphans(adopt: bool) -> None:
    """Let orphans of the agent become our children, so that we know when they are done; or leave them to init."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(adopt), 0, 0, 0)
