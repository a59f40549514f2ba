"""The trace file: round trip, refusals, versions."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tracekit.errors import OutputRefused, TraceNotFound, TraceUnreadable
from tracekit.provenance import METADATA_KEY, NotSeen, Provenance
from tracekit.schema import ARROW_NAMES, COLUMNS, FORMAT_VERSION, Kind, columns_of
from tracekit.trace import Trace, arrow_schema, table_of, write_trace

CALL = {
    "row_id": 1,
    "session_id": 0,
    "start_ns": 1_700_000_000_000_000_001,
    "status": "ok",
    "parents": [],
    "model": "m",
    "input_tokens": 5,
    "block_hashes": [2**64 - 1],
}
SESSION = {"row_id": 0, "start_ns": 1_700_000_000_000_000_000, "status": "ok"}


def provenance(**changes):
    return Provenance(
        **{"format_version": FORMAT_VERSION, "software_version": "0", "command": ["x"], "created_ns": 1}
        | changes
    )


def write(path: Path, **changes):
    tables = {Kind.LLM_CALL: table_of(Kind.LLM_CALL, [CALL]), Kind.SESSION: table_of(Kind.SESSION, [SESSION])}
    write_trace(path, tables, provenance(**changes))
    return path


def test_rows_come_back_with_nulls_for_the_unknown(tmp_path):
    trace = Trace.open(write(tmp_path / "a.parquet"))
    (row,) = trace.rows(Kind.LLM_CALL).to_pylist()
    assert {name: row[name] for name in CALL} == CALL
    assert row["output_tokens"] is None
    assert trace.rows(Kind.TOOL_SPAN).num_rows == 0
    assert [trace.count(kind) for kind in (Kind.SESSION, Kind.LLM_CALL, Kind.MARK)] == [1, 1, 0]


def test_provenance_comes_back(tmp_path):
    seen = NotSeen(interrupted_calls=2, processes_not_followed={"node": 1})
    trace = Trace.open(write(tmp_path / "a.parquet", not_seen=seen, labels={"weights": "random"}))
    assert trace.provenance.not_seen == seen
    assert trace.provenance.labels == {"weights": "random"}


def test_row_groups_never_mix_kinds(tmp_path):
    file = pq.ParquetFile(write(tmp_path / "a.parquet"))
    kinds = [
        file.metadata.row_group(group).column(0).statistics for group in range(file.metadata.num_row_groups)
    ]
    assert [(kind.min, kind.max) for kind in kinds] == [("session", "session"), ("llm_call", "llm_call")]


def test_a_row_of_the_wrong_kind_is_refused():
    with pytest.raises(ValueError, match="session rows have no column power_w"):
        table_of(Kind.SESSION, [SESSION | {"power_w": 3.0}])


def test_nothing_is_overwritten_unasked(tmp_path):
    path = write(tmp_path / "a.parquet")
    before = path.read_bytes()
    with pytest.raises(OutputRefused, match="--force"):
        write(path)
    assert path.read_bytes() == before


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def full(*_args, **_more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(OSError, match="No space"):
        write(tmp_path / "a.parquet")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda path: None, TraceNotFound, "tracekit record"),
        (
            lambda path: path.write_bytes(b"PAR1 but not really"),
            TraceUnreadable,
            "not a complete Parquet file",
        ),
        (lambda path: path.write_bytes(b""), TraceUnreadable, "not a complete Parquet file"),
        (
            lambda path: pq.write_table(pa.table({"a": [1]}), path),
            TraceUnreadable,
            "not one that tracekit wrote",
        ),
    ],
)
def test_files_that_are_no_trace(tmp_path, make, error, words):
    path = tmp_path / "a.parquet"
    make(path)
    with pytest.raises(error, match=words):
        Trace.open(path)


def test_a_truncated_trace_names_its_spool(tmp_path):
    path = write(tmp_path / "a.parquet")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(TraceUnreadable, match=r"tracekit recover .*a\.parquet\.spool"):
        Trace.open(path)


def test_a_missing_trace_with_a_spool_says_recover(tmp_path):
    (tmp_path / "a.parquet.spool").mkdir()
    with pytest.raises(TraceNotFound, match="tracekit recover"):
        Trace.open(tmp_path / "a.parquet")


def test_a_newer_file_says_upgrade_and_an_older_one_is_read(tmp_path):
    newer = tmp_path / "newer.parquet"
    changed = {METADATA_KEY: json.dumps({"format_version": FORMAT_VERSION + 1, "hosts": "something else"})}
    pq.write_table(arrow_schema().empty_table().replace_schema_metadata(changed), newer)
    with pytest.raises(TraceUnreadable, match="pip install -U"):
        Trace.open(newer)
    older = tmp_path / "older.parquet"
    table = table_of(Kind.LLM_CALL, [CALL]).drop_columns(["cached_tokens"])
    pq.write_table(table.replace_schema_metadata({METADATA_KEY: provenance().to_json()}), older)
    assert Trace.open(older).rows(Kind.LLM_CALL, ["row_id", "cached_tokens"]).to_pylist() == [
        {"row_id": 1, "cached_tokens": None}
    ]


def test_columns_are_declared_well():
    names = [column.name for column in COLUMNS]
    assert len(names) == len(set(names))
    for column in COLUMNS:
        assert column.doc.endswith("."), column.name
        assert column.type.removeprefix("list[").removesuffix("]") in ARROW_NAMES
        assert column.kinds, column.name
    for suffix, unit in (("_ns", "ns"), ("_j", "J"), ("_w", "W"), ("_bytes", "bytes"), ("_mhz", "MHz")):
        assert all(column.unit == unit for column in COLUMNS if column.name.endswith(suffix))
    assert all(any(column.name == "start_ns" for column in columns_of(kind)) for kind in Kind)


def test_a_trace_is_its_owners_alone(tmp_path):
    path = tmp_path / "t.parquet"
    for force in (False, True):
        write_trace(path, {}, provenance(), force=force)
        assert path.stat().st_mode & 0o777 == 0o600
        path.chmod(0o644)
