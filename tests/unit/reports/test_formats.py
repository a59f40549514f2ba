"""HTML, Markdown and CSV of one document: each says the same numbers, within its limits."""

import base64
import csv
import hashlib
import io
import re

import pytest

from tests.unit.crafted_trace import call_row, write_crafted
from tests.unit.reports.documents import COMMAND, crafted_comparison, crafted_document
from tracekit.commands.analyze import analysis
from tracekit.commands.options import FleetChoice
from tracekit.reports.markdown import LIMIT, markdown_report
from tracekit.reports.rendering import rendered
from tracekit.reports.sections.compared.reading_order import comparison_contents
from tracekit.reports.sections.reading_order import analysis_contents
from tracekit.trace import Trace

ORDER = ["timeline", "time", "energy", "tokens", "latency", "savings", "sessions", "assumptions", "command"]


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    return crafted_document(tmp_path_factory.mktemp("formats") / "crafted.parquet")


@pytest.fixture(scope="module")
def page(document):
    return rendered(document, "html")


def test_html_answers_first_and_keeps_the_reading_order(document, page):
    assert page.index(document["headline"]) < page.index("<main>")
    assert re.findall(r'<h2 id="([^"]*)"', page) == ["summary", *ORDER]
    assert COMMAND in page


def test_html_allows_its_own_style_and_script_by_hash_alone(page):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1].replace("&#39;", "'")
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for element in ("style", "script"):
        (text,) = re.findall(f"<{element}>(.*?)</{element}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in policy
    assert not re.search(r"<[^>]*\sstyle=", page)


def test_html_script_is_small_and_asks_for_nothing(page):
    (script,) = re.findall("<script>(.*?)</script>", page, re.DOTALL)
    assert len(script.encode()) <= 30_000
    assert not re.search(r"fetch|XMLHttpRequest|import\(|innerHTML|eval", script)


def test_html_colours_are_variables_in_light_and_dark(page):
    (style,) = re.findall("<style>(.*?)</style>", page, re.DOTALL)
    assert "prefers-color-scheme:dark" in style
    assert "@media print" in style
    rules = style[style.index(".s0{") :]
    assert not re.findall("#[0-9a-f]{6}", rules)
    assert set(re.findall(r"var\((--[a-z_0-9]+)\)", rules)) <= set(re.findall(r"(--[a-z_0-9]+):", style))


def test_html_charts_have_names_and_ids_of_their_own(page):
    assert len(re.findall(r'<svg role="img" aria-label="[^"]+"', page)) == page.count("<svg")
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    for wanted in re.findall(r'(?:url\(#|href="#)([^")]*)', page):
        assert wanted in ids


def test_html_is_the_same_every_time(document, page):
    assert rendered(document, "html") == page


def test_markdown_is_a_summary_and_folded_details(document):
    text = rendered(document, "md")
    head, *details = text.split("<details>")
    assert document["headline"].replace("_", "\\_") in head
    assert head.count("|:--") == 1
    assert len(details) == len(ORDER) - 1
    assert COMMAND in details[-1]


def test_markdown_leaves_sections_out_rather_than_be_too_long(document):
    text = markdown_report(analysis_contents(document), 4000)
    assert len(text) <= 4000
    assert "Left out for length" in text
    assert len(rendered(document, "md")) <= LIMIT


def test_markdown_leaves_out_tables_of_the_summary_as_well(tmp_path):
    contents = comparison_contents(crafted_comparison(tmp_path))
    text = markdown_report(contents, 1200)
    assert len(text) <= 1200
    assert "**On 1 x A100-SXM-40GB (modelled)**" in text
    assert "Left out for length: On 1 x H100-SXM-80GB (modelled)" in text


def test_csv_says_units_in_headers_and_a_source_in_every_row(document):
    rows = list(csv.DictReader(io.StringIO(rendered(document, "csv"))))
    assert all(row["source"] for row in rows)
    units = [name for name in rows[0] if "[" in name]
    assert len(units) == len(rows[0]) - 6  # all but view, subject, name, statistic, source and n
    (total,) = [
        row
        for row in rows
        if row["subject"] == "fleet" and row["statistic"] == "total" and "H100" in row["name"]
    ]
    assert float(total["energy [J]"]) == document["replays"][1]["energy_j"]["total"]
    causes = [
        float(row["energy [J]"])
        for row in rows
        if row["subject"].startswith("idle: ") and "H100" in row["name"]
    ]
    assert sum(causes) == pytest.approx(document["replays"][1]["energy_j"]["by_phase"]["idle"])


def test_csv_numbers_stay_numbers_and_text_is_no_formula(tmp_path):
    found = crafted_comparison(tmp_path, names=("-base", "+agent"))
    rows = list(csv.DictReader(io.StringIO(rendered(found, "csv"))))
    assert {row["workflow"] for row in rows} == {"'-base", "'+agent"}
    found["workflows"][1]["score"]["mean"] = -1.5
    rows = csv.DictReader(io.StringIO(rendered(found, "csv")))
    assert [row["score [1]"] for row in rows if row["score [1]"]][-1] == "-1.5"


@pytest.mark.parametrize("format_name", ["html", "md", "csv", "json"])
def test_a_trace_without_tokens_has_a_report(tmp_path, format_name):
    calls = [call_row(1, 0, 10, input_tokens=None, output_tokens=None)]
    write_crafted(tmp_path / "t.parquet", calls)
    found = analysis(Trace.open(tmp_path / "t.parquet"), FleetChoice(), charts=True)
    assert "10 ms" in rendered(found, format_name) or "0.01" in rendered(found, format_name)


@pytest.mark.parametrize("format_name", ["html", "md"])
def test_content_stays_out_of_reports(tmp_path, format_name):
    secret = "the launch code is 0000"
    call = call_row(1, 0, 10, request_content=secret, response_content=secret)
    write_crafted(tmp_path / "t.parquet", [call])
    found = analysis(Trace.open(tmp_path / "t.parquet"), FleetChoice(), charts=True)
    assert "launch code" not in rendered(found, format_name)
