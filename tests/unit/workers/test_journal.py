"""What is kept of a sweep that is cut off anywhere."""

import pytest

from tracekit.analyzers.workers.journal import Journal
from tracekit.errors import JournalRefused

FIRST, SECOND = {"cost_usd": 0.1, "calls": 3, "score": None}, {"cost_usd": 1 / 3, "calls": 4, "score": 1.0}


def test_numbers_come_back_as_they_were(tmp_path):
    path = Journal.beside(tmp_path / "sweep.csv", "points")
    assert path.name == "sweep.csv.points.jsonl"
    Journal(path).keep([("a", FIRST), ("b", SECOND)])
    found = Journal(path).kept
    assert found == {"a": FIRST, "b": SECOND}
    assert [type(value) for value in found["b"].values()] == [float, int, float]


def test_cut_off_after_any_byte(tmp_path):
    path = tmp_path / "j"
    Journal(path).keep([("a", FIRST)])
    first = path.stat().st_size
    Journal(path).keep([("b", SECOND)])
    whole = path.read_bytes()
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        journal = Journal(path)
        assert list(journal.kept) == ["a", "b"][: (length >= first) + (length == len(whole))]
        journal.keep([("c", FIRST)])  # on a line of its own, whatever was torn
        assert list(Journal(path).kept) == [*journal.kept]


def test_lines_of_something_else_are_passed_over(tmp_path):
    path = tmp_path / "j"
    path.write_text('{"t": "device"}\n[]\nnot json\n{"key": "a", "figures": 3}\n')
    Journal(path).keep([("a", FIRST)])
    assert Journal(path).kept == {"a": FIRST}


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(JournalRefused, match="cannot be kept"):
        Journal(tmp_path / "missing" / "j").keep([("a", FIRST)])
    with pytest.raises(JournalRefused, match="cannot be kept"):
        Journal(tmp_path)
