"""The guides' commands, typed as they stand, do what the guides say; hosts become this one, a server a fake."""

from __future__ import annotations

import html
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from tests.cli.command_line import ROOT, environment, start
from tests.cli.guide_page import block, blocks
from tests.cli.test_power import fake_gpus, library  # noqa: F401  (fixtures)
from tests.cli.test_sample import wait_for_samples
from tests.unit.collectors import fake_server
from tracekit.analyzers.replay import compile_kernel
from tracekit.provenance import Host
from tracekit.reports.merged import host_line
from tracekit.schema import Kind
from tracekit.trace import Trace

GUIDES = ROOT / "docs" / "guides"
QUICK = "--replicates 20"
ASK = """\
import json, os, sys, urllib.request
url = os.environ.get("OPENAI_BASE_URL") or sys.argv[1]
body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()
for _ in range(2):
    request = urllib.request.Request(url + "/chat/completions", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request).read()
"""


class Shell:
    """A folder in which commands are typed; `tracekit` and `python` are this repository's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        programs = folder / ".programs"
        programs.mkdir()
        for name, words in (("tracekit", f"{sys.executable} -m tracekit"), ("python", sys.executable)):
            file = programs / name
            file.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
            file.chmod(0o755)
        self.path = f"{programs}{os.pathsep}{os.environ['PATH']}"

    def type(self, text: str, code: int = 0, **more: str) -> str:
        """What the lines print, on both streams, up to the first that fails, as in CI."""
        ended = subprocess.run(
            ["bash", "-e", "-c", text],
            cwd=self.folder, env=environment(PATH=self.path, **more), text=True, timeout=300, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert ended.returncode == code, ended.stdout
        assert "Traceback" not in ended.stdout, ended.stdout
        return ended.stdout

    def calls(self, name: str) -> list[dict]:
        return Trace.open(self.folder / name).rows(Kind.LLM_CALL).to_pylist()


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path)


def shown(page, typed):
    """The sentences that the page says these commands print: the block that follows them, if it is one of output."""
    pairs = pairwise(blocks(page))
    return [
        " ".join(part.split())
        for each, after in pairs
        if each.text == typed and after.language == "text"
        for part in after.text.strip().split("\n\n")
    ]


def test_a_killed_container_is_recovered(shell, server):
    page = GUIDES / "containers.md"
    (shell.folder / "traces").mkdir()
    (shell.folder / "agent.py").write_text(ASK + "print('asked', flush=True)\nimport time\ntime.sleep(60)\n")
    words = ("record", "-o", "traces/agent-7d9f.parquet", "--", sys.executable, "agent.py", server.base_url)
    with start(*words, cwd=shell.folder, start_new_session=True) as process:
        assert process.stdout.readline() == "asked\n"
        os.killpg(
            process.pid, signal.SIGKILL
        )  # what the end of a grace period, or of memory, does to a container
    typed = next(each.text for each in blocks(page) if each.text.startswith("tracekit recover"))
    out = shell.type(typed)
    assert "2 LLM calls" in out
    assert "recovered from the spool" in out
    assert len(shell.calls("traces/agent-7d9f.parquet")) == 2
    assert [file.name for file in (shell.folder / "traces").iterdir()] == ["agent-7d9f.parquet"]


def test_two_hosts_one_trace(shell, server, fake_gpus, monkeypatch):  # noqa: F811
    page = GUIDES / "gpu-host.md"
    fake_gpus()
    monkeypatch.setattr(fake_server._Handler, "do_GET", _metrics)
    (shell.folder / "my_agent.py").write_text(ASK + "import time\ntime.sleep(1)\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def here(text):
        text = text.replace("http://gpu-host:8000", f"http://127.0.0.1:{server.port}")
        text = text.replace("=gpu-host:0", f"={platform.node()}:0")
        return re.sub(r"(0\.0\.0\.0|gpu-host):9753", f"127.0.0.1:{port}", text)

    sample, record, merge = (here(block(page, "sh", number)) for number in range(3))
    sampling = start(*sample.splitlines()[-1].split()[1:], cwd=shell.folder)
    wait_for_samples(shell.folder / "gpu.parquet.spool")
    out = shell.type(record, OPENAI_BASE_URL=server.base_url)
    assert "2 LLM calls" in out
    assert "engine sample" in out
    sampling.send_signal(signal.SIGINT)
    sampling.communicate(timeout=30)
    out = shell.type(merge)
    assert "the same start of the same host" in out
    assert "measured (counter)" in out
    assert re.search(r"not serving .* 66\.\d %", out)  # GPU 1, which draws 200 W beside the 100 W of GPU 0


def test_what_merge_says_of_two_hosts():
    there = Host(
        "gpu-host", 0, clock_source="exchange", shift_ns=-31_418_220, clock_error_ns=412_000, drift_ppm=8.31
    )
    lines = block(GUIDES / "gpu-host.md", "text").splitlines()
    assert lines == [
        f"tracekit: {host_line(host)}" for host in (Host("agent-host", 0, clock_source="reference"), there)
    ]


def _metrics(handler):
    handler._send(200, b"vllm:num_requests_running 1\n", "text/plain")


def test_a_plan_becomes_a_fleet_and_is_held_against_what_came(shell):
    page = GUIDES / "launch.md"
    compile_kernel()
    (shell.folder / "plan.py").write_text(block(page, "python"))
    (shell.folder / "day.csv").write_text(block(page, "csv"))
    find, check, guesses, against = (block(page, "sh", number) for number in range(4))
    printed = flat(shell.type(find))
    assert all(words in printed for words in shown(page, find))
    assert "The fleet that was judged" in shell.type(check.replace(" -o ", f" --brief {QUICK} -o "))
    printed = flat(shell.type(guesses, code=1))  # its last budget is broken, as the page says
    assert all(words in printed for words in shown(page, guesses))
    week = block(page, "python").replace("plan.parquet", "first-week.parquet")
    (shell.folder / "week.py").write_text(week.replace("seed=1,", "seed=2, spacing_s=8,"))
    shell.type("python week.py")
    assert "Keep the fleet" in shell.type(f"{against.rstrip()} --brief {QUICK}")


def test_a_gate_lets_through_what_is_as_it_was_and_nothing_worse(shell):
    page = GUIDES / "ci.md"
    compile_kernel()
    (shell.folder / "traces").mkdir()
    shutil.copy(ROOT / "sample_traces" / "react.parquet", shell.folder / "traces" / "agent.parquet")
    shell.type(quick(block(page, "sh")))
    github, gitlab = (yaml.safe_load(block(page, "yaml", number)) for number in range(2))
    steps = without_installing([step["run"] for step in github["jobs"]["fleet"]["steps"] if "run" in step])
    summary = shell.folder / "summary.md"
    for step in steps:
        shell.type(quick(step), GITHUB_STEP_SUMMARY=str(summary))
    told = html.unescape(summary.read_text().replace("\\", ""))
    assert "kept: cost_usd>+5%" in told
    assert "1 x H100-SXM-80GB with Llama-3.1-8B holds 1 sessions/s" in told
    busier = "--rate 6/s --sessions 200 -o busier.json"
    shell.type(f"tracekit replay traces/agent.parquet --fleet fleet.toml {busier}")
    [diff] = [step.splitlines()[-1] for step in steps if "tracekit diff" in step]
    out = shell.type(diff.replace("new.json", "busier.json"), code=1, GITHUB_STEP_SUMMARY=str(summary))
    assert "the budget session_p95>+10% is broken" in out
    (shell.folder / "new.json").unlink()
    size, replay, diff = without_installing(gitlab["fleet"]["script"])
    assert size.startswith(steps[0].partition(" -o ")[0])
    shell.type(f"{replay}\n{diff}")
    assert (shell.folder / "diff.md").read_text().count("kept: ") == 2
    shell.type(diff.replace("baseline.json", "missing.json"), code=2)


def quick(text):
    """The same with a tenth of the replicates."""
    return text.replace("--brief", f"--brief {QUICK}")


def without_installing(steps):
    """What the environment of the tests has already."""
    return [step for step in steps if not step.startswith("pip install ")]


def flat(text):
    return " ".join(text.split())


@pytest.mark.parametrize("program", ["node", "sh"])
def test_a_program_that_is_not_python(shell, server, program):
    page = GUIDES / "node.md"
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    (shell.folder / "agent.mjs").write_text(block(page, "js"))
    (shell.folder / "agent.sh").write_text(block(page, "bash"))
    number, name, calls = {"node": (0, "run.parquet", 1), "sh": (1, "shell.parquet", 3)}[program]
    out = shell.type(block(page, "sh", number), OPENAI_BASE_URL=server.base_url)
    rows = shell.calls(name)
    assert {(row["model"], row["status"], row["clock_point"]) for row in rows} == {
        ("llama-3.1-8b", "ok", "proxy_arrival")
    }
    assert len(rows) == calls
    assert f"process of {program} (its LLM calls by proxy only)" in out
