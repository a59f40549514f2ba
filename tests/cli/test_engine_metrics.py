"""`tracekit record --engine-metrics`, end to end beside an agent."""

import sys
import threading
import time

import pytest

from tests.cli.command_line import run
from tests.unit.engine.test_collector import Engine
from tracekit.schema import Kind
from tracekit.trace import Trace

CALLS = (
    "import sys, httpx; body = {'model': 'm', 'messages': []}; "
    "[httpx.post(url + '/v1/chat/completions', json=body) for url in sys.argv[1:]]"
)
PAUSE = "; import time; time.sleep(0.7)"


@pytest.fixture
def engine():
    engine = Engine()
    threading.Thread(target=engine.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield engine
    engine.shutdown()
    engine.server_close()


def recorded(folder, engine, *options):
    url = f"http://127.0.0.1:{engine.port}"
    words = ("record", "-o", "t.parquet", *options, "--", sys.executable, "-c", CALLS + PAUSE, url)
    _out, err = run(*words, cwd=folder)
    return Trace.open(folder / "t.parquet"), err


def test_the_server_that_the_agent_calls(engine, tmp_path):
    trace, err = recorded(tmp_path, engine)
    rows = trace.rows(Kind.ENGINE_SAMPLE).to_pylist()
    assert [row["running_requests"] for row in rows] == list(range(1, engine.asked + 1))
    assert len(rows) >= 2
    assert f"{len(rows)} engine samples" in err
    [call] = trace.rows(Kind.LLM_CALL).to_pylist()
    assert {row["endpoint"] for row in rows} == {f"{call['server_host']}:{call['server_port']}"}
    out, _err = run("analyze", "t.parquet", cwd=tmp_path)
    assert f"vllm 127.0.0.1:{engine.port}" in out


def test_off_asks_nobody(engine, tmp_path):
    trace, err = recorded(tmp_path, engine, "--engine-metrics", "off")
    assert (engine.asked, trace.count(Kind.ENGINE_SAMPLE)) == (0, 0)
    assert "engine" not in err


def test_a_page_by_its_url(engine, tmp_path):
    words = (
        "--engine-metrics",
        f"http://127.0.0.1:{engine.port}/other",
        "--",
        sys.executable,
        "-c",
        "pass" + PAUSE,
    )
    run("record", "-o", "t.parquet", *words, cwd=tmp_path)
    rows = Trace.open(tmp_path / "t.parquet").rows(Kind.ENGINE_SAMPLE).to_pylist()
    assert {row["endpoint"] for row in rows} == {f"127.0.0.1:{engine.port}/other"}


def test_a_server_whose_metrics_hang_does_not_hold_the_agents_exit(engine, tmp_path):
    """It would answer after 30 s; the recording ends long before."""
    engine.manner = "silent"
    began = time.monotonic()
    trace, err = recorded(tmp_path, engine)
    assert time.monotonic() - began < 20
    assert trace.count(Kind.ENGINE_SAMPLE) == 0
    assert f"metrics of the server 127.0.0.1:{engine.port} (no answer in time)" in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("auto", "off"), "choose auto, off, or pages"),
        (("http://me:secret@gpu:8000",), "metrics need no key"),
        (("ftp://gpu",), "http://HOST:PORT"),
    ],
)
def test_what_is_refused(tmp_path, words, says):
    options = [word for given in words for word in ("--engine-metrics", given)]
    _out, err = run("record", *options, "--", sys.executable, "-c", "pass", cwd=tmp_path, code=125)
    assert says in err
