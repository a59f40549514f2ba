"""What a sizing costs: `python -m benchmarks size [--calls N] [--rate X] [--brief]`.

A trace of drawn sessions (five calls, four tools between them), six kinds of GPU, TP 1, 2, 4 and 8, three routers, up
to 256 replicas; `tracekit size` as a process of its own. CPU seconds are the figure where other work shares the
machine: on two cores of one's own it takes half as many seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import machine_in_words
from benchmarks.report import CALLS, ROWS_A_SESSION

SLOS = ("--slo", "session_p95<8s", "--slo", "ttft_p95<500ms")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=20.0, help="sessions a second")
    parser.add_argument("--brief", action="store_true")


def print_size(options: argparse.Namespace) -> None:
    """Prints one sizing's cost and answer."""
    print(f"Measured on {machine_in_words()}.", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        trace, output = Path(folder) / "t.parquet", Path(folder) / "size.json"
        rows = options.calls // CALLS * ROWS_A_SESSION
        # not in this process: what it holds at a fork would count as its child's memory
        writer = f"from benchmarks.report import write_agents; write_agents({str(trace)!r}, {rows})"
        subprocess.run([sys.executable, "-c", writer], check=True)
        brief = ["--brief"] if options.brief else []
        command = [
            *(sys.executable, "-m", "tracekit", "size", str(trace), "--rate", f"{options.rate}/s"),
            *(*SLOS, *brief, "-o", str(output)),
        ]
        start_s = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _pid, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - start_s
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
        document = json.loads(output.read_text())
    print(document["headline"])
    cpu_s = usage.ru_utime + usage.ru_stime
    print(
        f"size, {options.calls:,} calls, {options.rate:g} sessions/s{' --brief' if options.brief else ''}: "
        f"{cpu_s:.1f} CPU s, so {cpu_s / 2:.0f} s on two cores (asked: 60), {wall_s:.0f} s wall, "
        f"{usage.ru_maxrss / 1024:,.0f} MB (2,000), {document['replays']:,} replays, "
        f"{len(document['considered'])} kinds replayed",
        flush=True,
    )
