"""The sample traces are small, whole, without content, and told of in their README."""

from pathlib import Path

import pytest

from tracekit.schema import Kind
from tracekit.trace import Trace

FOLDER = Path(__file__).parents[2] / "sample_traces"
SAMPLES = sorted(FOLDER.glob("*.parquet"))


def test_they_are_small_and_told_of():
    assert len(SAMPLES) >= 4
    assert sum(path.stat().st_size for path in SAMPLES) < 1_000_000
    readme = (FOLDER / "README.md").read_text()
    assert all(f"`{path.name}`" in readme for path in SAMPLES)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_each_is_a_whole_recording_without_content(path):
    trace = Trace.open(path)
    calls = trace.rows(Kind.LLM_CALL).to_pylist()
    assert {row["status"] for row in calls} == {"ok"}
    assert {row["usage_source"] for row in calls} == {"server"}
    assert all(row["request_content"] is row["response_content"] is None for row in calls)
    assert (trace.provenance.content, trace.provenance.exit_code) == ("none", 0)
    assert trace.provenance.labels["agent"] == path.stem
    assert {host.name for host in trace.provenance.hosts} == {"demo"}


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_its_readme_counts_right(path):
    trace = Trace.open(path)
    counts = [trace.count(kind) for kind in (Kind.SESSION, Kind.LLM_CALL, Kind.TOOL_SPAN)]
    (line,) = (
        line
        for line in (FOLDER / "README.md").read_text().splitlines()
        if line.startswith(f"| `{path.name}`")
    )
    assert [int(cell) for cell in line.split("|")[2:5]] == counts
