"""SIGKILL at random instants: what the agent's next statement marked as finished is in the trace."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.recorder.served import served
from tracekit.schema import Kind
from tracekit.trace import Trace

AGENT = Path(__file__).with_name("killed_agent.py")
LONGEST_LIFE_S = 0.5
BY = {
    "hooks": ["--proxy", "never"],
    "the proxy alone": ["--proxy", "always", "-I"],  # an isolated interpreter does not load the hooks
}


@dataclass
class Toll:
    """What the kills did."""

    kills: int = 0
    finished: int = 0
    lost: list[str] = field(default_factory=list)
    torn: int = 0  # recordings with lines that cannot be read


def kill_figures(kills: int, seed: int = 0) -> Iterator[Figure]:
    """Calls that the agent said were finished, and how many of them no record has, by hooks and by the proxy alone."""
    for seer, words in BY.items():
        toll = toll_of(kills, seed, words)
        yield Figure(
            "kills",
            f"{toll.kills} SIGKILLs at random instants of an agent with threads and a forked child, "
            f"recorded by {seer} (seed {seed})",
            f"{toll.finished:,} calls finished before, {len(toll.lost)} of them lost; torn lines in {toll.torn} spools",
            "0 lost",
        )


def toll_of(kills: int, seed: int, words: list[str]) -> Toll:
    """One agent after the other, each killed at an instant of its own."""
    toll = Toll()
    instants = random.Random(seed)
    with served() as base_url:
        for _ in range(kills):
            with tempfile.TemporaryDirectory() as folder:
                _kill_once(Path(folder), base_url, words, instants.uniform(0, LONGEST_LIFE_S), toll)
    return toll


def _kill_once(folder: Path, base_url: str, words: list[str], life_s: float, toll: Toll) -> None:
    """Record one agent, let it live that long after its first call, kill it, compare with the trace."""
    trace = folder / "t.parquet"
    record = [
        sys.executable,
        "-m",
        "tracekit",
        "record",
        "-q",
        *words[:2],
        "-o",
        str(trace),
        "--",
        sys.executable,
    ]
    command = [*record, *words[2:], str(AGENT)]
    environment = os.environ | {"OPENAI_BASE_URL": base_url}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as recorder:
        assert recorder.stdout is not None
        group = int(recorder.stdout.readline())
        first = recorder.stdout.readline()
        time.sleep(life_s)
        os.killpg(group, signal.SIGKILL)
        finished = [first, *recorder.stdout.readlines()]
    done = {line.strip() for line in finished if line.endswith("\n")}
    opened = Trace.open(trace)
    rows = opened.rows(Kind.LLM_CALL, ["model", "status"]).to_pylist()
    toll.kills += 1
    toll.finished += len(done)
    toll.lost.extend(sorted(done - {row["model"] for row in rows if row["status"] == "ok"}))
    toll.torn += bool(opened.provenance.not_seen.unreadable_lines)
