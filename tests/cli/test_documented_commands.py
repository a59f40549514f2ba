"""Commands on the sample traces that pages show do what the pages say."""

import re
import shlex
from pathlib import Path

import pytest

from tests.cli.command_line import ROOT, run
from tests.cli.guide_page import accept, in_shell
from tracekit.analyzers.replay import compile_kernel

PAGE = (ROOT / "docs" / "compare.md").read_text()
README = (ROOT / "README.md").read_text()
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text()


@pytest.fixture
def folder(tmp_path):
    compile_kernel()
    (tmp_path / "sample_traces").symlink_to(ROOT / "sample_traces")
    return tmp_path


def test_five_agents_on_three_fleets(folder):
    (line,) = re.findall(r"^    tracekit (compare sample_traces/.*)$", PAGE, re.MULTILINE)
    (shown,) = re.findall(r"```\n(Replayed on .*?)\n```", PAGE, re.DOTALL)
    out, _err = run(*line.split(), cwd=folder)
    printed = [text.rstrip() for text in out.splitlines()]
    start = printed.index(shown.splitlines()[0])
    wanted = [text.rstrip() for text in shown.splitlines()]
    assert printed[start : start + len(wanted)] == wanted
    assert sum(text.startswith("Replayed on ") for text in printed) == 3
    assert sum(text.startswith("At 71,400,000 queries a day ") for text in printed) == 3
    assert (folder / Path(line.split()[-1]).name).read_text().startswith("<!doctype html>")


def test_the_tutorial_leads_to_a_fleet_that_holds(folder):
    lines = re.findall(r"^    tracekit (\w+ sample_traces/.*|diff .*)$", TUTORIAL, re.MULTILINE)
    printed = [" ".join(run(*shlex.split(line), cwd=folder)[0].split()) for line in lines]
    assert [line.split()[0] for line in lines] == [
        "info", "analyze", "replay", "replay", "diff", "sweep", "size", "size", "size",
    ]  # fmt: skip
    _info, analyzed, before, after, changed, swept, sized, checked, later = printed
    assert "77.2 % in LLM calls, 17.6 % in tools" in analyzed
    assert analyzed.count("assumed: ") == 2
    assert "session p50 / p95 12.3 s / 16.9 s" in before
    assert "GPU idle 0.0 %" in before
    assert "tools 14.6 % / 14.6 %" in before
    assert "session p50 / p95 11.6 s" in after
    assert "session_p50 12.3 s 11.6 s" in changed
    assert "4 scenarios replayed, 3 on the front" in swept
    assert "replicas=1, tools.speculative=0.6 $0.000598 16.7 s" in swept
    assert "replicas=2, tools.speculative=0.6 $0.00119 15.4 s" in swept
    assert sized.startswith("1 x H100-SXM-80GB with Llama-3.1-8B holds 2 sessions/s")
    assert "200 of 200 replicates meet them; $2,154 a month" in sized
    assert re.findall(r"L40S with Llama-3.1-8B, [a-z-]+ (\d+)", sized) == ["7", "8", "9"]
    assert "200 of 200 replicates" in checked
    assert "Keep the fleet. What was recorded lies outside" in later
    assert "session_p95 recorded as 33.2 s" in later
    assert "calls a session 3.75 8.25" in later
    assert (folder / "report.html").read_text().startswith("<!doctype html>")


def test_what_the_readme_shows_is_taken():
    shown = [line for line in README.splitlines() if line.startswith("tracekit ")]
    shown += [span for span in re.findall(r"^\| `(tracekit [^`]*)`", README, re.MULTILINE) if " -" in span]
    assert len(shown) > 8
    for line in shown:
        for words in in_shell(line, []):
            accept(words)
