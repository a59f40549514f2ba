"""Times of first tokens by the recorder, against when the server handed them to its socket."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from benchmarks.figures import Figure
from benchmarks.recorder import caller, peer
from benchmarks.recorder.served import served
from tracekit.trace import Trace

CHUNKS, GAP_MS = 20, 10


def first_token_figures(streams: int) -> Iterator[Figure]:
    """TTFT errors of the hooks and of the proxy; the server's clock is this machine's too."""
    python = peer.interpreter()
    if python is None:
        yield Figure("ttft", "error", "not measured: pip cannot get the client", "")
        return
    for mode, target in (("never", f"<= one chunk gap ({GAP_MS} ms)"), ("always", "<= 5 ms")):
        errors_ms = _errors_ms(python, mode, streams)
        point = "hooks" if mode == "never" else "proxy"
        quantiles = statistics.quantiles(errors_ms, n=20, method="inclusive")
        yield Figure(
            "ttft",
            f"recorded first token - server's, {len(errors_ms)} streams, by {point}",
            f"p50 {quantiles[9]:.2f} ms, p95 {quantiles[18]:.2f} ms, largest {max(errors_ms, key=abs):.2f} ms",
            target,
        )


def _errors_ms(python: Path, proxy: str, streams: int) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        log, trace = Path(folder) / "log.jsonl", Path(folder) / "t.parquet"
        with served(log) as base_url:
            agent = [
                str(python),
                caller.__file__,
                base_url,
                "1",
                str(streams),
                str(CHUNKS),
                "--gap-ms",
                str(GAP_MS),
            ]
            agent = ["env", f"OPENAI_BASE_URL={base_url}", *agent]
            words = [
                sys.executable,
                "-m",
                "tracekit",
                "record",
                "--proxy",
                proxy,
                "-o",
                str(trace),
                "--",
                *agent,
            ]
            subprocess.run(words, check=True, capture_output=True)
        truth = [json.loads(line) for line in log.read_text().splitlines()]
        calls = pl.from_arrow(Trace.open(trace).rows("llm_call", ["model", "first_token_ns"]))
    calls = calls.with_columns(pl.col("model").cast(pl.String))
    joined = calls.join(pl.DataFrame(truth), on="model").filter(~pl.col("model").str.starts_with("-1"))
    return ((joined["first_token_ns"] - joined["first_ns"]) / 1e6).to_list()
