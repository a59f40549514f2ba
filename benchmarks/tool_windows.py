"""Tool windows against the truth: agents whose tools write down when they ran, recorded, framework by framework.

The agents are tests/clients/agents/; the interpreter must have the framework. A row's error is the larger of
its two ends' distances from the run of that tool that it overlaps most.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tracekit.schema import Kind
from tracekit.trace import Trace

AGENTS = Path(__file__).parents[1] / "tests" / "clients" / "agents"
NO_AGENTS = ("slow_tools", "tool_server", "mcp_server")


def print_tool_windows(python: str, names: list[str], runs: int) -> None:
    """One line an agent: rows by source, error of a window (median and largest, ms), sessions, edges by source."""
    names = names or sorted(path.stem for path in AGENTS.glob("*.py") if path.stem not in NO_AGENTS)
    server = subprocess.Popen(
        [sys.executable, str(AGENTS / "tool_server.py"), "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        for name in names:
            print(_line(name, python, port, runs), flush=True)
    finally:
        server.terminate()


def _line(name: str, python: str, port: int, runs: int) -> str:
    errors_ms: list[float] = []
    sources: Counter[str] = Counter()
    edges: Counter[str] = Counter()
    sessions, truths, calls, twice = [], 0, 0, 0
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            failure = _record(name, python, port, Path(folder))
            if failure:
                return f"{name:24} failed: {failure}"
            trace = Trace.open(Path(folder) / "t.parquet")
            truth = [json.loads(line) for line in (Path(folder) / "truth").read_text().splitlines()]
        spans = trace.rows(Kind.TOOL_SPAN).to_pylist()
        steps = [span for span in spans if span["inside_id"] is None]
        sources.update(span["tool_source"] for span in steps)
        errors_ms += _errors_ms(steps, truth)
        sessions.append(trace.count(Kind.SESSION))
        truths += len(truth)
        twice += len(spans) - len(steps)
        rows = trace.rows(Kind.LLM_CALL).to_pylist()
        calls += len(rows)
        edges.update(row["edge_source"] or "none" for row in rows)
    errors_ms.sort()
    middle = f"{errors_ms[len(errors_ms) // 2]:6.1f} {errors_ms[-1]:6.1f}" if errors_ms else "     -      -"
    return (
        f"{name:24} runs of tools {truths}, rows {dict(sources)}, inside {twice}, error ms p50 max {middle}, "
        f"sessions {sessions}, calls {calls}, edges {dict(edges)}"
    )


def _record(name: str, python: str, port: int, folder: Path) -> str | None:
    environment = os.environ | {
        "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1",
        "OPENAI_API_KEY": "x",
        "TOOL_LOG": str(folder / "truth"),
    }
    (folder / "truth").touch()
    run = subprocess.run(
        [sys.executable, "-m", "tracekit", "record", "-o", str(folder / "t.parquet"), "--", python,
         str(AGENTS / f"{name}.py")],
        env=environment, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    if os.environ.get("SHOW"):
        print(run.stdout, run.stderr)
    return None if run.returncode == 0 else run.stderr.strip()[-600:]


def _errors_ms(steps: list[dict[str, object]], truth: list[tuple[str, int, int]]) -> list[float]:
    """Per true run of a tool, how far the row that tells of it is off; infinite where none does."""
    errors = []
    for name, start_ns, end_ns in truth:
        rows = [(row["start_ns"], row["end_ns"] or row["start_ns"]) for row in steps if row["name"] == name]
        errors.append(
            min(
                (max(abs(start - start_ns), abs(end - end_ns)) / 1e6 for start, end in rows),
                default=float("inf"),
            )
        )
    return errors
