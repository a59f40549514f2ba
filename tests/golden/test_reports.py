"""Each format of one small trace's report, word for word; numbers with all digits to 1e-9."""

import csv
import json

import pytest

from tests.golden.reports.write import FOLDER, crafted, report


@pytest.fixture(scope="module")
def document():
    return crafted()


def golden(name):
    return (FOLDER / f"report.{name}").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["html", "md"])
def test_what_people_read(document, name):
    assert report(document, name) == golden(name), "if this is meant: python -m tests.golden.reports.write"


def test_csv(document):
    ours, theirs = (list(csv.reader(text.splitlines())) for text in (report(document, "csv"), golden("csv")))
    assert [list(map(_value, row)) for row in ours] == [
        [_near(_value(cell)) for cell in row] for row in theirs
    ]


def test_json(document):
    assert json.loads(report(document, "json")) == _near(json.loads(golden("json")))


def _value(cell):
    try:
        return float(cell)
    except ValueError:
        return cell


def _near(value):
    """The same, such that floats are equal to what is near them."""
    if isinstance(value, dict):
        return {key: _near(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_near(part) for part in value]
    return pytest.approx(value, rel=1e-9, abs=1e-12) if isinstance(value, float) else value
