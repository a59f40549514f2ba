"""The spool's reader: what is torn or senseless is counted, the rest is kept; losses and live runs are known."""

import fcntl
import json
import tempfile

import pytest

from tracekit.assembly.merge import assemble
from tracekit.errors import SpoolNotFound
from tracekit.schema import Kind
from tracekit.spool import is_live, read_spool, remove_spool

MARK = {"t": "mark", "ns": 1, "pid": 1, "name": "m"}


def write(folder, *lines, name="1-1.jsonl"):
    folder.mkdir(exist_ok=True)
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    "line",
    [
        "not json", '{"t":"mark"', "[]", "7", "null", '{"t":1,"ns":2}', '{"t":"mark","ns":"x"}',
        '{"t":"mark","ns":true}',
        '{"t":"attempt_start","ns":1}', '{"t":"attempt_end","ns":1,"id":3}', '{"t":"tool_start","ns":1}', "\x00\x00",
    ],
)  # fmt: skip
def test_senseless_lines_are_counted_and_skipped(tmp_path, line):
    spool = read_spool(write(tmp_path / "s", MARK, line, MARK))
    assert (len(spool.records), spool.unreadable_lines) == (2, 1)
    assert assemble(spool, software_version="0").tables[Kind.MARK].num_rows == 2


@pytest.mark.parametrize(
    "record",
    [
        {"t": "attempt_start", "ns": 1, "id": "a"},
        {"t": "attempt_start", "ns": 1, "id": "a", "request": None},
        {"t": "attempt_end", "ns": 1, "id": "nobody"},
        {"t": "tool_start", "ns": 1, "id": "a"},
        {"t": "session_end", "ns": 1, "id": "nobody"},
        {"t": "power", "ns": 1},
        {"t": "something of a later version", "ns": 1},
    ],
)
def test_sparse_records_make_rows_or_nothing_but_no_error(tmp_path, record):
    assemble(read_spool(write(tmp_path / "s", record, MARK)), software_version="0")


def test_losses_are_counted(tmp_path):
    spool = write(tmp_path / "s", MARK)
    (spool / "lost").write_bytes(bytes(8) + (7).to_bytes(8, "little") + bytes(16) + (2).to_bytes(8, "little"))
    assert assemble(read_spool(spool), software_version="0").provenance.not_seen.lost_records == 9


def test_the_spare_directory_is_read_and_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    spool, spare = write(tmp_path / "s", MARK), write(tmp_path / "tracekit-spare-x", MARK, MARK)
    (spool / "run.json").write_text(json.dumps({"spare": str(spare)}))
    assert len(read_spool(spool).records) == 3
    remove_spool(spool)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_of_the_users_is_never_removed_as_a_spare(tmp_path):
    spool, victim = write(tmp_path / "s", MARK), write(tmp_path / "tracekit-spare-victim", MARK)
    (spool / "run.json").write_text(json.dumps({"spare": str(victim)}))
    remove_spool(spool)
    assert [path.name for path in victim.iterdir()] == ["1-1.jsonl"]


def test_a_live_spool_is_known_by_its_lock(tmp_path):
    spool = write(tmp_path / "s", MARK)
    assert not is_live(spool)
    with (spool / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert is_live(spool)
    assert not is_live(spool)


def test_nothing_there(tmp_path):
    with pytest.raises(SpoolNotFound, match="No recording"):
        read_spool(tmp_path / "missing")
