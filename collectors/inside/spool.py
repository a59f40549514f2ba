"""The writer of one process's spool file: one `os.write` a record, nothing buffered, nothing raised."""

from __future__ import annotations

import os
import sys
from _thread import RLock
from itertools import count
from time import sleep

from .clock import Clock
from .plain import label, without_lone_surrogates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


LOST_SLOTS = 512
"""The file `lost` holds a count for each process, at its id modulo this."""
LOCK_TRIES = 20  # a stopped process may hold the lock for ever; a count is not worth a waiting agent
LOCK_PAUSE_SECONDS = 0.0005
_MAYBE_HALF_A_PAIR = "\\ud"  # of a character beyond U+FFFF, as JSON in ASCII spells it


class Writer:
    """Appends records to ``<directory>/<pid>-<start_ns>.jsonl``; a forked child opens its own file.

    The first record is `process`, unless the process is no part of the agent. When the disk takes no more,
    the writer moves on to the spare directory, if there is one. Records that neither took are counted in the
    file `lost` (which the supervisor filled beforehand, so that counting needs no space), or by a note as soon
    as writing works again.
    """

    def __init__(
        self, directory: str, clock: Clock, version: str = "", *, spare: str = "", is_agent: bool = True
    ) -> None:
        self.clock = clock
        self._is_agent = is_agent
        self._directory = directory
        self._counter = directory + "/lost"
        self._spare = spare
        self._version = version
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._pid = 0
        self._file = -1
        self._identity: tuple[float, ...] = ()
        self._path = ""
        self._ids = count(1)
        self._prefix = ""
        self._torn = False
        self._lost = 0
        self._opening = RLock()

    def new_id(self, pid: int | None = None) -> str:
        """An id no other record of this recording has, also where no spool file can be opened any more.

        Parameters
        ----------
        pid : this process's, if it was asked for just now.
        """
        try:
            if self._pid != (pid or os.getpid()):
                self._ready()
            return self._prefix + str(next(self._ids))
        except Exception:  # the recording is over and its directory gone, or every descriptor is taken
            return f"{os.getpid()}-{self.clock.now_ns():x}-n{next(self._ids)}"

    def write(self, kind: str, ns: int, fields: dict[str, Any]) -> None:
        """Append one record; whatever goes wrong, the caller goes on."""
        try:
            record: dict[str, Any] = {"t": kind, "ns": ns}
            record.update(fields)
            self._append(encode(record), os.getpid())
        except Exception:
            self._lose()

    def write_text(self, text: str, pid: int) -> None:
        """Append one record that is spelled already, by `encode`'s rules; as `write`, it never raises.

        Parameters
        ----------
        text : one line, and its end.
        pid : this process's, asked for just now.
        """
        try:
            if _MAYBE_HALF_A_PAIR in text:
                text = _valid(text)
            self._append(text.encode("ascii"), pid)
        except Exception:
            self._lose()

    def write_lines(self, lines: list[bytes]) -> None:
        """Append records that are spelled already, each a line, by one write; as `write`, it never raises."""
        try:
            self._ready()
            if lines and not self._took(b"".join(lines)):
                for line in lines:
                    self._append_anyhow(line)
        except Exception:
            self._lose()

    def note(self, what: str, detail: str) -> None:
        """Append a note: something that was not seen, or went wrong."""
        self.write("note", self.clock.now_ns(), {"pid": os.getpid(), "what": what, "detail": detail})

    def start(self) -> None:
        """Open the file and write the `process` record now, not at the first record."""
        try:
            self._ready()
        except Exception:
            self._lose()

    def _append(self, line: bytes, pid: int) -> None:
        """Write a line; what is here is all that happens where nothing is wrong."""
        written = -1
        try:
            if (
                self._pid == pid
                and os.fstat(self._file)[1:3] == self._identity
                and not self._torn
                and not self._lost
            ):
                written = os.write(self._file, line)
        except OSError:  # closed, or full
            pass
        if written == len(line):
            return
        if written >= 0:
            self._torn = True
            self._rescue(line)
        else:
            self._append_anyhow(line)

    def _append_anyhow(self, line: bytes) -> None:
        self._ready()
        if self._lost:
            self._tell_lost()
        if not self._took(line):
            self._rescue(line)

    def _tell_lost(self) -> None:
        lost, self._lost = self._lost, 0
        note = {
            "t": "note",
            "ns": self.clock.now_ns(),
            "pid": self._pid,
            "what": "records_lost",
            "detail": str(lost),
        }
        if not self._took(encode(note)):
            self._lost += lost

    def _rescue(self, line: bytes) -> None:
        """Take a line to where the file did not take it."""
        if not (self._move_to_spare() and self._took(line)):
            self._lose()

    def _took(self, line: bytes) -> bool:
        if self._torn:
            line = b"\n" + line
        try:
            written = os.write(self._file, line)
        except OSError:
            return False
        self._torn = written != len(line)
        return not self._torn

    def _move_to_spare(self) -> bool:
        if not self._spare:
            return False
        self._directory, self._spare = self._spare, ""
        full = self._file
        try:
            self._path = self._directory + "/" + os.path.basename(self._path)
            self._open()
        except OSError:
            return False
        self._torn = False
        os.close(full)
        return True

    def _lose(self) -> None:
        self._lost += 1
        try:
            file = os.open(self._counter, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
            try:
                _count_one(file, os.getpid() % LOST_SLOTS * 8)
            finally:
                os.close(file)
        except Exception:
            return

    def _ready(self) -> None:
        """Make `_file` this process's own open spool file, even if the agent forked or closed descriptors."""
        if self._pid == os.getpid():
            if self._is_ours():
                return
        elif self._pid:
            self._reset()
        with self._opening:
            if self._pid == os.getpid():
                if not self._is_ours():
                    self._open()
                return
            start_ns = self.clock.now_ns()
            pid = os.getpid()
            self._path = f"{self._directory}/{pid}-{start_ns}.jsonl"
            self._prefix = f"{pid}-{start_ns:x}-"
            self._open()
            self._pid = pid
            if self._is_agent:
                self._append(encode(self._process(start_ns)), pid)

    def _is_ours(self) -> bool:
        try:
            return os.fstat(self._file)[1:3] == self._identity
        except OSError:
            return False

    def _open(self) -> None:
        flags = (
            os.O_WRONLY
            | os.O_APPEND
            | os.O_CREAT
            | getattr(os, "O_CLOEXEC", 0)
            | getattr(os, "O_NOFOLLOW", 0)
        )
        self._file = os.open(self._path, flags, 0o600)
        self._identity = os.fstat(self._file)[1:3]  # inode and device

    def _process(self, start_ns: int) -> dict[str, Any]:
        arguments = getattr(sys, "argv", None) or getattr(sys, "orig_argv", None) or [sys.executable]
        return {
            "t": "process",
            "ns": start_ns,
            "pid": self._pid,
            "ppid": os.getppid(),
            "host": os.uname().nodename if hasattr(os, "uname") else "",
            "argv0": label(os.path.basename(str(arguments[0]))),
            "executable": label(os.path.basename(str(sys.executable or ""))),
            "python": "{}.{}.{}".format(*sys.version_info[:3]),
            "recorder": self._version,
        }


def _count_one(file: int, place: int) -> None:
    """Add one to the count at `place`, which processes of other times, or of far-off ids, have in common."""
    lock = _lock(file)
    try:
        count = int.from_bytes(os.pread(file, 8, place), "little") + 1
        os.pwrite(file, count.to_bytes(8, "little"), place)
    finally:
        if lock is not None:
            lock(file)


def _lock(file: int) -> Callable[[int], None] | None:
    """Lock the file and give what unlocks it; None without locks, or if nobody lets go for a while."""
    try:
        import fcntl
    except ImportError:
        return None
    for _ in range(LOCK_TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # noqa: PERF203
            sleep(LOCK_PAUSE_SECONDS)
        except OSError:
            return None
        else:
            return lambda file: fcntl.flock(file, fcntl.LOCK_UN)
    return None


def encode(record: dict[str, Any]) -> bytes:
    """The record as one line of JSON, in ASCII, whose texts are valid Unicode.

    Flat records are spelled by hand until somebody else imports json: it is a third of our start-up time.
    """
    text = _spelled(record)
    if _MAYBE_HALF_A_PAIR in text:  # a file name, a server's odd string
        text = _spelled(without_lone_surrogates(record))
    return f"{text}\n".encode("ascii")


def _spelled(record: dict[str, Any]) -> str:
    if "json" not in sys.modules:
        text = _flat(record)
        if text is not None:
            return text
    from .json_text import spelled

    return spelled(record)


def _valid(text: str) -> str:
    from .json_text import parsed, spelled

    return f"{spelled(without_lone_surrogates(parsed(text)))}\n"


def _flat(record: dict[str, Any]) -> str | None:
    try:
        from _json import encode_basestring_ascii as quote
    except ImportError:
        return None
    pairs = []
    for key, value in record.items():
        if isinstance(value, str):
            text = quote(value)
        elif value is None:
            text = "null"
        elif type(value) is int:
            text = str(value)
        else:
            return None
        pairs.append(f'"{key}":{text}')
    return "{" + ",".join(pairs) + "}"
