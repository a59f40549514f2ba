"""`python -m benchmarks.report [ROWS]`: what the HTML report of a trace of so many rows costs, and how long it is."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.process import spent
from tracekit.provenance import Provenance
from tracekit.schema import Kind
from tracekit.trace import TraceWriter, table_of_columns

CALLS = 5
TOOLS = CALLS - 1
ROWS_A_SESSION = 1 + CALLS + TOOLS
SESSIONS_AT_ONCE = 8
PIECE = 10_000
MS = 1_000_000


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        trace, page = Path(folder) / "t.parquet", Path(folder) / "r.html"
        writer = [
            sys.executable,
            "-c",
            f"from benchmarks.report import write_agents; write_agents({str(trace)!r}, {rows})",
        ]
        subprocess.run(writer, check=True)
        fleet = ["--gpu", "H100", "--replicas", "4"]
        command = [
            sys.executable,
            "-m",
            "tracekit",
            "analyze",
            str(trace),
            *fleet,
            "-o",
            str(page),
            "--force",
        ]
        for note in ("first", "warm"):
            taken = spent(command)
            print(
                f"report of {rows:,} rows, {note}: {taken.wall_s:.1f} s wall, "
                f"{taken.cpu_s:.1f} s CPU (asked: 60), {taken.memory_mb:,.0f} MB (2,048), "
                f"{page.stat().st_size / 1e6:.2f} MB of HTML (5)",
                flush=True,
            )


def write_agents(path: str, rows: int) -> None:
    """Sessions of five calls with a tool between each two, some at once, drawn with a fixed seed."""
    random = np.random.default_rng(5)
    with TraceWriter(Path(path), force=True) as writer:
        for first in range(0, rows // ROWS_A_SESSION, PIECE):
            count = min(PIECE, rows // ROWS_A_SESSION - first)
            for kind, columns in _piece(random, first, count).items():
                writer.write(table_of_columns(kind, columns, len(columns["row_id"])))
        writer.provenance = Provenance(1, "0", ["benchmarks.report"], 0, labels={"sessions": "drawn"})


def _piece(random: np.random.Generator, first: int, count: int) -> dict[Kind, dict[str, list[Any]]]:
    steps = CALLS + TOOLS
    length_ms = np.where(np.arange(steps) % 2 == 0, 900, 400) * random.lognormal(0, 0.5, (count, steps))
    end_ms = np.cumsum(length_ms, axis=1)
    start_ms = end_ms - length_ms
    session = first + np.arange(count)
    origin_ms = session * 1000.0 * 6 / SESSIONS_AT_ONCE
    row = session[:, None] * ROWS_A_SESSION + 1 + np.arange(steps)
    calls, tools = slice(0, steps, 2), slice(1, steps, 2)

    def times(values_ms: np.ndarray) -> list[int]:
        return ((origin_ms[:, None] + values_ms) * MS).astype(np.int64).ravel().tolist()

    def common(chosen: slice) -> dict[str, list[Any]]:
        rows = row[:, chosen].ravel()
        return {
            "row_id": rows.tolist(),
            "start_ns": times(start_ms[:, chosen]),
            "end_ns": times(end_ms[:, chosen]),
            "status": ["ok"] * rows.size,
            "session_id": np.repeat(session * ROWS_A_SESSION, rows.size // count).tolist(),
            "parents": [[] if (one - 1) % ROWS_A_SESSION == 0 else [one - 1] for one in rows.tolist()],
        }

    amount = count * CALLS
    first_token_ms = start_ms[:, calls] + 0.2 * length_ms[:, calls]
    return {
        Kind.SESSION: {
            "row_id": (session * ROWS_A_SESSION).tolist(),
            "start_ns": (origin_ms * MS).astype(np.int64).tolist(),
            "end_ns": ((origin_ms + end_ms[:, -1]) * MS).astype(np.int64).tolist(),
            "status": ["ok"] * count,
        },
        Kind.LLM_CALL: common(calls)
        | {
            "first_token_ns": times(first_token_ms),
            "model": ["Llama-3.1-8B"] * amount,
            "usage_source": ["server"] * amount,
            "input_tokens": random.integers(200, 2000, amount).tolist(),
            "output_tokens": random.integers(20, 120, amount).tolist(),
        },
        Kind.TOOL_SPAN: common(tools) | {"name": ["search"] * (count * TOOLS)},
    }


if __name__ == "__main__":
    main()
