"""What the recording itself says: numbers worked out by hand."""

import numpy as np
import pytest

from tests.unit.crafted_trace import call_row, session_row, tool_row, write_crafted
from tests.unit.spool_story import Story
from tracekit.analyzers.recorded import analyze_recording
from tracekit.trace import Trace, write_trace

ASK = [("system", "You are an agent."), ("user", "Who?")]


def analyzed(story, path):
    merged = story.merged()
    write_trace(path, merged.tables, merged.provenance)
    return analyze_recording(Trace.open(path))


def test_shares_idle_numbers_and_latencies(tmp_path):
    story = Story()
    story.call(0, 20, ASK, tools=[("a", "search")])
    story.tool(30, 70, "search")
    story.call(80, 100, [*ASK, ("assistant", "", ("a",)), ("tool", "x", "a")], answer="done")
    recorded = analyzed(story, tmp_path / "t.parquet")
    assert recorded.shares.totals() == {"llm": 0.4, "tool": 0.4, "overlap": 0.0, "gap": 0.2}
    assert recorded.no_call_in_flight == pytest.approx(0.6)
    assert recorded.device_utilization is None
    assert recorded.makespan_s == pytest.approx(0.1)
    assert recorded.ttft_s.mean == pytest.approx(0.001)
    assert recorded.e2e_s.p95 == pytest.approx(0.020)
    assert recorded.tpot_s.mean == pytest.approx(0.019 / 2)
    assert (recorded.input_tokens, recorded.output_tokens, recorded.cached_tokens) == (20, 6, None)


def test_failed_calls_count_but_have_no_latency(tmp_path):
    story = Story()
    story.call(0, 20, ASK, answer="x")
    story.call(30, 90, ASK, status=500)
    story.call(95, None, ASK)
    recorded = analyzed(story, tmp_path / "t.parquet")
    assert (recorded.calls, recorded.calls_failed) == (3, 2)
    assert recorded.e2e_s.n == 1


def test_prefix_reuse_by_messages_and_answers(tmp_path):
    story = Story()
    story.call(0, 10, ASK, answer="I look it up.")
    longer = [*ASK, ("assistant", "I look it up."), ("user", "And?")]
    story.call(20, 30, longer)
    recorded = analyzed(story, tmp_path / "t.parquet")
    sizes = [sum(len(text) for _role, text in messages) for messages in (ASK, longer)]
    shared = sizes[0] + len("I look it up.")
    assert recorded.prefix.shareable == pytest.approx(10 * shared / sizes[1] / 20)
    assert recorded.prefix.server_cached is None


def test_measured_power_by_counter_and_integral(tmp_path):
    story = Story()
    story.call(0, 1000, ASK)
    for index in range(11):
        counter = 50.0 + 30.0 * index / 10
        story.add(
            "power",
            100 * index,
            gpu_index=0,
            gpu_name="H100",
            power_w=20.0,
            energy_counter_j=counter,
            utilization_gpu=0.25,
        )
        story.add(
            "power",
            100 * index,
            gpu_index=1,
            gpu_name="H100",
            power_w=None,
            reason="NVML_ERROR_NOT_SUPPORTED",
        )
    first, second = analyzed(story, tmp_path / "t.parquet").power
    assert first.counter_j == pytest.approx(30.0)
    assert first.integral_j == pytest.approx(20.0)
    assert first.disagrees
    assert first.mean_utilization == pytest.approx(0.25)
    assert first.counter_error_j > 0
    assert first.integral_error_j > 0
    assert first.explained == (first.counter_error_j + first.integral_error_j >= 10)
    assert (second.counter_j, second.integral_j, second.disagrees) == (None, None, False)
    assert (second.counter_error_j, second.integral_error_j, second.explained) == (None, None, False)
    assert second.reasons == ("NVML_ERROR_NOT_SUPPORTED",)


def test_session_percentiles_are_numpys(tmp_path):
    random = np.random.default_rng(5)
    lengths_ms = random.integers(5, 90, 37)
    story = Story()
    story.add("session_start", 0, id="s", name="task")
    for index, length_ms in enumerate(lengths_ms):
        story.call(100 * index, 100 * index + int(length_ms), ASK, session="s")
    (row,) = analyzed(story, tmp_path / "t.parquet").sessions.iter_rows(named=True)
    for percent in (50, 95):
        expected = np.percentile(lengths_ms, percent, method="inverted_cdf") / 1000
        assert row[f"e2e_s_p{percent}"] == pytest.approx(expected)


def test_a_reset_and_a_gap_are_named_and_in_no_figure(tmp_path):
    story = Story()
    story.call(0, 9000, ASK)
    for at_ms, counter_j in ((0, 5000.0), (1000, 5100.0), (2000, 10.0), (8000, 700.0)):
        story.add("power", at_ms, gpu_index=0, power_w=100.0, energy_counter_j=counter_j)
    (gpu,) = analyzed(story, tmp_path / "t.parquet").power
    assert (gpu.counter_j, gpu.energy_j, gpu.measured_s, gpu.counter_resets) == (100.0, 100.0, 1.0, 1)
    assert [(gap.reason, gap.seconds, gap.counter_advance_j) for gap in gpu.gaps] == [
        ("the energy counter ran backwards", 1.0, None),
        ("no samples", 6.0, 690.0),
    ]


def test_an_interrupted_session_has_no_length(tmp_path):
    story = Story()
    story.call(0, 20, ASK, answer="x", thread=1)
    story.call(0, None, ASK, thread=2)
    recorded = analyzed(story, tmp_path / "t.parquet")
    assert recorded.session_s.n == 1


def test_models_do_not_share_a_cache(tmp_path):
    story = Story()
    story.call(0, 20, ASK, request={"model": "a"}, thread=1)
    story.call(30, 50, ASK, request={"model": "b"}, thread=2)
    assert analyzed(story, tmp_path / "t.parquet").prefix.shareable == 0


def test_what_errors_explain_and_what_they_do_not(tmp_path):
    story = Story()
    story.call(0, 60_000, ASK)
    for index in range(601):
        for gpu, watts in ((0, 100.0), (1, 70.0)):
            story.add("power", 100 * index, gpu_index=gpu, power_w=watts, energy_counter_j=10.0 * index)
    for index in range(4):
        story.add("power", 100 * index, gpu_index=2, power_w=70.0, energy_counter_j=10.0 * index)
    same, long, short = analyzed(story, tmp_path / "t.parquet").power
    assert (same.disagrees, same.explained) == (False, False)
    assert (long.disagrees, long.explained) == (True, False)
    assert (short.disagrees, short.explained) == (True, True)


def test_cpus_come_after_gpus_and_serve_nothing(tmp_path):
    story = Story()
    story.call(0, 2000, ASK)
    story.records[0].update(host="127.0.0.1", port=8000)
    for index in range(21):
        at_ms, joules = 100 * index, 10.0 * index
        for device, name in (("cpu", "package-0"), ("dram", "dram-0")):
            story.add("power", at_ms, device=device, device_name=name, energy_counter_j=joules)
        story.add("power", at_ms, device="gpu", gpu_index=0, mig=True, power_w=100.0, energy_counter_j=joules)
    recorded = analyzed(story, tmp_path / "t.parquet")
    assert [device.device for device in recorded.power] == ["gpu", "cpu", "dram"]
    assert [device.counter_j for device in recorded.power] == [pytest.approx(200)] * 3
    assert [device.serves != () for device in recorded.power] == [True, False, False]
    assert [device.mig for device in recorded.power] == [True, False, False]
    assert recorded.measured.total.energy_j == pytest.approx(200)


def test_sessions_of_unknown_ends_have_no_shares_and_are_in_no_sum(tmp_path):
    """A session of two calls, of which one's end nobody knows, beside one that is known whole."""
    calls = [
        call_row(1, 0, 400),
        call_row(2, 500, 0, parents=[1], end_ns=None),
        call_row(11, 0, 600, session=10),
    ]
    sessions = [session_row(0, 0, 1000), session_row(10, 0, 1000)]
    recorded = analyze_recording(Trace.open(write_crafted(tmp_path / "t.parquet", calls, (), sessions)))
    assert recorded.shares.totals() == {"llm": 0.6, "tool": 0.0, "overlap": 0.0, "gap": 0.4}
    assert recorded.sessions_without_shares == 1
    assert recorded.sessions["gap_ns"].to_list() == [None, 400_000_000]
    assert recorded.no_call_in_flight is None


def test_where_no_end_is_known_no_share_is(tmp_path):
    path = write_crafted(
        tmp_path / "t.parquet", [call_row(1, 0, 0, end_ns=None), call_row(2, 1, 0, end_ns=None)]
    )
    recorded = analyze_recording(Trace.open(path))
    assert recorded.shares.totals() == dict.fromkeys(("llm", "tool", "overlap", "gap"))
    assert recorded.no_call_in_flight is None


def test_calls_that_nobody_counted_are_told(tmp_path):
    calls = [
        call_row(1, 0, 400),
        call_row(2, 500, 600, input_tokens=None),
        call_row(3, 600, 700, output_tokens=None, api="embeddings"),
        call_row(4, 700, 800, output_tokens=None, api="chat"),
    ]
    recorded = analyze_recording(Trace.open(write_crafted(tmp_path / "t.parquet", calls)))
    assert recorded.uncounted_calls == {"input": 1, "output": 1}
    assert recorded.calls_not_replayed == 2
    assert recorded.sessions.select("uncounted_input", "uncounted_output").rows() == [(1, 1)]
    assert (recorded.input_tokens, recorded.output_tokens) == (300, 20)


def test_a_frame_of_unknown_end_takes_no_shares_away(tmp_path):
    frame = tool_row(2, 100, 0, frame=True, end_ns=None)
    recorded = analyze_recording(
        Trace.open(write_crafted(tmp_path / "t.parquet", [call_row(1, 0, 400)], [frame]))
    )
    assert recorded.sessions_without_shares == 0
    assert recorded.shares.totals()["llm"] == 0.4
