"""NVIDIA's DynoSim (`python -m dynamo.replay` of ai-dynamo) in an environment of its own, on the same requests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

VERSION = "1.3.1"
PACKAGES = (f"ai-dynamo=={VERSION}", f"ai-dynamo-runtime=={VERSION}", "msgspec", "transformers", "numpy")
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tracekit-bench"
AZURE_BLOCK_TOKENS = 512  # the format's own
CLAUDE_BLOCK_TOKENS = 64  # the recorded sessions' own


def interpreter() -> Path | None:
    """A Python that has DynoSim, installed at the first call; None where pip cannot get it."""
    environment = CACHE / "dynosim"
    python = environment / "bin" / "python"
    if not _runs(python):
        CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", environment], check=True, capture_output=True)
        install = [str(python), "-m", "pip", "install", "--quiet", *PACKAGES]
        subprocess.run(install, check=False, capture_output=True)
    return python if _runs(python) else None


def _runs(python: Path) -> bool:
    if not python.is_file():
        return False
    asked = f"import importlib.metadata as m, dynamo.replay; assert m.version('ai-dynamo') == '{VERSION}'"
    return subprocess.run([str(python), "-c", asked], check=False, capture_output=True).returncode == 0


def azure_command(python: Path, trace: Path, report: Path, kv_tokens: int) -> list[str]:
    """One worker with as much KV as our replica has; all else is DynoSim's default."""
    engine = {
        "block_size": AZURE_BLOCK_TOKENS,
        "num_gpu_blocks": kv_tokens // AZURE_BLOCK_TOKENS,
        "enable_prefix_caching": True,
    }
    return _command(
        python, trace, report, engine, ["--num-workers", "1", "--trace-block-size", str(AZURE_BLOCK_TOKENS)]
    )


def claude_command(python: Path, trace: Path, report: Path, kv_tokens: int) -> list[str]:
    """Four workers behind its KV router, the sessions as a graph of calls."""
    engine = {
        "block_size": CLAUDE_BLOCK_TOKENS,
        "num_gpu_blocks": kv_tokens // CLAUDE_BLOCK_TOKENS,
        "enable_prefix_caching": True,
    }
    return _command(
        python,
        trace,
        report,
        engine,
        [
            *("--num-workers", "4", "--router-mode", "kv_router", "--trace-format", "agentic_mooncake"),
            *("--trace-block-size", str(CLAUDE_BLOCK_TOKENS)),
        ],
    )


def _command(
    python: Path, trace: Path, report: Path, engine: dict[str, int], flags: Sequence[str]
) -> list[str]:
    # a line of log a call is not what is measured
    start = [
        "env",
        "DYN_LOG=error",
        str(python),
        "-m",
        "dynamo.replay",
        str(trace),
        "--replay-mode",
        "offline",
    ]
    return [*start, *flags, "--extra-engine-args", json.dumps(engine), "--report-json", str(report)]


def told(report: Path) -> tuple[int, float]:
    """Calls that the run of the report completed, and the fraction of prompt tokens that it found cached."""
    read = json.loads(report.read_text())
    return int(read["completed_requests"]), float(read["prefix_cache_reused_ratio"])


def export_sessions(trace: Path, output: Path) -> None:
    """Our trace as agentic Mooncake rows."""
    command = [sys.executable, "-m", "tracekit", "export", "agentic-mooncake", str(trace), "-o", str(output)]
    subprocess.run([*command, "--force"], check=True, capture_output=True)


def write_requests(path: Path, requests: int) -> None:
    """Azure's requests as Mooncake rows, no two with a block in common."""
    # not above: what the benchmark's own process holds would count as its children's memory
    code = "import sys; from benchmarks.open_loop import write_mooncake; write_mooncake(*sys.argv[1:])"
    command = [sys.executable, "-c", code, str(path), str(requests), str(AZURE_BLOCK_TOKENS)]
    subprocess.run(command, check=True, capture_output=True)
