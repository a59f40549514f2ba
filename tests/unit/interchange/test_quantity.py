"""What an import takes can be replayed: counts, times and lengths at the edge of what a trace holds."""

import pytest

from tests.unit.interchange.importing import Import
from tests.unit.interchange.test_spans import chat, document
from tracekit.errors import SourceUnreadable
from tracekit.interchange.bad_rows import BadRow
from tracekit.interchange.quantity import instant_ns, tokens

MOST = 2**30 - 1
VIDUR = "arrived_at,num_prefill_tokens,num_decode_tokens\n"


def test_counts_that_a_call_can_hold_twice():
    assert tokens(str(MOST), "in") == MOST
    with pytest.raises(BadRow, match="in is beyond 1,073,741,823"):
        tokens(MOST + 1, "in")
    with pytest.raises(BadRow, match="in is negative"):
        tokens(-1, "in")


def test_the_largest_counts_and_10_to_the_9_are_imported_and_compiled(tmp_path):
    made = Import(tmp_path, "vidur", f"{VIDUR}0,{MOST},{MOST}\n1,{10**9},1\n2,{2**62},1\n")
    assert made.tokens == [(MOST, MOST), (10**9, 1)]
    assert "beyond" in " ".join(made.bad)


def test_dates_before_1970_are_bad_rows():
    assert instant_ns("1970-01-01T00:00:00Z", "start") == 0
    with pytest.raises(BadRow, match="start is before 1970"):
        instant_ns("1969-12-31T23:59:59Z", "start")


def test_more_than_a_century_between_rows_is_refused_with_nothing_written(tmp_path):
    with pytest.raises(SourceUnreadable, match="span 101 years"):
        Import(tmp_path, "vidur", f"{VIDUR}0,1,1\n{101 * 365.25 * 86400},1,1\n")
    assert not (tmp_path / "t.parquet").exists()


def test_a_span_that_ends_before_it_starts_is_a_bad_row(tmp_path):
    made = Import(tmp_path, "otlp", [document(chat("a", 1, 5), chat("b", 9, 6))])
    assert len(made.calls) == 1
    assert "it ends before it starts" in " ".join(made.bad)


def test_a_request_that_would_start_before_1970_is_a_bad_row(tmp_path):
    text = "end_s,duration_s,input_tokens,output_tokens\n5,2,10,1\n5,6,10,1\n"
    made = Import(tmp_path, "requests", text)
    assert [row["start_ns"] for row in made.calls] == [3_000_000_000]
    assert "its duration is longer than the time at which it ends" in " ".join(made.bad)
