"""The model server as a process beside the one that measures."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def served(log: Path | None = None) -> Iterator[str]:
    """The base URL of a model server that runs inside the `with`."""
    words = [sys.executable, "-m", "benchmarks.recorder.model_server", *([str(log)] if log else [])]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        finally:
            server.kill()
