"""Each format of a small trace's report, and of a comparison, word for word; numbers with all digits to 1e-9."""

import csv
import json

import pytest

from tests.golden.reports.write import FOLDER, KINDS, crafted, report


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def document(kind):
    return crafted(kind)


def golden(kind, name):
    return (FOLDER / f"{kind}.{name}").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["html", "md"])
def test_what_people_read(document, kind, name):
    assert report(document, name) == golden(kind, name), (
        "if this is meant: python -m tests.golden.reports.write"
    )


def test_csv(document, kind):
    ours, theirs = (
        list(csv.reader(text.splitlines())) for text in (report(document, "csv"), golden(kind, "csv"))
    )
    assert [list(map(_value, row)) for row in ours] == [
        [_near(_value(cell)) for cell in row] for row in theirs
    ]


def test_json(document, kind):
    assert json.loads(report(document, "json")) == _near(json.loads(golden(kind, "json")))


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
