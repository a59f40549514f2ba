"""The spool's writer under everything that happens to files in other people's processes."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit.collectors.inside import spool
from tracekit.collectors.inside.clock import Clock
from tracekit.collectors.inside.spool import Writer
from tracekit.spool import read_spool


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    return Writer(str(tmp_path), Clock("1000:0"), "9.9")


def test_first_record_says_who_writes(writer: Writer, tmp_path: Path) -> None:
    writer.write("mark", 5, {"name": "ü", "value": [1, None]})
    [file] = tmp_path.glob("*.jsonl")
    assert file.stat().st_mode & 0o777 == 0o600
    process, mark = (json.loads(line) for line in file.read_text().splitlines())
    assert (process["t"], process["pid"], process["ppid"], process["recorder"]) == (
        "process",
        os.getpid(),
        os.getppid(),
        "9.9",
    )
    assert process["executable"] == os.path.basename(sys.executable)
    assert file.name == f"{os.getpid()}-{process['ns']}.jsonl"
    assert mark == {"t": "mark", "ns": 5, "name": "ü", "value": [1, None]}


def test_the_clock_is_the_supervisors() -> None:
    before = time.monotonic_ns()
    told = Clock("5000000000000:2000").now_ns()
    assert before <= told - 5000000000000 + 2000 <= time.monotonic_ns()
    assert Clock("7:0").offset_ns == 7
    assert abs(Clock("rubbish").offset_ns - Clock().offset_ns) < 10_000_000


def test_one_write_a_record(writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer.start()
    written: list[bytes] = []
    real = os.write
    monkeypatch.setattr(spool.os, "write", lambda file, data: written.append(data) or real(file, data))
    for number in range(3):
        writer.write("mark", number, {})
    assert len(written) == 3
    assert all(line.endswith(b"\n") for line in written)


def test_full_disk_loses_only_what_did_not_fit(
    writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    writer.write("mark", 1, {"name": "before"})
    with monkeypatch.context() as patch:
        patch.setattr(spool.os, "write", lambda file, data: real(file, data[:9]))
        writer.write("mark", 2, {"name": "torn"})
    with monkeypatch.context() as patch:

        def full(file: int, data: bytes) -> int:
            raise OSError(28, "No space left on device")

        patch.setattr(spool.os, "write", full)
        writer.write("mark", 3, {"name": "lost"})
        writer.write("mark", 4, {"name": "lost"})
    writer.write("mark", 5, {"name": "after"})
    found = read_spool(tmp_path)
    assert [record["name"] for record in found.records if record["t"] == "mark"] == ["before", "after"]
    assert [record["detail"] for record in found.records if record["t"] == "note"] == ["3"]
    assert found.unreadable_lines == 1


def test_nothing_is_raised_without_a_directory(tmp_path: Path) -> None:
    writer = Writer(str(tmp_path / "missing"), Clock())
    writer.start()
    writer.write("mark", 1, {})
    writer.note("what", "detail")


def test_what_cannot_be_written_as_json_is_lost_alone(writer: Writer, tmp_path: Path) -> None:
    loop: list[Any] = []
    loop.append(loop)
    writer.write("mark", 1, {"value": loop})
    writer.write("mark", 2, {"value": float("nan")})
    assert [record["ns"] for record in read_spool(tmp_path).records if record["t"] == "mark"] == [2]


def test_an_agent_that_closes_every_file(writer: Writer, tmp_path: Path) -> None:
    """Daemons do; and the number may then be a file of theirs, into which nothing of ours may go."""
    writer.write("mark", 1, {})
    os.close(writer._file)
    theirs = tmp_path / "theirs"
    number = os.open(theirs, os.O_RDWR | os.O_CREAT)
    assert number == writer._file
    writer.write("mark", 2, {})
    os.close(number)
    assert theirs.read_bytes() == b""
    assert [record["ns"] for record in read_spool(tmp_path).records if record["t"] == "mark"] == [1, 2]
    assert len(list(tmp_path.glob("*.jsonl"))) == 1


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_writes_its_own_file(writer: Writer, tmp_path: Path) -> None:
    writer.write("mark", 1, {"name": "parent"})
    parent_id = writer.new_id()
    child = os.fork()
    if child == 0:
        writer.write("mark", 2, {"name": "child", "id": writer.new_id()})
        os._exit(0)
    os.waitpid(child, 0)
    writer.write("mark", 3, {"name": "parent"})
    files = {int(file.name.split("-")[0]): file.read_text().splitlines() for file in tmp_path.glob("*.jsonl")}
    assert len(files[os.getpid()]) == 3
    process, mark = map(json.loads, files[child])
    assert (process["pid"], process["ppid"]) == (child, os.getpid())
    assert mark["id"] != parent_id
    assert mark["id"].startswith(f"{child}-")


def test_threads(writer: Writer, tmp_path: Path) -> None:
    def write(number: int) -> None:
        for index in range(200):
            writer.write("mark", index, {"id": writer.new_id(), "thread": number})

    threads = [threading.Thread(target=write, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = read_spool(tmp_path)
    marks = [record for record in found.records if record["t"] == "mark"]
    assert len(marks) == len({record["id"] for record in marks}) == 1600
    assert len(list(tmp_path.glob("*.jsonl"))) == 1
    assert found.unreadable_lines == 0


def test_texts_in_the_spool_are_valid_unicode(writer: Writer, tmp_path: Path) -> None:
    """A file name that is no UTF-8, or half an emoji from a server, would break every reader downstream."""
    odd = os.fsdecode(b"caf\xe9.txt")
    for value in (odd, [odd, {odd: odd}], "\U0001f600"):
        writer.write("mark", 1, {"value": value})
    found = [record["value"] for record in read_spool(tmp_path).records if record["t"] == "mark"]
    assert found == ["caf?.txt", ["caf?.txt", {"caf?.txt": "caf?.txt"}], "\U0001f600"]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_ids_never_fail_and_never_repeat(writer: Writer, tmp_path: Path) -> None:
    """In a daemon that forks when the recording is over; its first id opens a file that nobody can open."""
    ids = [writer.new_id()]
    shutil.rmtree(tmp_path)
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(theirs, " ".join(writer.new_id() for _ in range(3)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    ids += os.read(ours, 1000).decode().split()
    os.close(ours)
    os.close(theirs)
    ids.append(writer.new_id())
    assert len(set(ids)) == 5
    tmp_path.mkdir()


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from("abc"), st.none() | st.text() | st.integers() | st.booleans() | st.floats()
    )
)
def test_hand_spelled_json_is_json(record: dict[str, Any]) -> None:
    line = spool._flat(record)
    if line is not None:
        assert json.loads(line) == record
    else:
        assert any(isinstance(value, (bool, float)) for value in record.values())


def test_a_full_disk_moves_the_records_to_the_spare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, spare = tmp_path / "first", tmp_path / "spare"
    first.mkdir()
    spare.mkdir()
    (first / "run.json").write_text(json.dumps({"spare": str(spare)}))
    writer = Writer(str(first), Clock(), spare=str(spare))
    writer.write("mark", 1, {"name": "before"})
    full, real = os.stat(next(first.glob("*.jsonl"))).st_ino, os.write

    def write(file: int, data: bytes) -> int:
        if os.fstat(file).st_ino == full:
            if len(data) > 60:
                return real(file, data[:10])
            raise OSError(28, "No space left on device")
        return real(file, data)

    monkeypatch.setattr(spool.os, "write", write)
    for number in range(3):
        writer.write("mark", 2 + number, {"name": "x" * 80})
    found = read_spool(first)
    assert [record["ns"] for record in found.records if record["t"] == "mark"] == [1, 2, 3, 4]
    assert not any(record["t"] == "note" for record in found.records)


def test_losses_are_counted_where_nothing_more_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lost").write_bytes(bytes(8 * spool.LOST_SLOTS))
    writer = Writer(str(tmp_path), Clock())
    writer.start()

    def write(file: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool.os, "write", write)
    for number in range(5):
        writer.write("mark", number, {})
    assert read_spool(tmp_path).lost_records == 5


@pytest.mark.parametrize("held", [False, True])
def test_processes_that_share_a_slot_add_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: bool
) -> None:
    """Process ids are used again, and more processes than slots may run; a held lock makes nobody wait long."""
    lost = tmp_path / "lost"
    lost.write_bytes(bytes(8 * spool.LOST_SLOTS))
    clock = Clock()

    def full(*arguments: Any) -> int:
        raise OSError(28, "No space left on device")

    with lost.open("rb") as other:
        if held:
            fcntl.flock(other, fcntl.LOCK_EX)
        for pid, count in ((1000, 7), (1000 + spool.LOST_SLOTS, 2), (1000, 1)):
            with monkeypatch.context() as patch:
                patch.setattr(spool.os, "getpid", lambda pid=pid: pid)
                patch.setattr(spool.os, "write", full)
                writer = Writer(str(tmp_path), clock, is_agent=False)
                for _ in range(count):
                    writer.write("mark", 1, {})
    assert read_spool(tmp_path).lost_records == 10
    assert lost.stat().st_size == 8 * spool.LOST_SLOTS


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_processes_that_lose_at_once_add_up(tmp_path: Path) -> None:
    lost = tmp_path / "lost"
    lost.write_bytes(bytes(8))
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            file = os.open(lost, os.O_RDWR)
            for _ in range(200):
                spool._count_one(file, 0)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    assert int.from_bytes(lost.read_bytes(), "little") == 800
