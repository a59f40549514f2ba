"""The command line as a user runs it: a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment(**more):
    return (
        os.environ
        | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1", "XDG_CONFIG_HOME": str(Path.home() / ".config")}
        | more
    )


def start(*words, cwd, **more):
    """`tracekit WORDS...` in `cwd`, running."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "tracekit", *map(str, words)],
        cwd=cwd, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more,
    )  # fmt: skip


def run(*words, cwd, code=0, **more):
    """`tracekit WORDS...` in `cwd`, ended; its exit code is checked."""
    with start(*words, cwd=cwd, **more) as process:
        out, err = process.communicate(timeout=120)
    assert process.returncode == code, f"exit {process.returncode}\n{out}\n{err}"
    assert "Traceback" not in err, err
    return out, err
