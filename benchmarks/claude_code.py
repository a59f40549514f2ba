"""Claude Code sessions as a trace of ours, imported once, and the fleet they are replayed on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.shared import TRACES

SESSIONS = TRACES / "claude_code"

FLEET = """\
[fleet]
router = "{router}"
gpu = "H100"
model = "Llama-3.1-8B"
replicas = 4
kv_tokens = 4000000
max_model_len = 4000000
"""


def session_files() -> list[Path]:
    """The sessions at hand, in order of name; none where they are missing."""
    return sorted(SESSIONS.glob("*.json.gz"))


def import_sessions(files: list[Path], trace: Path) -> None:
    """Writes the trace."""
    command = [
        sys.executable,
        "-m",
        "tracekit",
        "import",
        "weka",
        *map(str, files),
        "-o",
        str(trace),
        "--force",
    ]
    subprocess.run(command, check=True, capture_output=True)


def write_fleet(folder: Path, router: str) -> Path:
    """The fleet file: room for four million tokens a replica, so that nothing is refused."""
    path = folder / f"claude-{router}.toml"
    path.write_text(FLEET.format(router=router))
    return path
