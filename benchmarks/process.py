"""CPU seconds of whole processes, children included, as the operating system counts them."""

from __future__ import annotations

import os
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """Medians over the runs; memory is the largest process's peak."""

    cpu_s: float
    cpu_min_s: float
    cpu_max_s: float
    memory_mb: float


def cost(command: Sequence[str], runs: int, environment: Mapping[str, str] | None = None) -> Cost:
    """What `command` costs, after one run that is not counted."""
    _once(command, environment)
    cpu, memory = zip(*(_once(command, environment) for _ in range(runs)), strict=True)
    return Cost(statistics.median(cpu), min(cpu), max(cpu), max(memory))


def paired(
    first: Sequence[str], second: Sequence[str], runs: int, environment: Mapping[str, str]
) -> list[float]:
    """CPU seconds of `second` less `first`, pair by pair, the two in turn: drift of the machine cancels."""
    _once(first, None)
    _once(second, environment)
    return [_once(second, environment)[0] - _once(first, None)[0] for _ in range(runs)]


def _once(command: Sequence[str], environment: Mapping[str, str] | None) -> tuple[float, float]:
    process = subprocess.Popen(
        command,
        env=None if environment is None else os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _pid, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
