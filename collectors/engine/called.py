"""The servers that the agent calls, as its growing spool names them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tracekit.collectors.engine.endpoint import Endpoint

_START = b'{"t":"attempt_start"'
_LARGEST_READ_BYTES = 4 * 1024 * 1024  # of one file at one look; the rest waits for the next


class CalledServers:
    """Follows the files of a spool directory; each `new` reads only what was written since."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._read_bytes: dict[Path, int] = {}
        self._known: set[Endpoint] = set()

    def new(self) -> list[Endpoint]:
        """Endpoints of the servers called for the first time since the last look."""
        found = [endpoint for file in self._directory.glob("*.jsonl") for endpoint in self._calls(file)]
        fresh = list(dict.fromkeys(endpoint for endpoint in found if endpoint not in self._known))
        self._known.update(fresh)
        return fresh

    def _calls(self, file: Path) -> Iterator[Endpoint]:
        start = self._read_bytes.get(file, 0)
        try:
            if file.stat().st_size <= start:
                return
            with file.open("rb") as stream:
                stream.seek(start)
                data = stream.read(_LARGEST_READ_BYTES)
        except OSError:
            return
        whole = data.rfind(b"\n") + 1
        if not whole and len(data) == _LARGEST_READ_BYTES:
            whole = len(data)  # one endless line is no call
        self._read_bytes[file] = start + whole
        for line in data[:whole].splitlines():
            endpoint = _endpoint(line) if line.startswith(_START) else None
            if endpoint is not None:
                yield endpoint


def _endpoint(line: bytes) -> Endpoint | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    scheme, host, port = (record.get(key) for key in ("scheme", "host", "port"))
    if not (isinstance(scheme, str) and isinstance(host, str) and isinstance(port, int | None)):
        return None
    return Endpoint.of_call(scheme, host, port)
