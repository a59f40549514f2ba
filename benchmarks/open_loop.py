"""A trace of single-call sessions: Azure's conversation trace where it is at hand, else a drawn one."""

from __future__ import annotations

import csv
import gzip
import json
import sys
import time
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.shared import TRACES
from tracekit import __version__
from tracekit.analyzers.kernels.layout import Floats, SmallInts
from tracekit.provenance import Provenance
from tracekit.schema import FORMAT_VERSION, Kind
from tracekit.trace import table_of, write_trace

AZURE = TRACES / "AzureLLMInferenceTrace_conv.csv.gz"


class Lengths(NamedTuple):
    """Arrivals and token counts of n requests, each of shape (n,)."""

    arrival_s: Floats
    input_tokens: SmallInts
    output_tokens: SmallInts


def write_open_loop(path: Path, calls: int) -> str:
    """Writes the trace; says where its lengths and arrivals come from."""
    arrival_s, prompts, outputs = lengths(calls)
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
    return source()


def write_mooncake(path: str, calls: str, block_tokens: str) -> None:
    """The same requests as Mooncake rows for other simulators; no two have a block in common."""
    next_id = 0
    with Path(path).open("w") as stream:
        for arrival_s, prompt, output in zip(*lengths(int(calls)), strict=True):
            blocks = -(-int(prompt) // int(block_tokens))
            row = {
                "timestamp": round(1000 * arrival_s, 3), "input_length": int(prompt),
                "output_length": int(output), "hash_ids": list(range(next_id, next_id + blocks)),
            }  # fmt: skip
            stream.write(json.dumps(row) + "\n")
            next_id += blocks


def source() -> str:
    """Where lengths and arrivals come from."""
    if AZURE.is_file():
        return "Azure conversation 2023, first rows (Azure/AzurePublicDataset, CC-BY 4.0)"
    return "drawn (lognormal lengths, Poisson 5.6/s): the Azure trace is missing here"


def lengths(requests: int = 19_366) -> Lengths:
    """Azure's first requests; drawn ones where the trace is missing."""
    if AZURE.is_file():
        return _azure(requests)
    random = np.random.default_rng(7)
    return Lengths(
        np.cumsum(random.exponential(1 / 5.6, requests)),
        np.clip(random.lognormal(6.5, 1.0, requests), 1, 8000).astype(np.int32),
        np.clip(random.lognormal(5.0, 0.8, requests), 1, 1500).astype(np.int32),
    )


def _azure(calls: int) -> Lengths:
    with gzip.open(AZURE, "rt") as stream:
        rows = list(islice(csv.DictReader(stream), calls))
    stamps = [datetime.fromisoformat(row["TIMESTAMP"][:26]).timestamp() for row in rows]
    prompts = np.array([row["ContextTokens"] for row in rows], np.int32)
    outputs = np.array([row["GeneratedTokens"] for row in rows], np.int32)
    return Lengths(np.array(stamps) - stamps[0], prompts, outputs)


if __name__ == "__main__":
    print(write_open_loop(Path(sys.argv[1]), int(sys.argv[2])))
