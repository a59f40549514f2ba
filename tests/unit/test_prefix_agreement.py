"""Shared prefixes by hashes beside the server's own count of cached tokens: numbers worked out by hand."""

import pytest

from tests.unit.spool_story import Story
from tracekit.analyzers.prefix import prefix_reuse
from tracekit.reports.recording import recording_lines
from tracekit.trace import Trace, write_trace

TEXT = "x" * 4000


def reuse(story, path):
    merged = story.merged()
    write_trace(path, merged.tables, merged.provenance)
    return prefix_reuse(Trace.open(path))


def call(story, at, messages, tokens, cached):
    story.call(at, at + 5, messages, response={"usage": {"input": tokens, "output": 3, "cached": cached}})


def test_every_call_is_set_beside_the_servers_count(tmp_path):
    story = Story()
    first = [("user", TEXT)]
    second = [*first, ("user", TEXT)]
    call(story, 0, first, 1000, 0)  # nothing before it, nothing cached
    call(story, 10, second, 2000, 1000 - 128)  # half of it was there; the server rounds down
    call(story, 20, second, 2000, 0)  # all of it was there; the server has forgotten
    call(story, 30, [("user", "other " + TEXT)], 1000, 512)  # cached by somebody that this trace did not see
    call(story, 40, [("system", "z"), *first], 1000, None)  # says nothing
    agreement = reuse(story, tmp_path / "t.parquet").agreement
    assert (agreement.calls, agreement.agreeing, agreement.fewer, agreement.more) == (4, 2, 1, 1)
    assert agreement.explained == pytest.approx(872 / (872 + 512))
    assert agreement.found == pytest.approx(872 / (1000 + 2000))
    lines = "\n".join(recording_lines(tmp_path / "t.parquet"))
    assert (
        "agree with the prompts' shared prefixes in 50.0 % of 4 calls; 63.0 % of them are explained" in lines
    )


def test_no_report_no_agreement(tmp_path):
    story = Story()
    call(story, 0, [("user", TEXT)], 1000, None)
    assert reuse(story, tmp_path / "t.parquet").agreement is None
    assert "shared prefixes" not in "\n".join(recording_lines(tmp_path / "t.parquet"))


def test_an_answer_that_came_back_is_explained(tmp_path):
    """The engine has the tokens that it generated; the next prompt holds them."""
    story = Story()
    usage = {"input": 1000, "output": 500, "cached": 0}
    story.call(0, 5, [("user", TEXT)], answer=TEXT[:2000], response={"usage": usage})
    longer = [("user", TEXT), ("assistant", TEXT[:2000]), ("user", "go on" * 400)]
    call(story, 10, longer, 2000, 1500)
    agreement = reuse(story, tmp_path / "t.parquet").agreement
    assert (agreement.agreeing, agreement.explained, agreement.found) == (2, 1.0, 1.0)
