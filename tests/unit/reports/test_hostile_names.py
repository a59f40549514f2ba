"""Names of tools, models, sessions and labels are text in every format, on one line, and cut."""

import csv
import io
import re
from html.parser import HTMLParser

import pytest

from tests.unit.reports import hostile
from tests.unit.reports.documents import crafted_comparison, crafted_document
from tracekit.reports.rendering import rendered
from tracekit.reports.words import LONGEST_NAME, shown_name

KNOWN = {
    "html", "head", "meta", "title", "style", "body", "header", "p", "h1", "h2", "bdi", "b", "span", "nav", "ul", "li",
    "a", "main", "section", "div", "table", "caption", "thead", "tbody", "tr", "th", "td", "figure", "svg", "g", "defs",
    "path", "use", "text", "tspan", "clippath", "rect", "details", "summary", "pre", "code", "footer", "script",
}  # fmt: skip


class Elements(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.attributes = [], []

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)
        self.attributes += attrs


@pytest.fixture(scope="module", params=["report", "comparison"])
def document(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    command = {"command": f"tracekit {hostile.SCRIPT} ```"}
    labels = {"labels": {hostile.SCRIPT: hostile.LONG}}
    if request.param == "report":
        path = folder / "hostile.parquet"
        return crafted_document(path, names=hostile.NAMES, gpus=("H100",)) | labels | command
    found = crafted_comparison(folder, names=hostile.NAMES, gpus=("H100",))
    for workflow in found["workflows"][1:]:
        workflow.update(labels)
    return found | command


def test_html_holds_one_script_and_only_known_elements(document):
    page = Elements()
    page.feed(rendered(document, "html"))
    assert page.found.count("script") == 1
    assert set(page.found) <= KNOWN
    assert not [name for name, _value in page.attributes if name.startswith("on") or name in ("src", "style")]
    links = [value for name, value in page.attributes if name.endswith("href")]
    assert all(value.startswith("#") for value in links)


@pytest.mark.parametrize("format_name", ["html", "md", "csv"])
def test_long_names_are_cut_and_control_characters_are_gone(document, format_name):
    text = rendered(document, format_name)
    assert "x" * 2001 not in text
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00\x1b]", text)


def test_markdown_holds_no_markup_of_others(document):
    text, _fence, fenced = rendered(document, "md").partition("``````")
    assert fenced.endswith("``````\n")
    assert "<script" not in text
    assert "<img" not in text
    assert "@everyone" not in text
    assert not re.search(r"(?<!\\)\]\(", text)
    assert text.count("<details>") == text.count("</details>") > 3
    widths = {line.count(" | ") for line in text.splitlines() if line.startswith("| a\\|b")}
    assert widths
    assert 0 not in widths


def test_csv_holds_no_formula_and_whole_rows(document):
    rows = list(csv.reader(io.StringIO(rendered(document, "csv"))))
    assert len({len(row) for row in rows}) == 1
    assert not [cell for row in rows for cell in row if cell[:1] in ("=", "+", "@", "\t", "\r")]
    assert f"'{hostile.FORMULA}" in {cell for row in rows for cell in row}


def test_names_are_cut_to_a_length():
    assert [len(shown_name(name)) <= LONGEST_NAME for name in hostile.NAMES] == [True] * len(hostile.NAMES)
    assert shown_name("  a\n b\t") == "a b"
