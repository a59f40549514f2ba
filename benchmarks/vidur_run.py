"""One run of Vidur as its folder holds it: a row a request, and the batches as a Chrome trace."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from tracekit.analyzers.batch_log import BatchLog
from tracekit.analyzers.kernels.layout import Floats, Ints


class VidurRun(NamedTuple):
    """n requests in order of arrival, times in seconds; request i of the log is row i."""

    arrival_s: Floats
    prompt_tokens: Ints
    output_tokens: Ints
    ttft_s: Floats
    tpot_s: Floats
    e2e_s: Floats
    log: BatchLog | None  # if the folder has one


def read_run(folder: Path) -> VidurRun:
    """Reads vidur_reference_*.csv and, where it is there, vidur_batches_*.chrome_trace.json(.gz).

    Raises
    ------
    FileNotFoundError : the folder, or a reference in it, is missing.
    """
    references = sorted(folder.glob("vidur_reference_*.csv"))
    if not references:
        raise FileNotFoundError(f"no vidur_reference_*.csv in {folder}")
    rows = pl.read_csv(references[0]).sort("request_id")
    columns = ("arrived_at", "num_prefill_tokens", "num_decode_tokens", "ttft_s", "tpot_s", "e2e_s")
    logs = sorted(folder.glob("vidur_batches_*.chrome_trace.json*"))
    return VidurRun(*(rows[name].to_numpy() for name in columns), _read_log(logs[0]) if logs else None)


def _read_log(path: Path) -> BatchLog:
    raw = path.read_bytes()
    text = gzip.decompress(raw) if path.suffix == ".gz" else raw
    events = sorted(json.loads(text)["traceEvents"], key=lambda event: event["args"]["batch_id"])
    batches = [event["args"] for event in events]
    return BatchLog(
        np.repeat(np.arange(len(batches)), [len(batch["request_ids"]) for batch in batches]),
        np.concatenate([np.array(batch["request_ids"], np.int64) for batch in batches]),
        np.concatenate([np.array(batch["num_tokens"], np.int64) for batch in batches]),
        np.array([event["ts"] for event in events]) / 1e6,
        np.array([event["dur"] for event in events]) / 1e6,
    )
