"""`tracekit` as a user types it, with an engine of its own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TRACE = ROOT / "sample_traces" / "react.parquet"


def started(folder, *words):
    """The command, running, as the first of its process group."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"}
    return subprocess.Popen(
        [sys.executable, "-m", "tracekit", *map(str, words)],
        cwd=folder, env=environment, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def written(folder, name, *words):
    """What the command writes to the file of that name in the folder."""
    with started(folder, *words, "-o", name) as process:
        _out, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    return (folder / name).read_bytes()
