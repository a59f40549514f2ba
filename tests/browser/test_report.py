"""The report in a real browser: it asks for nothing, complains of nothing, reads without a mouse and on a phone."""

import shutil
from pathlib import Path

import pytest

from tests.unit.reports import hostile
from tests.unit.reports.documents import crafted_comparison, crafted_document
from tracekit.reports.rendering import rendered

pytestmark = pytest.mark.browser
SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
KINDS = ("report", "comparison")
NAMES = ("triage", "fix the test", "answer mail", "plan a trip", "book a room", "pay", *hostile.NAMES)


@pytest.fixture(scope="module")
def chromium():
    sync_api = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no Chromium")
    with sync_api.sync_playwright() as playwright:
        # as root in a container it has no sandbox; the page is our own
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    made = {
        "report": crafted_document(folder / "crafted.parquet", names=NAMES),
        "comparison": crafted_comparison(folder, names=("chat", "agent", *hostile.NAMES[:4])),
    }
    for name, document in made.items():
        (folder / f"{name}.html").write_text(rendered(document, "html"), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in made}


class Visit:
    """A page and what it said and asked for."""

    def __init__(self, browser, report: Path, size="desktop", scheme="light", **more):
        self.said, self.asked = [], []
        self.page = browser.new_page(viewport=SIZES[size], color_scheme=scheme, **more)
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(report.as_uri())


@pytest.fixture
def visit(chromium, reports):
    visits = []

    def visited(kind="report", **more):
        visits.append(Visit(chromium, reports[kind], **more))
        return visits[-1]

    yield visited
    for one in visits:
        one.page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_said_or_asked_for_and_nothing_is_wider_than_the_screen(
    visit, reports, kind, size, scheme
):
    found = visit(kind, size=size, scheme=scheme)
    assert found.said == []
    assert found.asked == [reports[kind].as_uri()]
    assert found.page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"]
    assert found.page.title().startswith("tracekit: ")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_axe_finds_no_serious_violation(visit, kind, size, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = visit(kind, size=size, scheme=scheme).page
    page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
    violations = axe.Axe().run(page).response["violations"]
    assert [
        (found["id"], found["nodes"][0]["html"][:200])
        for found in violations
        if found["impact"] in ("serious", "critical")
    ] == []


def test_colours_follow_the_scheme(visit):
    background = "getComputedStyle(document.body).backgroundColor"
    bar = "getComputedStyle(document.querySelector('#sessions ~ figure [data-tip] path')).fill"
    light, dark = visit(scheme="light").page, visit(scheme="dark").page
    assert light.evaluate(background) != dark.evaluate(background)
    assert light.evaluate(bar) != dark.evaluate(bar)


def test_pointing_at_a_mark_says_what_it_is(visit):
    page = visit().page
    mark = page.locator("[data-tip^='triage: call of']").first
    mark.hover()
    assert page.locator("#tip").inner_text().startswith("triage: call of triage, 500 ms")
    page.keyboard.press("Escape")
    assert page.locator("#tip").is_hidden()


def test_small_charts_stand_side_by_side_on_a_desk_and_below_each_other_on_a_phone(visit):
    tops = "[...document.querySelectorAll('#summary ~ figure')].slice(0, 3).map(one => one.getBoundingClientRect().top)"
    desk, phone = visit("comparison").page, visit("comparison", size="phone").page
    assert len(set(desk.evaluate(tops))) == 1
    assert len(set(phone.evaluate(tops))) == 3
    mark = desk.locator("#summary ~ figure [data-tip^='agent on']").first
    mark.hover()
    assert (
        desk.locator("#tip").inner_text().startswith("agent on 1 x A100-SXM-40GB: session time (chat = 1) ")
    )


def test_tables_sort_by_value_and_filter_by_words(visit):
    page = visit().page
    table = page.locator("table", has=page.locator("caption", has_text="(recorded)")).first
    times = "table => [...table.tBodies[0].rows].map(row => Number(row.cells[1].dataset.value))"
    table.locator("thead button", has_text="time").click()
    falling = table.evaluate(times)
    table.locator("thead button", has_text="time").click()
    assert table.evaluate(times) == falling[::-1] == sorted(falling)
    assert table.locator("th[aria-sort=ascending]").count() == 1
    page.get_by_label("Filter: All sessions").fill("TRIP")
    assert table.locator("tbody tr:visible").count() == 1


def test_it_reads_without_its_script(visit):
    page = visit(java_script_enabled=False).page
    assert page.locator("h2").count() == 10
    assert page.locator("svg").count() >= 7
    page.locator("summary").first.click()
    assert page.locator("details[open] table").first.is_visible()


def test_print_is_light_and_opens_what_is_folded(visit):
    page = visit(scheme="dark").page
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    assert (
        page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--paper')").strip()
        == "#fefefe"
    )
    assert page.locator("nav").is_hidden()
