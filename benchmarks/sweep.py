"""What a sweep costs: `python -m benchmarks sweep [--scenarios 1000] [--calls 10000] [--workers 2]`.

Sessions of five calls with tools between them, drawn; the product of replicas, routers, speculation and batch sizes
on an H100. Whole processes: CPU seconds are the operating system's, children included; wall seconds depend on what else
the machine does.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.machine import machine_in_words
from benchmarks.process import Spent, spent
from benchmarks.report import CALLS, ROWS_A_SESSION

AIM_S = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scenarios", type=int, default=1000)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--workers", default="1,2", help="one sweep for each of these")
    parser.add_argument("--engine", default="local")


def print_sweep_cost(options: argparse.Namespace) -> None:
    """Prints a line for each number of workers."""
    print(machine_in_words(), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "t.parquet"
        rows = options.calls // CALLS * ROWS_A_SESSION
        writer = f"from benchmarks.report import write_agents; write_agents({str(trace)!r}, {rows})"
        subprocess.run([sys.executable, "-c", writer], check=True)
        for workers in options.workers.split(","):
            wall_s, cpu_s, memory_mb = _swept(trace, options.scenarios, workers, options.engine)
            print(
                f"sweep of {options.scenarios:,} scenarios x {options.calls:,} calls, {options.engine}, "
                f"{workers} workers: {wall_s:.1f} s wall, {cpu_s:.1f} s CPU "
                f"({1000 * cpu_s / options.scenarios:.1f} ms a scenario), {memory_mb:,.0f} MB "
                f"[<= {AIM_S} s wall for 1,000 x 10,000 on two cores]",
                flush=True,
            )


def _swept(trace: Path, scenarios: int, workers: str, engine: str) -> Spent:
    """Wall seconds, CPU seconds and MB of one sweep, compiled kernels and all."""
    words = [
        sys.executable,
        "-m",
        "tracekit",
        "sweep",
        str(trace),
        "--gpu",
        "H100",
        "--model",
        "Llama-3.1-8B",
    ]
    words += ["--over", "replicas=1,2,3,4,6", "--over", "router=least-outstanding,prefix-aware"]
    words += ["--over", "tools.speculative=off,0.2,0.4,0.6,0.8"]
    words += ["--over", f"max_num_seqs={','.join(str(16 + place) for place in range(-(-scenarios // 50)))}"]
    words += ["--workers", workers, "--engine", engine, "-o", str(trace.with_name("sweep.csv")), "--force"]
    return spent(words)
