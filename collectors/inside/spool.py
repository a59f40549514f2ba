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
        self._identity = (0, 0)
        self._path = ""
        self._ids = count(1)
        self._prefix = ""
        self._torn = False
        self._lost = 0
        self._opening = RLock()

    def new_id(self) -> str:
        """An id no other record of this recording has, also where no spool file can be opened any more."""
        try:
            if self._pid != os.getpid():
                self._ready()
            return self._prefix + str(next(self._ids))
        except Exception:  # the recording is over and its directory gone, or every descriptor is taken
            return f"{os.getpid()}-{self.clock.now_ns():x}-n{next(self._ids)}"

    def write(self, kind: str, ns: int, fields: dict[str, Any]) -> None:
        """Append one record; whatever goes wrong, the caller goes on."""
        try:
            record: dict[str, Any] = {"t": kind, "ns": ns}
            record.update(fields)
            self._append(record)
        except Exception:
            self._lose()

    def write_lines(self, lines: list[bytes]) -> None:
        """Append records that are spelled already, each a line, by one write; as `write`, it never raises."""
        try:
            self._ready()
            if lines and not self._took(b"".join(lines)):
                for line in lines:
                    self._put(line)
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

    def _append(self, record: dict[str, Any]) -> None:
        self._ready()
        if self._lost and record["t"] != "note":
            self._tell_lost()
        self._put(encode(record))

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

    def _put(self, line: bytes) -> bool:
        if self._took(line) or (self._move_to_spare() and self._took(line)):
            return True
        self._lose()
        return False

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
                self._put(encode(self._process(start_ns)))

    def _is_ours(self) -> bool:
        try:
            status = os.fstat(self._file)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._identity

    def _open(self) -> None:
        flags = (
            os.O_WRONLY
            | os.O_APPEND
            | os.O_CREAT
            | getattr(os, "O_CLOEXEC", 0)
            | getattr(os, "O_NOFOLLOW", 0)
        )
        self._file = os.open(self._path, flags, 0o600)
        status = os.fstat(self._file)
        self._identity = (status.st_dev, status.st_ino)

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


_to_json: Callable[[Any], str] | None = None


def encode(record: dict[str, Any]) -> bytes:
    """The record as one line of JSON, in ASCII, whose texts are valid Unicode.

    Flat records are spelled by hand until somebody else imports json: it is a third of our start-up time.
    """
    line = _spelled(record)
    if b"\\ud" in line:  # characters beyond U+FFFF, or half of one: a file name, a server's odd string
        line = _spelled(without_lone_surrogates(record))
    return line


def _spelled(record: dict[str, Any]) -> bytes:
    if "json" not in sys.modules:
        line = _flat(record)
        if line is not None:
            return line
    global _to_json  # noqa: PLW0603  (made when first needed)
    if _to_json is None:
        from .json_text import encoder

        _to_json = encoder(sort_keys=False, ensure_ascii=True, default=str)
    return _to_json(record).encode("ascii") + b"\n"


def _flat(record: dict[str, Any]) -> bytes | None:
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
    return ("{" + ",".join(pairs) + "}\n").encode("ascii")
