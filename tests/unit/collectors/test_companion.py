"""A process beside the agent: it ends when told, when it will not, and with who started it."""

import os
import signal
import sys
import time

import pytest

from tracekit.collectors.companion import KILL_SECONDS, TERM_SECONDS, Companion, Kind
from tracekit.collectors.inside.clock import Clock
from tracekit.collectors.inside.spool import Writer
from tracekit.spool import read_spool

BEGIN = "import pathlib, os, signal, sys, time\nfolder = pathlib.Path(sys.argv[2])\n"
READY = "(folder / f'{os.getpid()}-1.jsonl').touch()\n"
LISTENS = "signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})\n"


@pytest.fixture
def companion(tmp_path, monkeypatch):
    """One of a module with that text; what is noted; and the folder that is its spool."""
    spool = tmp_path / "spool"
    spool.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def make(program, *, writes_at_once=True):
        (tmp_path / "crafted_companion.py").write_text(BEGIN + program)
        kind = Kind("the crafted", "crafted_companion", "crafted_missing", writes_at_once)
        notes = Writer(str(spool), Clock(), is_agent=False)
        return Companion(kind, spool, f"{time.time_ns()}:{time.monotonic_ns()}", notes)

    return make


def notes_in(folder):
    (folder / "run.json").write_text("{}")
    return [record["detail"] for record in read_spool(folder).records if record["t"] == "note"]


def wait_for(condition):
    end_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def test_an_end_that_comes_before_it_listens_finds_it(companion, tmp_path):
    """The signal waits, and no default of it kills a process that is still importing."""
    told = companion(
        "signal.signal(signal.SIGTERM, lambda *_: (folder / 'heard').touch())\n"
        + READY + "time.sleep(0.2)\n" + LISTENS + "sys.exit()"
    )  # fmt: skip
    told.start(set())
    wait_for(lambda: list((tmp_path / "spool").glob("*-1.jsonl")))
    told.stop()
    assert told.is_over()
    assert (tmp_path / "spool" / "heard").exists()
    assert notes_in(tmp_path / "spool") == []


def test_one_that_will_not_end_is_killed_within_a_second(companion, tmp_path):
    told = companion(READY + "time.sleep(600)")
    told.start(set())
    wait_for(lambda: list((tmp_path / "spool").glob("*-1.jsonl")))
    begun_s = time.monotonic()
    told.hurry()
    told.stop()
    assert time.monotonic() - begun_s >= TERM_SECONDS
    wait_for(told.is_over)
    assert TERM_SECONDS + KILL_SECONDS < 1


@pytest.mark.parametrize("writes_at_once", [True, False])
def test_one_that_was_not_ready_is_noted_where_it_would_have_written(companion, tmp_path, writes_at_once):
    told = companion("time.sleep(600)", writes_at_once=writes_at_once)
    told.start(set())
    told.stop()
    said = notes_in(tmp_path / "spool")
    assert said == (["the crafted was not ready before the command ended"] if writes_at_once else [])


def test_one_that_cannot_be_started_is_noted(companion, tmp_path, monkeypatch):
    told = companion(READY)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    told.start(set())
    told.stop()
    assert told.is_over()
    assert notes_in(tmp_path / "spool") == ["the crafted cannot be started: FileNotFoundError"]


@pytest.mark.parametrize("module", ["power_sampler", "engine_metrics"])
def test_one_whose_supervisor_is_gone_already_ends(tmp_path, module):
    """Its parent is then another from the start, so it is told which process to end with."""
    words = [sys.executable, "-m", f"tracekit.collectors.{module}", "--spool", str(tmp_path), "--parent", "1"]
    pid = os.posix_spawn(sys.executable, words, dict(os.environ))
    try:
        wait_for(lambda: os.waitpid(pid, os.WNOHANG)[0] == pid)
    except AssertionError:
        os.kill(pid, signal.SIGKILL)
        raise
