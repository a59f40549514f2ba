"""azure, vidur, burstgpt and requests: tables with one request a row."""

from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.unit.interchange.importing import MS, Import, S
from tracekit.errors import RowRefused, SourceUnreadable, UnknownName

AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_azure(tmp_path, packed):
    text = f"{AZURE}2023-11-16 18:17:03.9799600,4808,10\r\n2023-11-16 18:17:04.0319601,3180,8"
    made = Import(tmp_path, "azure", text, packed=packed)
    assert made.bad == []
    assert [row["start_ns"] for row in made.calls] == [1700158623_979960000, 1700158624_031960100]
    assert made.tokens == [(4808, 10), (3180, 8)]
    assert made.lags_s == [0, 0]
    assert made.workload.session_arrival_s.tolist() == pytest.approx([0, 0.0520001])
    call = made.calls[0]
    assert (call["end_ns"], call["model"], call["cached_tokens"], call["parents"]) == (None, None, None, [])
    assert {row["end_ns"] for row in made.sessions} == {None}
    assert {row["origin"] for row in made.sessions} == {"imported"}
    assert made.trace.provenance.origin == "imported"
    assert made.trace.provenance.labels["format"] == "azure"
    assert made.trace.provenance.not_seen.calls_without_end == 2


@pytest.mark.parametrize("moment", ["2024-05-10 00:00:00.009930+00:00", "2024-05-10T00:00:00.00993Z"])
def test_dates_with_a_zone(tmp_path, moment):
    made = Import(tmp_path, "azure", f"{AZURE}{moment},1,1\n")
    assert made.calls[0]["start_ns"] == 1715299200_009930000


def test_bad_rows_are_counted_with_their_line(tmp_path):
    rows = [
        "2023-11-16 18:17:03,1,1",
        "yesterday,1,1",
        "",
        "2023-11-16 18:17:04,many,1",
        "2023-11-16 18:17:05,2",
    ]
    rows += ["2023-11-16 18:17:06,-3,1", "2023-11-16 18:17:07,2.5,1", "2023-11-16 18:17:08,9e99,1"]
    made = Import(tmp_path, "azure", AZURE + "\r\n".join(rows))
    assert made.made.calls == 1
    words = " ".join(made.bad)
    for place in (
        "source0, line 3: TIMESTAMP is not a date and time (it is 'yesterday')",
        "source0, line 5: ContextTokens is not a number (it is 'many')",
        "source0, line 6: it has another number of columns",
        "line 7: ContextTokens is negative",
    ):
        assert place in words
    counts = made.trace.provenance.not_seen.bad_rows
    assert sum(counts.values()) == 6
    assert counts["ContextTokens is not a whole number"] == 1
    with pytest.raises(RowRefused, match="source0, line 3: TIMESTAMP is not a date"):
        Import(tmp_path, "azure", AZURE + "\r\n".join(rows), strict=True, force=True)


def test_files_of_another_format_and_empty_ones_leave_nothing(tmp_path):
    for content, words in (
        ("arrived_at,num_prefill_tokens,num_decode_tokens\n0,1,2\n", "It looks like vidur"),
        ('{"timestamp": 1}\n', "it has no column TIMESTAMP"),
        (f"{AZURE}x,y,z\n", "none of its rows can be used"),
        ("", "No request in"),
        (AZURE, "No request in"),
    ):
        with pytest.raises(SourceUnreadable, match=words):
            Import(tmp_path, "azure", content)
    with pytest.raises(SourceUnreadable, match="cannot be opened"):
        Import(tmp_path, "azure", tmp_path / "nowhere.csv")
    with pytest.raises(UnknownName, match="Did you mean azure"):
        Import(tmp_path, "azur", AZURE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source0"]


def test_damaged_compression_names_the_line(tmp_path):
    import gzip

    path = tmp_path / "cut.gz"
    rows = "".join(f"2023-11-16 18:17:{at % 60:02},{at},{at * 7919 % 1000}\n" for at in range(20_000))
    packed = gzip.compress((AZURE + rows).encode())
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(SourceUnreadable, match=r"damaged after line \d\d+"):
        Import(tmp_path, "azure", path)
    assert not (tmp_path / "t.parquet").exists()


def test_vidur(tmp_path):
    made = Import(
        tmp_path, "vidur", "arrived_at,num_prefill_tokens,num_decode_tokens\n0.0,374,44\n4.314579,396,109\n"
    )
    assert [row["start_ns"] for row in made.calls] == [0, 4_314_579_000]
    assert made.tokens == [(374, 44), (396, 109)]
    assert "since the trace's own start" in made.trace.provenance.labels["clock"]


def test_burstgpt_conversations_and_failures(tmp_path):
    header = "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    rows = (
        "5,7,2.5,ChatGPT,472,18,490,Conversation log\n"
        "6,,1,GPT-4,10,20,30,API log\n"
        "10,7,1,ChatGPT,600,30,630,Conversation log\n"
        "10.5,7,9,ChatGPT,601,0,601,Conversation log\n"
        "9,7,1,ChatGPT,1,1,2,Conversation log\n"
    )
    made = Import(tmp_path, "burstgpt", header + rows)
    assert [row["status"] for row in made.calls] == ["ok", "ok", "ok", "error"]
    assert [row["model"] for row in made.calls] == ["ChatGPT", "GPT-4", "ChatGPT", "ChatGPT"]
    assert made.calls[0]["end_ns"] == 7_500 * MS
    assert [row["conversation_id"] for row in made.sessions] == ["7", None]
    assert made.lags_s == [0, 2.5, 0]
    assert made.tokens == [(472, 18), (600, 30), (10, 20)]
    first, third = made.calls[0], made.calls[2]
    assert (third["parents"], third["edge_source"]) == ([first["row_id"]], "timing")
    assert made.calls[3]["parents"] == [first["row_id"]]  # it overlaps the third: a sibling
    assert "line 6: it starts before the row above it in its session" in made.bad[0]


def test_burstgpt_of_the_first_release(tmp_path):
    text = (
        "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,472,18,490,API log\n"
    )
    made = Import(tmp_path, "burstgpt", text)
    assert (made.tokens, made.calls[0]["end_ns"]) == ([(472, 18)], None)


def test_requests_by_column_mapping(tmp_path):
    text = "when,prompt,answer,who,ttft_ms,took\n1.5,10,20,a,30,0.25\n2,11,,a,,\n"
    columns = {
        "when": "start_s",
        "prompt": "input_tokens",
        "answer": "output_tokens",
        "who": "session",
        "took": "duration_s",
    }
    made = Import(tmp_path, "requests", text, columns=columns)
    first, second = made.calls
    assert (first["start_ns"], first["end_ns"], first["first_token_ns"]) == (1500 * MS, 1750 * MS, 1530 * MS)
    assert (second["output_tokens"], second["end_ns"]) == (None, None)
    assert second["parents"] == [first["row_id"]]
    assert made.trace.provenance.not_seen.calls_without_tokens == 1
    assert made.lags_s == [0]
    with pytest.raises(UnknownName, match="Did you mean input_tokens"):
        Import(tmp_path, "requests", text, columns={"prompt": "input_token"}, force=True)
    with pytest.raises(SourceUnreadable, match="it has no column whn"):
        Import(tmp_path, "requests", text, columns={"whn": "start_s"}, force=True)
    with pytest.raises(SourceUnreadable, match="the first: it has no start"):
        Import(tmp_path, "requests", text, columns={"prompt": "input_tokens"}, force=True)


def test_requests_of_a_parquet_file(tmp_path):
    path = tmp_path / "log.parquet"
    moments = [datetime(2026, 1, 1, 0, 0, second) for second in (0, 3, 2)]
    table = {
        "end": moments,
        "duration_s": [1.0, 1.5, None],
        "input_tokens": [5, 6, -7],
        "output_tokens": [1, 2, 3],
    }
    pq.write_table(pa.table({**table, "text": ["x", "y", "z"]}), path)
    made = Import(tmp_path, "requests", path)
    assert made.tokens == [(5, 1), (6, 2)]
    assert made.calls[1]["end_ns"] - made.calls[1]["start_ns"] == 1500 * MS
    assert made.calls[1]["start_ns"] - made.calls[0]["end_ns"] == int(1.5 * S)
    assert "log.parquet, row 3: input_tokens is negative" in made.bad[0]
