"""speedscope, csv and otlp: what is in the trace is in the file, and an OTLP file comes back as the same sessions."""

import csv
import gzip
import io
import json
from collections import Counter
from types import SimpleNamespace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.crafted_trace import call_row, session_row, tool_row
from tests.unit.interchange.export_story import CALLS, HOSTILE, TOOLS, at, write_story
from tests.unit.interchange.importing import Import
from tracekit.errors import OutputRefused, TraceEmpty
from tracekit.interchange.exported import write_parts
from tracekit.interchange.formats import EXPORTS, export_parts
from tracekit.provenance import Provenance
from tracekit.schema import COLUMNS, Kind
from tracekit.trace import Trace, write_trace


def text(name, trace):
    return "".join(export_parts(name, trace).parts)


def profiles_of(trace):
    document = json.loads(text("speedscope", trace))
    frames = [frame["name"] for frame in document["shared"]["frames"]]
    return document["profiles"], frames


def spans_of(profile, frames):
    """(frame, from, to) of every span; fails where opens and closes do not nest in order."""
    stack, found, last = [], [], profile["startValue"]
    for event in profile["events"]:
        assert last <= event["at"] <= profile["endValue"]
        last = event["at"]
        if event["type"] == "O":
            stack.append(event)
        else:
            opened = stack.pop()
            assert opened["frame"] == event["frame"]
            found.append((frames[event["frame"]], opened["at"], event["at"]))
    assert not stack
    return found


def test_speedscope_nests_and_holds_every_step(tmp_path):
    profiles, frames = profiles_of(write_story(tmp_path / "story.parquet"))
    spans = [span for profile in profiles for span in spans_of(profile, frames)]
    assert [profile["name"] for profile in profiles][:2] == ["planner", "planner (at once: 2)"]
    assert ("to first token", 0, at(30)) in spans
    assert ("LLM gpt", at(400), at(700)) in spans
    assert ("LLM mini", at(450), at(600)) in spans
    assert ("tool search", at(110), at(390)) in spans
    steps = [span for span in spans if span[0].startswith(("LLM ", "tool "))]
    assert len(steps) == len(CALLS) + len(TOOLS)


spans = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), min_size=1, max_size=30)


@settings(deadline=None, max_examples=15)
@given(spans)
def test_any_timing_nests_in_speedscope(tmp_path_factory, calls):
    trace = write_story(
        tmp_path_factory.mktemp("spans") / "story.parquet",
        [call_row(1 + n, start, start + length, model="m", first_token_ns=at(start))
         for n, (start, length) in enumerate(calls)],
        (),
        [session_row(0)],
    )  # fmt: skip
    profiles, frames = profiles_of(trace)
    drawn = Counter(
        span[1:] for profile in profiles for span in spans_of(profile, frames) if span[0] == "LLM m"
    )
    assert drawn == Counter((at(start), at(start + length)) for start, length in calls)


def test_csv_reads_back(tmp_path):
    trace = write_story(tmp_path / "story.parquet")
    rows = list(csv.DictReader(io.StringIO(text("csv", trace))))
    assert Counter(row["kind"] for row in rows) == {
        "session": 2, "llm_call": 5, "tool_span": 3, "power_sample": 5, "mark": 1,
    }  # fmt: skip
    first = next(row for row in rows if row["row_id"] == "2")
    assert (first["input_tokens"], first["first_token_ns"], first["stream"]) == ("100", str(at(30)), "true")
    assert json.loads(first["tool_call_ids"]) == ["a", "b"]
    unknown = next(row for row in rows if row["row_id"] == "6")
    assert (unknown["input_tokens"], unknown["first_token_ns"]) == ("", "")
    assert [row["name"] for row in rows if row["row_id"] == "8"] == [HOSTILE]
    assert [row["power_w"] for row in rows if row["kind"] == "power_sample"] == [
        "100.5", "101.5", "102.5", "", "104.5",
    ]  # fmt: skip


FORMULAS = (
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "'quoted", "''=1", "-", "'", "", "plain =1", "5",
)  # fmt: skip


def test_csv_text_is_no_formula_and_comes_back(tmp_path):
    tools = [tool_row(10 + n, n, n + 1, name=text) for n, text in enumerate(FORMULAS)]
    trace = write_story(tmp_path / "story.parquet", [call_row(1, 0, 1)], tools, [session_row(0)])
    (tmp_path / "story.csv").write_text(text("csv", trace), newline="")
    rows = pl.read_csv(tmp_path / "story.csv", infer_schema_length=None)
    cells = rows.filter(kind="tool_span").sort("row_id")["name"].to_list()
    assert not [cell for cell in cells if cell and cell[0] in "=+-@\t\r\n\uff1d"]
    assert cells[FORMULAS.index("5")] == "5"
    back = rows.with_columns(pl.col(pl.String).str.strip_prefix("'")).filter(kind="tool_span").sort("row_id")
    assert [name or "" for name in back["name"]] == list(FORMULAS)


def test_csv_numbers_stay_numbers(tmp_path):
    trace = write_story(
        tmp_path / "story.parquet", [call_row(1, 0, 1, temperature=-0.5)], (), [session_row(0)]
    )
    (row,) = (row for row in csv.DictReader(io.StringIO(text("csv", trace))) if row["row_id"] == "1")
    assert row["temperature"] == "-0.5"


def test_every_csv_column_says_its_unit(tmp_path):
    header = text("csv", write_story(tmp_path / "story.parquet")).split("\n", 1)[0].split(",")
    said = {
        "tokens": "tokens",
        "bytes": "bytes",
        "MHz": "mhz",
        "degC": "_c",
        "W": "_w",
        "J": "_j",
        "ns": "_ns",
    }
    for column in COLUMNS:
        if column.unit and column.name in header:
            assert said.get(column.unit, f"_{column.unit}") in column.name


def test_otlp_comes_back(tmp_path):
    trace = write_story(tmp_path / "story.parquet")
    made = Import(tmp_path, "otlp", text("otlp", trace), strict=True)
    assert [(one["start_ns"], one["end_ns"]) for one in made.sessions] == [(0, at(1000)), (at(200), at(900))]
    assert [one["agent_name"] for one in made.sessions] == ["plan", None]
    assert [one["conversation_id"] for one in made.sessions] == [None, "conv-1"]
    kept = (
        "start_ns", "end_ns", "model", "input_tokens", "output_tokens", "cached_tokens", "first_token_ns",
        "finish_reason", "stream", "temperature", "error_type", "server_host",
    )  # fmt: skip
    wanted = sorted(CALLS, key=lambda row: row["start_ns"])
    assert [[row[name] for name in kept] for row in made.calls] == [
        [row.get(name) for name in kept] for row in wanted
    ]
    assert [row["usage_source"] for row in made.calls] == [
        "server",
        "missing",
        "estimated",
        "server",
        "server",
    ]
    assert [
        (row["name"], row["tool_call_id"], row["start_ns"], row["end_ns"], row["status"])
        for row in made.tools
    ] == [(row["name"], row["tool_call_id"], row["start_ns"], row["end_ns"], row["status"]) for row in TOOLS]


STEPS = ("start_ns", "end_ns", "status", "name", "model", "input_tokens", "output_tokens", "edge_source")


def graph(made):
    """Every step by what it is, and what it starts after, in the same words; row ids are anyone's."""
    rows = {row["row_id"]: row for row in (*made.calls, *made.tools)}
    of_session = {row["row_id"]: row["start_ns"] for row in made.sessions}
    told = {
        key: (of_session[row["session_id"]], *(row.get(name) for name in STEPS)) for key, row in rows.items()
    }
    return {told[key]: {told[parent] for parent in row["parents"]} for key, row in rows.items()}


def rows_of(trace):
    kinds = {"sessions": Kind.SESSION, "calls": Kind.LLM_CALL, "tools": Kind.TOOL_SPAN}
    return SimpleNamespace(**{name: trace.rows(kind).to_pylist() for name, kind in kinds.items()})


def test_otlp_keeps_edges_that_timing_would_not_find(tmp_path):
    """Two branches side by side, each of a call, a tool and a call; a title that nobody waits for; a join."""
    known = {"edge_source": "prefix_chain"}
    calls = [
        call_row(1, 0, 100, model="plan"),
        call_row(2, 100, 200, parents=[1], model="left", **known),
        call_row(3, 100, 250, parents=[1], model="right", **known),
        call_row(4, 110, 150, parents=[], model="title"),
        call_row(7, 300, 400, parents=[5], model="left", **known),
        call_row(8, 350, 480, parents=[6], model="right", **known),
        call_row(9, 500, 600, parents=[7, 8], model="join", edge_source="tool_id"),
    ]
    tools = [
        tool_row(5, 200, 290, parents=[2], name="a", edge_source="tool_id"),
        tool_row(6, 250, 340, parents=[3], name="b", edge_source="tool_id"),
    ]
    trace = write_story(tmp_path / "story.parquet", calls, tools, [session_row(0, 0, 600)])
    lines = text("otlp", trace)
    made = Import(tmp_path, "otlp", lines, strict=True)
    assert graph(made) == graph(rows_of(trace))
    joined = next(row for row in made.calls if row["model"] == "join")
    by_row = {row["row_id"]: row for row in (*made.calls, *made.tools)}
    assert sorted(by_row[key]["model"] for key in joined["parents"]) == ["left", "right"]
    assert next(row for row in made.calls if row["model"] == "title")["parents"] == []
    second_right = max(
        (row for row in made.calls if row["model"] == "right"), key=lambda row: row["start_ns"]
    )
    assert [by_row[key]["name"] for key in second_right["parents"]] == ["b"]
    assert joined["edge_source"] == "tool_id"
    (tmp_path / "foreign").mkdir()
    foreign = Import(
        tmp_path / "foreign", "otlp", lines.replace("tracekit.edge_source", "x.edge_source"), strict=True
    )
    title = next(row for row in foreign.calls if row["model"] == "title")
    assert title["parents"] != []
    assert title["edge_source"] == "timing"


def test_sessions_of_one_conversation_stay_apart(tmp_path):
    sessions = [session_row(0, conversation_id="same"), session_row(1, conversation_id="same")]
    trace = write_story(
        tmp_path / "story.parquet", [call_row(2, 0, 9), call_row(3, 5, 9, session=1)], (), sessions
    )
    made = Import(tmp_path, "otlp", text("otlp", trace), strict=True)
    assert len(made.sessions) == 2
    assert "share" in " ".join(export_parts("otlp", trace).notes)


def test_a_frame_holds_what_ran_in_it(tmp_path):
    tools = [tool_row(2, 10, 500, name="researcher", frame=True), tool_row(3, 250, 300, name="search")]
    trace = write_story(
        tmp_path / "story.parquet", [call_row(4, 100, 200), call_row(5, 400, 600)], tools, [session_row(0)]
    )
    made = Import(tmp_path, "otlp", text("otlp", trace), strict=True)
    assert [row["frame"] for row in made.tools] == [True, False]
    spans = json.loads(text("otlp", trace))["resourceSpans"][0]["scopeSpans"][0]["spans"]
    parents = {span["startTimeUnixNano"]: span.get("parentSpanId") for span in spans}
    frame = next(span["spanId"] for span in spans if span["startTimeUnixNano"] == str(at(10)))
    assert parents[str(at(100))] == parents[str(at(250))] == frame != parents[str(at(400))]


steps = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 50), st.integers(0, 20), st.none() | st.integers(0, 10**9)),
    min_size=1,
    max_size=20,
)


@settings(deadline=None, max_examples=15)
@given(steps, steps)
def test_any_trace_comes_back_from_otlp(tmp_path_factory, calls, tools):
    folder = tmp_path_factory.mktemp("otlp")
    call_rows = [
        call_row(10 + n, start, start + length, owner, input_tokens=tokens, output_tokens=tokens, model="m")
        for n, (owner, start, length, tokens) in enumerate(calls)
    ]
    tool_rows = [
        tool_row(100 + n, start, start + length, owner, name=f"t{n}")
        for n, (owner, start, length, _tokens) in enumerate(tools)
    ]
    trace = write_story(folder / "story.parquet", call_rows, tool_rows, [session_row(n) for n in range(4)])
    made = Import(folder, "otlp", text("otlp", trace), strict=True, force=True)

    def by_session(rows, key):
        groups = {}
        for row in rows:
            groups.setdefault(row[key], []).append((row["start_ns"], row["end_ns"], row.get("input_tokens")))
        return sorted(sorted(group, key=str) for group in groups.values())

    assert by_session(made.calls, "session_id") == by_session(call_rows, "session_id")
    assert sorted(row["name"] for row in made.tools) == sorted(row["name"] for row in tool_rows)
    assert len(made.sessions) == len({row["session_id"] for row in (*call_rows, *tool_rows)})


@pytest.mark.parametrize("name", EXPORTS)
def test_an_empty_trace_is_refused(tmp_path, name):
    write_trace(tmp_path / "story.parquet", {}, Provenance(1, "0", [], 0))
    with pytest.raises(TraceEmpty):
        export_parts(name, Trace.open(tmp_path / "story.parquet"))


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "out.csv.gz"

    def breaking():
        yield "half"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_parts(path, breaking(), force=False)
    assert not list(tmp_path.iterdir())
    write_parts(path, ["a", b"b"], force=False)
    assert gzip.decompress(path.read_bytes()) == b"ab"
    with pytest.raises(OutputRefused):
        write_parts(path, ["c"], force=False)


def test_a_trace_of_only_samples_has_curves_and_rows(tmp_path):
    trace = write_story(tmp_path / "story.parquet", (), (), ())
    assert Kind.POWER_SAMPLE in text("csv", trace)
    assert b"GPU 0 H100 power" in b"".join(export_parts("perfetto", trace).parts)
