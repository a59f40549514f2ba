"""SIGKILL of the agent, and of the supervisor: what was finished is in the trace, the rest is interrupted."""

import os
import signal
import sys

import pytest

from benchmarks.recorder.kills import BY, toll_of
from tests.cli.command_line import run, start
from tracekit.schema import Kind
from tracekit.trace import Trace


def until_streaming(process):
    """Reads the agent's lines up to the stall; its process id."""
    for line in process.stdout:
        if line.startswith("streaming"):
            return int(line.split()[1])
    raise AssertionError(process.stderr.read())


def statuses(path):
    rows = Trace.open(path).rows(Kind.LLM_CALL, ["start_ns", "status", "model", "end_ns"]).to_pylist()
    return [(row["model"], row["status"]) for row in sorted(rows, key=lambda row: row["start_ns"])]


EXPECTED = [("one", "ok"), ("two", "ok"), ("three", "ok"), ("stall", "interrupted")]


def test_the_agent_is_killed(tmp_path, server, agent):
    words = (
        "record",
        "-o",
        "t.parquet",
        "--",
        sys.executable,
        agent,
        server.base_url,
        "one",
        "two",
        "three",
        "stall",
    )
    with start(*words, cwd=tmp_path) as process:
        os.kill(until_streaming(process), signal.SIGKILL)
        _out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGKILL
    assert statuses(tmp_path / "t.parquet") == EXPECTED
    assert "the end of 1 call (interrupted)" in err
    assert not (tmp_path / "t.parquet.spool").exists()


def test_the_supervisor_is_killed(tmp_path, server, agent):
    words = (
        "record",
        "-o",
        "t.parquet",
        "--",
        sys.executable,
        agent,
        server.base_url,
        "one",
        "two",
        "three",
        "stall",
    )
    with start(*words, cwd=tmp_path) as process:
        pid = until_streaming(process)
        process.kill()
        process.wait(timeout=60)
        os.kill(pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    _out, err = run("analyze", "t.parquet", cwd=tmp_path, code=2)
    assert "tracekit recover" in err
    run("recover", "t.parquet.spool", cwd=tmp_path)
    assert statuses(tmp_path / "t.parquet") == EXPECTED
    assert Trace.open(tmp_path / "t.parquet").provenance.recovered


def test_a_signal_is_passed_on(tmp_path, server, agent):
    words = ("record", "-o", "t.parquet", "--", sys.executable, agent, server.base_url, "one", "stall")
    with start(*words, cwd=tmp_path) as process:
        until_streaming(process)
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert statuses(tmp_path / "t.parquet") == [("one", "ok"), ("stall", "interrupted")]


def test_an_agent_that_outlives_the_supervisor_is_recovered_whole(tmp_path, server, agent):
    server.chunk_s = 0.1
    words = (
        "record",
        "-o",
        "t.parquet",
        "--",
        sys.executable,
        agent,
        server.base_url,
        "one",
        "stream",
        "two",
    )
    with start(*words, cwd=tmp_path) as process:
        until_streaming(process)
        process.kill()
        process.wait(timeout=60)
        process.stdout.read()  # the agent holds its other end until it is done
    run("recover", "t.parquet.spool", "-o", "other.parquet", cwd=tmp_path)
    assert statuses(tmp_path / "other.parquet") == [("one", "ok"), ("stream", "ok"), ("two", "ok")]


@pytest.mark.parametrize("seer", BY)
def test_what_was_marked_as_finished_survives_kills_at_random_instants(seer):
    toll = toll_of(4, seed=20261122, words=BY[seer])
    assert toll.finished > 4
    assert (toll.kills, toll.lost, toll.torn) == (4, [], 0)
