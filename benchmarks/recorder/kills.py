"""SIGKILL at random instants: what the agent's next statement marked as finished is in the spool."""

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
from tracekit.collectors.launch import INJECTED_DIRECTORY
from tracekit.spool import read_spool

AGENT = Path(__file__).with_name("killed_agent.py")
LONGEST_LIFE_S = 0.5


@dataclass
class Toll:
    """What the kills did."""

    kills: int = 0
    finished: int = 0
    lost: list[str] = field(default_factory=list)
    torn_lines: int = 0


def kill_figures(kills: int, seed: int = 0) -> Iterator[Figure]:
    """Calls that the agent said were finished, and how many of them no record has."""
    toll = toll_of(kills, seed)
    yield Figure(
        "kills",
        f"{toll.kills} SIGKILLs at random instants of an agent with threads and a forked child (seed {seed})",
        f"{toll.finished:,} calls finished before, {len(toll.lost)} of them lost; {toll.torn_lines} torn lines",
        "0 lost",
    )


def toll_of(kills: int, seed: int) -> Toll:
    """One agent after the other, each killed at an instant of its own."""
    toll = Toll()
    instants = random.Random(seed)
    with served() as base_url:
        for _ in range(kills):
            with tempfile.TemporaryDirectory() as folder:
                _kill_once(Path(folder), base_url, instants.uniform(0, LONGEST_LIFE_S), toll)
    return toll


def _kill_once(folder: Path, base_url: str, life_s: float, toll: Toll) -> None:
    """Let one agent live that long after its first call, kill it, compare."""
    environment = os.environ | {"PYTHONPATH": str(INJECTED_DIRECTORY), "TRACEKIT_SPOOL": str(folder)}
    words = [sys.executable, str(AGENT), base_url]
    with subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, text=True, process_group=0
    ) as agent:
        assert agent.stdout is not None
        first = agent.stdout.readline()
        time.sleep(life_s)
        os.killpg(agent.pid, signal.SIGKILL)
        finished = [first, *agent.stdout.readlines()]
    done = {line.strip() for line in finished if line.endswith("\n")}
    spool = read_spool(folder)
    models = {
        record["id"]: record["request"]["model"] for record in spool.records if record["t"] == "attempt_start"
    }
    ended = {models.get(record["id"]) for record in spool.records if record["t"] == "attempt_end"}
    toll.kills += 1
    toll.finished += len(done)
    toll.lost.extend(sorted(done - ended))
    toll.torn_lines += spool.unreadable_lines
