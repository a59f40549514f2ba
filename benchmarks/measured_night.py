"""Whose joules a night of samples are: 8 GPUs at 20 Hz for 12 hours, 100,000 calls; seconds and peak memory."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.process import told_by
from benchmarks.resident import peak_mb
from tracekit.analyzers.metering.measured import measured_energy
from tracekit.provenance import Provenance
from tracekit.schema import Kind
from tracekit.trace import Trace, TraceWriter, table_of_columns

GPUS, HZ, HOURS, CALLS, SESSIONS = 8, 20, 12, 100_000, 10_000
SECONDS = HOURS * 3600
START_NS = 1_700_000_000 * 10**9


def write_night(path: Path) -> None:
    """A made-up trace of that size."""
    random = np.random.default_rng(1)
    with TraceWriter(path, force=True) as writer:
        for kind, columns in (*_agents(random), *_samples(random)):
            writer.write(table_of_columns(kind, columns, len(columns["row_id"])))
        writer.provenance = Provenance(1, "0", [], 0)


def _agents(random: np.random.Generator) -> Iterator[tuple[Kind, dict[str, list[object]]]]:
    each = CALLS // SESSIONS
    session = np.repeat(np.arange(SESSIONS), each)
    start_s = np.repeat(random.uniform(0, SECONDS - 600, SESSIONS), each)
    start_s = start_s + np.tile(np.arange(each) * 40.0, SESSIONS)
    token_s, end_s = start_s + 0.3, start_s + random.uniform(1, 20, CALLS)
    yield Kind.SESSION, {
        "row_id": list(range(SESSIONS)), "status": ["ok"] * SESSIONS,
        "start_ns": _ns(start_s[::each]), "end_ns": _ns(end_s[each - 1 :: each]),
    }  # fmt: skip
    yield Kind.LLM_CALL, {
        "row_id": list(range(SESSIONS, SESSIONS + CALLS)), "status": ["ok"] * CALLS, "session_id": session.tolist(),
        "start_ns": _ns(start_s), "first_token_ns": _ns(token_s), "end_ns": _ns(end_s),
        "host": ["box"] * CALLS, "server_host": ["127.0.0.1"] * CALLS, "server_port": [8000] * CALLS,
        "model": ["Llama-3.1-8B"] * CALLS, "input_tokens": random.integers(100, 20_000, CALLS).tolist(),
        "output_tokens": random.integers(10, 900, CALLS).tolist(),
    }  # fmt: skip
    rest = np.flatnonzero(np.diff(session) == 0)
    yield Kind.TOOL_SPAN, {
        "row_id": list(range(SESSIONS + CALLS, SESSIONS + CALLS + len(rest))), "status": ["ok"] * len(rest),
        "session_id": session[rest].tolist(), "start_ns": _ns(end_s[rest]), "end_ns": _ns(start_s[rest + 1]),
    }  # fmt: skip


def _samples(random: np.random.Generator) -> Iterator[tuple[Kind, dict[str, list[object]]]]:
    steps = 100_000
    for gpu in range(GPUS):
        joules = 0.0
        for first in range(0, SECONDS * HZ, steps):
            place = np.arange(first, min(first + steps, SECONDS * HZ))
            watts = random.uniform(100, 700, len(place))
            counter_j = joules + np.cumsum(watts / HZ)
            joules = float(counter_j[-1])
            yield Kind.POWER_SAMPLE, {
                "row_id": (10**7 * (gpu + 1) + place).tolist(), "start_ns": _ns(place / HZ),
                "host": ["box"] * len(place), "gpu_index": [gpu] * len(place), "gpu_uuid": [f"GPU-{gpu}"] * len(place),
                "gpu_name": ["NVIDIA H100 80GB HBM3"] * len(place), "power_w": watts.tolist(),
                "power_source": ["instant"] * len(place), "energy_counter_j": counter_j.tolist(),
                "utilization_gpu": [0.9] * len(place),
            }  # fmt: skip


def _ns(seconds: np.ndarray) -> list[object]:
    return pa.array(START_NS + np.rint(seconds * 1e9).astype(np.int64)).to_pylist()


def measured_night(folder: Path) -> dict[str, float]:
    """CPU seconds and peak MB of attributing that night, in a process of its own."""
    path = folder / "night.parquet"
    if not path.exists():
        write_night(path)
    return told_by([sys.executable, "-m", "benchmarks.measured_night", str(path)])


def main() -> None:
    begin_s = time.process_time()
    energy = measured_energy(Trace.open(Path(sys.argv[1])))
    assert energy is not None
    told = {"cpu_s": time.process_time() - begin_s, "peak_mb": peak_mb(), "joules": energy.total.energy_j}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
