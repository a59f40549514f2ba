"""A trace of single-call sessions: Azure's conversation trace where it is at hand, else a drawn one."""

from __future__ import annotations

import csv
import gzip
import sys
import time
from datetime import datetime
from itertools import islice
from pathlib import Path

import numpy as np

from tracekit import __version__
from tracekit.provenance import Provenance
from tracekit.schema import FORMAT_VERSION, Kind
from tracekit.trace import table_of, write_trace

AZURE = Path(__file__).parents[2] / "shared" / "traces" / "AzureLLMInferenceTrace_conv.csv.gz"


def write_open_loop(path: Path, calls: int) -> str:
    """Writes the trace; says where its lengths and arrivals come from."""
    if AZURE.is_file():
        arrival_s, prompts, outputs = _azure(calls)
        source = "Azure conversation 2023, first rows (Azure/AzurePublicDataset, CC-BY 4.0)"
    else:
        random = np.random.default_rng(7)
        arrival_s = np.cumsum(random.exponential(1 / 5.6, calls))
        prompts = np.clip(random.lognormal(6.5, 1.0, calls), 1, 8000).astype(int)
        outputs = np.clip(random.lognormal(5.0, 0.8, calls), 1, 1500).astype(int)
        source = "drawn (lognormal lengths, Poisson 5.6/s): the Azure trace is missing here"
    start_ns = (arrival_s * 1e9).astype(np.int64)
    sessions = [
        {"row_id": i, "start_ns": int(t), "end_ns": int(t), "status": "ok", "origin": "imported"}
        for i, t in enumerate(start_ns)
    ]
    rows = [
        {
            "row_id": calls + i, "session_id": i, "start_ns": int(start_ns[i]), "end_ns": int(start_ns[i]),
            "status": "ok", "input_tokens": int(prompts[i]), "output_tokens": int(outputs[i]),
            "parents": [], "model": "Llama-3.1-8B",
        }
        for i in range(calls)
    ]  # fmt: skip
    provenance = Provenance(FORMAT_VERSION, __version__, ["benchmarks"], time.time_ns(), origin="imported")
    tables = {Kind.SESSION: table_of(Kind.SESSION, sessions), Kind.LLM_CALL: table_of(Kind.LLM_CALL, rows)}
    write_trace(path, tables, provenance, force=True)
    return source


def _azure(calls: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    with gzip.open(AZURE, "rt") as stream:
        rows = list(islice(csv.DictReader(stream), calls))
    stamps = [datetime.fromisoformat(row["TIMESTAMP"][:26]).timestamp() for row in rows]
    prompts = np.array([int(row["ContextTokens"]) for row in rows])
    outputs = np.array([int(row["GeneratedTokens"]) for row in rows])
    return np.array(stamps) - stamps[0], prompts, outputs


if __name__ == "__main__":
    print(write_open_loop(Path(sys.argv[1]), int(sys.argv[2])))
