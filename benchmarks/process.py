"""CPU seconds of whole processes, children included, as the operating system counts them."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


class Spent(NamedTuple):
    """Of one run: seconds of the clock, of processors, and the largest process's peak."""

    wall_s: float
    cpu_s: float
    memory_mb: float


@dataclass(frozen=True)
class Cost:
    """Medians over the runs; memory is the largest process's peak."""

    cpu_s: float
    cpu_min_s: float
    cpu_max_s: float
    memory_mb: float
    runs: int = 1


def cost(command: Sequence[str], runs: int, environment: Mapping[str, str] | None = None) -> Cost:
    """What `command` costs, after one run that is not counted."""
    _once(command, environment)
    return _medians([_once(command, environment) for _ in range(runs)])


def in_turn(commands: Sequence[Sequence[str]], runs: int) -> list[Cost]:
    """What each command costs, all of them once a round, after a round that is not counted.

    What else the machine does hits all of them alike.
    """
    rounds = [[_once(command, None) for command in commands] for _ in range(runs + 1)]
    return [_medians(list(taken)) for taken in zip(*rounds[1:], strict=True)]


def paired(
    first: Sequence[str], second: Sequence[str], runs: int, environment: Mapping[str, str]
) -> list[float]:
    """CPU seconds of `second` less `first`, pair by pair, the two in turn: drift of the machine cancels."""
    _once(first, None)
    _once(second, environment)
    return [_once(second, environment)[0] - _once(first, None)[0] for _ in range(runs)]


def told_by(command: Sequence[str], environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The JSON object that `command` prints as its last line.

    What holds arrays runs in a process of its own: a child's peak memory is never below its parent's.
    """
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return told


def _medians(taken: Sequence[tuple[float, float]]) -> Cost:
    cpu, memory = zip(*taken, strict=True)
    return Cost(statistics.median(cpu), min(cpu), max(cpu), max(memory), len(taken))


def _once(command: Sequence[str], environment: Mapping[str, str] | None) -> tuple[float, float]:
    told = spent(command, environment, stderr=subprocess.DEVNULL)
    return told.cpu_s, told.memory_mb


def spent(
    command: Sequence[str], environment: Mapping[str, str] | None = None, stderr: int | None = None
) -> Spent:
    """What one run of `command` took; what it prints is thrown away, its stderr is shown unless told otherwise."""
    start_s = time.perf_counter()
    process = subprocess.Popen(
        command,
        env=None if environment is None else os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
    )
    _pid, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    wall_s = time.perf_counter() - start_s
    return Spent(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
