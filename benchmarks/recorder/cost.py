"""CPU of calls and chunks in the agent's process: with nothing, with the recorder, with the peer, in turn."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure
from benchmarks.recorder import caller, peer
from benchmarks.recorder.served import served
from tracekit.collectors.launch import INJECTED_DIRECTORY

CALLS, STREAMS, CHUNKS = 300, 20, 1000


def cost_figures(runs: int) -> Iterator[Figure]:
    """CPU that recording adds to a call and to a chunk, beside the peer's, medians of pairs with nothing."""
    python = peer.interpreter()
    if python is None:
        yield Figure("cost", "recording a call", "not measured: pip cannot get the client", "")
        return
    rounds = []
    with tempfile.TemporaryDirectory() as folder, served() as base_url:
        words = [str(python), caller.__file__, base_url, str(CALLS), str(STREAMS), str(CHUNKS)]
        ours = {"PYTHONPATH": str(INJECTED_DIRECTORY), "TRACEKIT_SPOOL": folder, "TRACEKIT_CLOCK": ""}
        for number in range(runs + 1):
            taken = [told(words), told(words, ours), told([*words, "--otel"])]
            if number:
                rounds.append(taken)
    with_peer = f"openai {rounds[0][0]['openai']}, opentelemetry-instrumentation-genai-openai {peer.VERSION}"
    yield Figure(
        "cost", f"a plain call, nothing recorded; {with_peer}", _spread(rounds, 0, "call_ms", 1, "ms CPU")
    )
    yield Figure("cost", "added to a call by tracekit", _added(rounds, 1, "call_ms", 1, "ms"), "<= 0.3 ms")
    yield Figure("cost", "added to a call by the peer", _added(rounds, 2, "call_ms", 1, "ms"))
    per_chunk = 1000 / CHUNKS
    yield Figure(
        "cost",
        f"a chunk of a stream of {CHUNKS:,}, nothing recorded",
        _spread(rounds, 0, "stream_ms", per_chunk, "us CPU"),
    )
    yield Figure(
        "cost", "added to a chunk by tracekit", _added(rounds, 1, "stream_ms", per_chunk, "us"), "<= 20 us"
    )
    yield Figure("cost", "added to a chunk by the peer", _added(rounds, 2, "stream_ms", per_chunk, "us"))


def memory_figures(calls: int) -> Iterator[Figure]:
    """The agent's resident memory over many recorded calls."""
    python = peer.interpreter()
    if python is None:
        yield Figure("memory", "of a recorded agent", "not measured: pip cannot get the client", "")
        return
    with tempfile.TemporaryDirectory() as folder, served() as base_url:
        words = [str(python), caller.__file__, base_url, str(calls), "0", "1"]
        environment = {"PYTHONPATH": str(INJECTED_DIRECTORY), "TRACEKIT_SPOOL": folder, "TRACEKIT_CLOCK": ""}
        recorded, alone = told(words, environment), told(words)
    shown = ", ".join(f"{size:.0f}" for size in recorded["resident_mb"])
    growth = [told_["resident_mb"][-1] - told_["resident_mb"][1] for told_ in (recorded, alone)]
    yield Figure(
        "memory",
        f"resident MB of an agent along {calls:,} recorded calls",
        f"{shown}; from the second to the last {growth[0]:+.1f}, without recording {growth[1]:+.1f}",
        "flat",
    )


def told(words: list[str], environment: dict[str, str] | None = None) -> dict[str, Any]:
    """What the caller printed."""
    done = subprocess.run(
        words,
        env=os.environ | (environment or {}),
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(caller.__file__).parent,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def _spread(rounds: list[list[dict[str, Any]]], which: int, key: str, scale: float, unit: str) -> str:
    values = [taken[which][key] * scale for taken in rounds]
    return f"{statistics.median(values):.2f} {unit} (median of {len(values)}, {min(values):.2f}-{max(values):.2f})"


def _added(rounds: list[list[dict[str, Any]]], which: int, key: str, scale: float, unit: str) -> str:
    values = [(taken[which][key] - taken[0][key]) * scale for taken in rounds]
    between = f"{min(values):.2f} to {max(values):.2f}"
    return f"{statistics.median(values):.2f} {unit} CPU (median of {len(values)} pairs, {between})"
