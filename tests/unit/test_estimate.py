"""Tokens that no server counted: only where there is a basis, always marked, with an error that is measured."""

import random
from io import StringIO

import pytest
from rich.console import Console

from tests.unit.spool_story import Story
from tracekit.analyzers.recorded import analyze_recording
from tracekit.analyzers.workload import compile_workload
from tracekit.reports.analysis import analysis_document
from tracekit.reports.recording import not_seen_lines, recording_lines
from tracekit.reports.replay_assumptions import replay_assumptions
from tracekit.reports.terminal import print_analysis
from tracekit.trace import Trace, write_trace


def call(story, at, prompt_bytes, output_bytes, usage=None, model="m", request=None, **more):
    response = {
        "usage": usage,
        "usage_source": "server" if usage else "missing",
        "output_bytes": output_bytes,
    }
    body = {"model": model, "prompt_bytes": prompt_bytes, "parts": [], **(request or {})}
    return story.call(at, at + 5, request=body, response=response, **more)


def counted(tokens_in, tokens_out):
    return {"input": tokens_in, "output": tokens_out, "cached": 0}


def tokens(story):
    return [
        (row["input_tokens"], row["output_tokens"], row["usage_source"]) for row in story.rows("llm_call")
    ]


def test_by_the_rate_of_the_same_model():
    story = Story()
    call(story, 0, 400, 40, counted(100, 20))
    call(story, 10, 800, 80, counted(200, 40))
    call(story, 20, 600, 60)
    call(story, 30, 600, 60, model="other")
    assert tokens(story)[2:] == [(150, 30, "estimated"), (None, None, "missing")]
    assert [row["cached_tokens"] for row in story.rows("llm_call")] == [0, 0, None, None]
    provenance = story.merged().provenance
    assert [(row.side, row.model, row.from_calls, row.calls) for row in provenance.estimates] == [
        ("input", "m", 2, 1),
        ("output", "m", 2, 1),
    ]
    assert provenance.estimates[0].median_error == 0
    assert (provenance.not_seen.calls_estimated, provenance.not_seen.calls_without_tokens) == (1, 1)


def test_no_basis_no_estimate():
    story = Story()
    call(story, 0, 400, 40, counted(100, None))
    call(story, 10, 600, 60)
    call(story, 20, 600, 0)
    call(story, 30, 600, 60, request={"media_count": 2})
    call(story, 40, 600, 60, request={"previous_response_id": "r"})
    call(story, 50, 600, 60, status=500, **{"error_type": "x"})
    assert tokens(story) == [
        (100, None, "server"),  # what a server left out of its counts is not mixed with a guess
        (150, None, "estimated"),
        (150, None, "estimated"),
        (None, None, "missing"),
        (None, None, "missing"),
        (None, None, "missing"),
    ]


def test_media_calls_are_no_basis():
    story = Story()
    call(story, 0, 400, 40, counted(5000, 10), request={"media_count": 1})
    call(story, 10, 400, 40)
    assert tokens(story)[1] == (None, 10, "estimated")


def test_embeddings_are_estimated_by_embeddings():
    story = Story()
    call(story, 0, 400, 0, {"input": 100}, request={"api": "embeddings"})
    call(story, 10, 800, 0, request={"api": "embeddings"})
    call(story, 20, 800, 0)
    assert tokens(story)[1:] == [(200, None, "estimated"), (None, None, "missing")]


def test_the_error_is_that_of_estimating_what_is_known():
    """Calls of a known spread of bytes per token: the error told is close to the error made."""
    draw = random.Random(7)

    def one():
        size, rate = draw.randint(1000, 9000), draw.uniform(0.20, 0.30)
        return size, round(size * rate)

    story, truth = Story(), []
    for number in range(400):
        size, count = one()
        if number % 2:
            call(story, 10 * number, size, 40, counted(count, 10))
        else:
            call(story, 10 * number, size, 40)
            truth.append(count)
    made = [row["input_tokens"] for row in story.rows("llm_call") if row["usage_source"] == "estimated"]
    off = sorted(abs(guess - count) / count for guess, count in zip(made, truth, strict=True))
    [told] = [row for row in story.merged().provenance.estimates if row.side == "input"]
    assert told.median_error == pytest.approx(off[len(off) // 2], rel=0.25)
    assert sum(made) == pytest.approx(sum(truth), rel=0.03)


def test_refusals_are_counted():
    story = Story()
    call(story, 0, 400, 40)
    for pid in (1, 2):
        story.add("note", 1, what="usage_refused", detail="api.example.com", pid=pid)
    not_seen = story.merged().provenance.not_seen
    assert not_seen.usage_refusals == {"api.example.com": 2}
    assert "usage of streams of api.example.com (refused in 2 processes)" in list(not_seen_lines(not_seen))


def test_reports_tell_them_apart(tmp_path):
    story = Story()
    call(story, 0, 400, 40, counted(100, 20))
    call(story, 10, 400, 40, request={"stream": True})
    call(story, 20, 400, 40, model="other")
    merged = story.merged()
    write_trace(tmp_path / "t.parquet", merged.tables, merged.provenance)
    trace = Trace.open(tmp_path / "t.parquet")
    recorded = analyze_recording(trace)
    document = analysis_document(trace, recorded, [], [], {})
    assert document["recorded"]["tokens"]["by_source"] == {
        "estimated": {"calls": 1, "input": 100, "output": 20},
        "missing": {"calls": 1, "input": None, "output": None},
        "server": {"calls": 1, "input": 100, "output": 20},
    }
    assert "estimated by bytes (1 call)" in document["sources"]["tokens"]
    assert "0.250 tokens a byte, from 1 counted call, error unknown" in document["sources"]["tokens"]
    assert recorded.tpot_s.n == 1
    assert sum(session["tokens"]["estimated_calls"] for session in document["recorded"]["per_session"]) == 1
    console = Console(file=StringIO(), width=160)
    print_analysis(document, console)
    shown = console.file.getvalue()
    assert "of these estimated by bytes (1 call)" in shown
    assert shown.count("~") == 2
    lines = "\n".join(recording_lines(trace.path))
    assert "tokens of 1 call; tokens of 1 call (estimated by bytes)" in lines
    assert "1 stream came without token counts; `tracekit record --usage inject`" in lines
    compiled = compile_workload(trace)
    assert compiled.calls_estimated == 1
    assert "the tokens of 1 of 2 call(s) are estimated by bytes, not counted" in replay_assumptions(
        compiled, []
    )
