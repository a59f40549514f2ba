"""The summary of a server's own metrics: numbers worked out by hand."""

import pytest
from rich.console import Console

from tests.unit.crafted_trace import call_row, session_row
from tracekit.analyzers.engine_load import Level, engine_loads
from tracekit.analyzers.recorded import analyze_recording
from tracekit.provenance import Provenance
from tracekit.reports.analysis import analysis_document
from tracekit.reports.terminal import print_analysis
from tracekit.schema import Kind
from tracekit.trace import Trace, table_of, write_trace


def sample(row, ms, **facts):
    return {
        "row_id": row,
        "start_ns": int(ms * 1e6),
        "endpoint": "gpu:8000",
        "engine": "vllm",
        "model": "m",
    } | facts


def trace_of(path, *samples):
    rows = [sample(10 + index, ms, **facts) for index, (ms, facts) in enumerate(samples)]
    tables = {
        Kind.SESSION: table_of(Kind.SESSION, [session_row(0)]),
        Kind.LLM_CALL: table_of(Kind.LLM_CALL, [call_row(1, 0, 900)]),
        **({Kind.ENGINE_SAMPLE: table_of(Kind.ENGINE_SAMPLE, rows)} if rows else {}),
    }
    write_trace(path, tables, Provenance(1, "0", [], 0), force=True)
    return Trace.open(path)


def counters(queries, hits, preemptions=0):
    return {
        "prefix_query_tokens_total": queries, "prefix_hit_tokens_total": hits, "preemptions_total": preemptions,
        "prompt_tokens_total": queries, "generation_tokens_total": 2 * hits,
    }  # fmt: skip


def test_levels_and_advances(tmp_path):
    [load] = engine_loads(
        trace_of(
            tmp_path / "t.parquet",
            (0, {"running_requests": 1, "waiting_requests": 0, "kv_fraction": 0.1, **counters(1000, 900, 7)}),
            (
                500,
                {"running_requests": 3, "waiting_requests": 2, "kv_fraction": 0.3, **counters(1400, 1000, 7)},
            ),
            (
                1500,
                {"running_requests": 2, "waiting_requests": 1, "kv_fraction": 0.2, **counters(1800, 1100, 9)},
            ),
        )
    )
    assert (load.running, load.waiting) == (Level(2.0, 3.0), Level(1.0, 2.0))
    assert (load.kv_fraction.mean, load.kv_fraction.max) == pytest.approx((0.2, 0.3))
    assert (load.prefix_query_tokens, load.prefix_hit_tokens, load.hit_share) == (800, 200, 0.25)
    assert (load.preemptions, load.prompt_tokens, load.generation_tokens) == (2, 800, 400)
    assert (load.samples, load.seconds, load.restarts) == (3, 1.5, 0)


def test_what_an_engine_does_not_tell_is_unknown(tmp_path):
    [load] = engine_loads(trace_of(tmp_path / "t.parquet", (0, {"running_requests": 1}), (500, {})))
    assert load.running == Level(1.0, 1.0)
    assert (load.waiting, load.kv_fraction, load.hit_share, load.preemptions) == (None, None, None, None)


def test_one_sample_tells_no_advance(tmp_path):
    [load] = engine_loads(trace_of(tmp_path / "t.parquet", (0, counters(5, 5))))
    assert (load.prefix_query_tokens, load.hit_share, load.preemptions) == (None, None, None)


def test_engines_behind_one_endpoint_add_up(tmp_path):
    samples = []
    for ms, queries in ((0, 100), (500, 300)):
        for rank in (0, 1):
            levels = {"running_requests": 1 + rank, "kv_fraction": 0.1 + 0.2 * rank}
            samples.append((ms, {"engine_rank": rank, **levels, **counters(queries, queries // 2)}))
    [load] = engine_loads(trace_of(tmp_path / "t.parquet", *samples))
    assert load.running == Level(3.0, 3.0)
    assert load.kv_fraction.mean == pytest.approx(0.2)
    assert (load.samples, load.prefix_query_tokens, load.hit_share) == (2, 400, 0.5)


def test_a_server_that_starts_again(tmp_path):
    values = [(0, 1000), (500, 1200), (1000, 50), (1500, 80)]
    [load] = engine_loads(trace_of(tmp_path / "t.parquet", *((ms, counters(n, n)) for ms, n in values)))
    assert (load.prefix_query_tokens, load.restarts) == (200 + 50 + 30, 1)


def test_it_is_in_the_document_and_on_the_terminal(tmp_path):
    trace = trace_of(
        tmp_path / "t.parquet",
        (0, {"running_requests": 1, "waiting_requests": 0, "kv_fraction": 0.1, **counters(0, 0)}),
        (500, {"running_requests": 3, "waiting_requests": 0, "kv_fraction": 0.3, **counters(400, 100, 2)}),
    )
    document = analysis_document(trace, analyze_recording(trace), [], [], {})
    [load] = document["recorded"]["engines"]
    assert (load["running"], load["hit_share"], load["preemptions"]) == ({"mean": 2.0, "max": 3.0}, 0.25, 2.0)
    console = Console(width=150, record=True)
    print_analysis(document, console)
    [line] = [line for line in console.export_text().splitlines() if "gpu:8000" in line]
    assert " ".join(line.split()) == "vllm gpu:8000 m 2 2.0 / 3 0.0 / 0 20.0% / 30.0% 25.0 % 2"


def test_without_samples_nothing_is_said(tmp_path):
    trace = trace_of(tmp_path / "t.parquet")
    assert engine_loads(trace) == []
