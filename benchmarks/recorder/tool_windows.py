"""Windows of tools against the truth: agents of real frameworks, whose tools write down when they ran.

The agents are tests/clients/agents/, their environments those of tests/clients. A window's error is the larger of its
two ends' distances from the run of that tool that it overlaps most.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure
from tests.clients import environments
from tracekit.schema import Kind
from tracekit.trace import Trace

AGENTS = Path(environments.__file__).with_name("agents")
ENVIRONMENTS = {
    "langgraph_react": "langchain",
    "openai_agents": "openai-agents",
    "pydantic_ai_agent": "pydantic-ai",
    "smolagents_agent": "smolagents",
    "autogen_agent": "autogen",
    "llama_index_agent": "llama-index",
    "dspy_react": "dspy",
    "mcp_agent": "openai-agents",
    "mcp_raw": "litellm",
}
TARGET = "<= 50 ms"


def tool_window_figures(runs: int) -> Iterator[Figure]:
    """One figure a framework: how far off the windows of its tools are, over so many runs of one agent."""
    with _tool_server() as base_url:
        for agent, environment in ENVIRONMENTS.items():
            try:
                environments.make(environment)
            except environments.CannotMake as error:
                yield Figure("tools", agent, f"not measured: {error}")
                continue
            yield _figure(agent, environments.interpreter(environment), base_url, runs)


@contextlib.contextmanager
def _tool_server() -> Iterator[str]:
    words = [sys.executable, str(AGENTS / "tool_server.py"), "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        finally:
            server.kill()


def _figure(agent: str, python: list[str], base_url: str, runs: int) -> Figure:
    errors_ms: list[float] = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            errors_ms += _errors_ms(agent, python, base_url, Path(folder))
    seen = sorted(error for error in errors_ms if error != float("inf"))
    what = f"error of a tool's window, {agent}, {runs} runs, {len(seen)} of {len(errors_ms)} tools seen"
    if len(seen) < 2:
        return Figure("tools", what, "too few", TARGET)
    cuts = statistics.quantiles(seen, n=20, method="inclusive")
    return Figure(
        "tools", what, f"p50 {cuts[9]:.1f} ms, p95 {cuts[18]:.1f} ms, largest {seen[-1]:.1f} ms", TARGET
    )


def _errors_ms(agent: str, python: list[str], base_url: str, folder: Path) -> list[float]:
    """Per true run of a tool in one recorded run of the agent, how far its row is off."""
    truth, trace = folder / "truth", folder / "t.parquet"
    truth.touch()
    environment = {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": "x", "TOOL_LOG": str(truth)}
    words = [
        sys.executable,
        "-m",
        "tracekit",
        "record",
        "-o",
        str(trace),
        "--",
        *python,
        str(AGENTS / f"{agent}.py"),
    ]
    subprocess.run(words, env=os.environ | environment, capture_output=True, timeout=180, check=True)
    spans = Trace.open(trace).rows(Kind.TOOL_SPAN).to_pylist()
    steps = [span for span in spans if span["inside_id"] is None]
    return [_error_ms(steps, *json.loads(line)) for line in truth.read_text().splitlines()]


def _error_ms(steps: list[dict[str, object]], name: str, start_ns: int, end_ns: int) -> float:
    """Of the nearest row of that name; infinite where there is none."""
    rows = [(row["start_ns"], row["end_ns"] or row["start_ns"]) for row in steps if row["name"] == name]
    return min(
        (max(abs(start - start_ns), abs(end - end_ns)) / 1e6 for start, end in rows), default=float("inf")
    )
