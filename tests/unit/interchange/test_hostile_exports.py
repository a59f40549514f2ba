"""Names that nobody should choose are text in every export, and content is in none."""

import csv
import io
import json

import pytest

from tests.unit.crafted_trace import call_row, session_row, tool_row
from tests.unit.interchange.export_story import SECRET, write_story
from tests.unit.reports import hostile
from tracekit.interchange.exported import LONGEST_NAME
from tracekit.interchange.formats import EXPORTS, export_parts

FIRST_TOOL = 100


@pytest.fixture
def trace(tmp_path):
    content = {"request_content": SECRET, "response_content": SECRET}
    sessions, calls, tools = [], [], []
    for place, name in enumerate(hostile.NAMES):
        row = 1000 * (place + 1)
        sessions.append(session_row(row, 0, 100, name=name, agent_name=name, conversation_id=name))
        calls.append(
            call_row(row + 1, 0, 50, row, model=name, usage_source="server", error_type=name, **content)
        )
        tools.append(tool_row(row + 2, 50, 90, row, [row + 1], name=name, tool_call_id=name))
    return write_story(tmp_path / "story.parquet", calls, tools, sessions)


def written(name, trace):
    parts = list(export_parts(name, trace).parts)
    return b"".join(part.encode("utf-8", "replace") if isinstance(part, str) else part for part in parts)


@pytest.mark.parametrize("name", EXPORTS)
def test_content_is_in_no_export(trace, name):
    found = written(name, trace)
    assert len(found) > 100
    assert SECRET.encode() not in found


def test_speedscope_is_json_with_names_that_are_cut(trace):
    document = json.loads(written("speedscope", trace))
    names = [frame["name"] for frame in document["shared"]["frames"]]
    names += [profile["name"] for profile in document["profiles"]]
    assert any(hostile.SCRIPT in name for name in names)
    assert max(map(len, names)) <= LONGEST_NAME + len("tool  (at once: 10)")


def test_otlp_is_a_line_a_session_with_whole_names(trace):
    lines = written("otlp", trace).decode().splitlines()
    assert len(lines) == len(hostile.NAMES)
    said = {
        attribute["value"]["stringValue"]
        for line in lines
        for span in json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"]
        for attribute in span["attributes"]
        if attribute["key"] == "gen_ai.tool.name"
    }
    assert said == set(hostile.NAMES)


def test_csv_has_whole_rows_whose_names_come_back(trace):
    rows = list(csv.DictReader(io.StringIO(written("csv", trace).decode(), newline="")))
    names = [row["name"].removeprefix("'") for row in rows if row["kind"] == "tool_span"]
    assert names == list(hostile.NAMES)
    assert not [cell for row in rows for cell in row.values() if cell and cell[0] in "=+@"]


def test_perfetto_packets_parse_and_names_are_cut(trace):
    reader = pytest.importorskip("tests.unit.interchange.perfetto_reader", reason="needs the group `dev`")
    found = reader.read(written("perfetto", trace))
    names = {one.name for one in found.slices}
    assert hostile.SCRIPT in names
    assert max(len(name) for name in names) <= LONGEST_NAME
