"""What the sampler costs beside an agent: eight fake GPUs at 20 Hz, through nvidia-ml-py, as the system counts it.

The fake library answers in a microsecond. A real driver's own time comes on top, and is not known without a GPU.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.process import told_by
from tracekit.demo.fake_gpu import FakeGpus, PowerStep, build, environment

GPUS = 8
SETTLED_SECONDS = 3.0
"""After the start, the import of the binding, and the look for update periods."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to watch the sampler")
    parser.add_argument(
        "--samples", type=int, default=576_000, help="samples to merge: 8 GPUs, 20 Hz, an hour"
    )


def print_power(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _print_sampler(folder, options.seconds)
        _print_hour(folder, options.samples)
        _print_merge(folder, options.samples)


def _print_sampler(folder: Path, seconds: float) -> None:
    (folder / "spool").mkdir()
    surroundings = _fake_gpus(folder)
    command = [sys.executable, "-m", "tracekit.collectors.power_sampler", "--spool", str(folder / "spool")]
    process = subprocess.Popen(command, env=surroundings)
    time.sleep(SETTLED_SECONDS)
    start_cpu_s, start_s, start_mb = _cpu_s(process.pid), time.monotonic(), resident_mb(process.pid)
    time.sleep(seconds)
    cpu_s, wall_s, end_mb = (
        _cpu_s(process.pid) - start_cpu_s,
        time.monotonic() - start_s,
        resident_mb(process.pid),
    )
    process.terminate()
    process.wait()
    samples = sum(line.startswith('{"t":"power"') for line in next((folder / "spool").glob("*.jsonl")).open())
    print(
        f"sampler, {GPUS} GPUs at 20 Hz: {100 * cpu_s / wall_s:.2f} % of a core over {wall_s:.0f} s [<= 1 %], "
        f"{start_cpu_s:.2f} s CPU to start; {start_mb:.1f} MB, then {end_mb:.1f} MB; {samples:,} samples",
        flush=True,
    )


def _print_hour(folder: Path, samples: int) -> None:
    command = [sys.executable, "-m", "benchmarks.power_hour", str(folder / "hour"), str(samples)]
    told = told_by(command, _fake_gpus(folder))
    start_mb, *later_mb = told["memory_mb"]
    print(
        f"memory over {told['samples']:,} samples: {start_mb:.1f} MB at the start, then by tenths "
        f"{', '.join(f'{held:.1f}' for held in later_mb)} MB [flat]; {told['cpu_s']:.0f} s CPU",
        flush=True,
    )


def _fake_gpus(folder: Path) -> dict[str, str]:
    steps = [
        PowerStep(0.1 * step, [100.0 + (step * gpu) % 300 for gpu in range(GPUS)]) for step in range(6000)
    ]
    return environment(build(folder), FakeGpus(steps).write(folder / "play"))


def _print_merge(folder: Path, samples: int) -> None:
    told = told_by([sys.executable, "-m", "benchmarks.power_merge", str(folder / "merged"), str(samples)])
    print(
        f"merge of {samples:,} power samples: {told['cpu_s']:.1f} s CPU, {told['memory_mb']:.0f} MB peak "
        f"({told['imports_mb']:.0f} MB of it imports), {told['bytes'] / samples:.1f} bytes a sample in the trace, "
        f"{told['spool_bytes'] / samples:.0f} in the spool",
        flush=True,
    )


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int | str) -> float:
    """What a process holds, by its number or `self`."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
