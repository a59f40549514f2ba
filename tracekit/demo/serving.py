"""Starts the demo's endpoint beside the caller and ends it with the caller's block."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, Self

from tracekit.errors import TracekitError

READY_TIMEOUT_S: Final = 60.0
END_TIMEOUT_S: Final = 5.0
STDERR_TAIL_BYTES: Final = 2000


class DemoServerError(TracekitError):
    @classmethod
    def saying(cls, what: str, tail: str) -> Self:
        said = f"Its last words were:\n{tail}" if tail else "It wrote nothing to standard error."
        return cls(
            f"The demo's language model server {what}. {said}\n"
            "Run `python -m tracekit.demo.server` by itself to see it fail."
        )


@contextmanager
def serving(
    weights: Path | None = None, ready_timeout_s: float = READY_TIMEOUT_S, model: str = "random"
) -> Iterator[str]:
    """The base URL of a server that runs while the block does.

    `model` is random or smollm2. Random weights are written if absent (default: in the user's cache). The server is
    out of reach of the
    terminal's Ctrl-C, so it answers until the block ends; it also ends by itself if this process dies.
    """
    with tempfile.TemporaryFile() as stderr, _started(weights, model, stderr) as server:
        try:
            yield _base_url(server, stderr, ready_timeout_s)
        finally:
            _end(server)


def _started(weights: Path | None, model: str, stderr: IO[bytes]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "tracekit.demo.server", "--until-stdin-closes", "--model", model]
    if weights:
        command += ["--weights", str(weights)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, start_new_session=True
    )


def _base_url(server: subprocess.Popen[bytes], stderr: IO[bytes], timeout_s: float) -> str:
    assert server.stdout is not None
    if not select.select([server.stdout], [], [], timeout_s)[0]:
        raise DemoServerError.saying(f"was not ready within {timeout_s:g} s", _tail(stderr))
    line = server.stdout.readline()
    if not line:
        code = server.wait(END_TIMEOUT_S)
        raise DemoServerError.saying(f"ended with code {code} before it was ready", _tail(stderr))
    return str(json.loads(line)["base_url"])


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _tail(stderr: IO[bytes]) -> str:
    size = stderr.seek(0, 2)
    stderr.seek(max(0, size - STDERR_TAIL_BYTES))
    return stderr.read().decode(errors="replace").strip()
