"""The collector's process beside a spool that grows: records, notes, and how soon it ends."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.unit.engine import pages
from tracekit.assembly.merge import assemble
from tracekit.collectors.inside.clock import Clock
from tracekit.collectors.inside.spool import Writer
from tracekit.reports.recording import not_seen_lines
from tracekit.schema import Kind
from tracekit.spool import read_spool

ROOT = Path(__file__).parents[3]
PATIENCE_S = 20.0


class Engine(ThreadingHTTPServer):
    """A server whose page counts how often it was asked; a word in its name says how it misbehaves."""

    daemon_threads = True

    def __init__(self, manner=""):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.manner = manner
        self.asked = 0
        self.over = threading.Event()

    @property
    def port(self):
        return self.server_address[1]

    def handle_error(self, request, client_address):
        """Nothing: collectors that have enough hang up."""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked += 1
        if self.server.manner == "late" and self.server.asked > 1:
            self.server.over.wait(30)
        if self.server.manner == "silent":
            self.server.over.wait(30)
        body = (
            "nothing" if self.server.manner == "odd" else f"vllm:num_requests_running {self.server.asked}\n"
        )
        self.send_response(401 if self.server.manner == "locked" else 200)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *arguments):
        """Nothing."""


@pytest.fixture
def engines():
    started = []

    def start(manner=""):
        engine = Engine(manner)
        threading.Thread(target=engine.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        started.append(engine)
        return engine

    yield start
    for engine in started:
        engine.over.set()
        engine.shutdown()
        engine.server_close()


@pytest.fixture
def collector(tmp_path):
    """Starts the process on `tmp_path`; `end` stops it and gives the spool and the seconds that took."""
    processes = []

    def start(*words):
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "tracekit.collectors.engine_metrics", "--spool", str(tmp_path)]
        process = subprocess.Popen([*command, "--interval", "0.05", *words], env=environment)
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()


def calls(directory, *servers):
    """The start of a call to each server, as a recorder writes it."""
    writer = Writer(str(directory), Clock(), is_agent=False)
    for number, (host, port) in enumerate(servers):
        fields = {
            "id": f"a{number}",
            "pid": 1,
            "scheme": "http",
            "host": host,
            "port": port,
            "path": "/v1/chat/completions",
        }
        writer.write("attempt_start", writer.clock.now_ns(), {**fields, "request": {"api": "chat"}})


def records(directory, kind):
    return [record for record in read_spool(directory).records if record["t"] == kind]


def awaited(directory, kind, count):
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            found = records(directory, kind)
        except OSError:
            found = []
        if len(found) >= count:
            return found
        time.sleep(0.02)
    raise AssertionError(f"no {count} {kind} records")


def hears_sigterm(process):
    """Whether it has come so far that it catches the signal, or is gone."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return True
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def ended(process):
    while not hears_sigterm(process):
        time.sleep(0.01)
    process.terminate()
    return process.wait(timeout=PATIENCE_S)


def test_servers_that_the_agent_calls_are_sampled(engines, collector, tmp_path):
    first, second = engines(), engines()
    process = collector()
    calls(tmp_path, ("127.0.0.1", first.port))
    awaited(tmp_path, "engine", 2)
    calls(tmp_path, ("localhost", second.port), ("127.0.0.1", first.port))
    names = {f"127.0.0.1:{first.port}", f"localhost:{second.port}"}
    end = time.monotonic() + PATIENCE_S
    while {record["endpoint"] for record in records(tmp_path, "engine")} != names:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert ended(process) == 0
    found = records(tmp_path, "engine")
    assert {record["engine"] for record in found} == {"vllm"}
    running = [
        record["running_requests"] for record in found if record["endpoint"] == f"127.0.0.1:{first.port}"
    ]
    assert running == list(range(1, first.asked + 1))
    assert records(tmp_path, "note") == []


def test_a_call_just_before_the_end_is_still_sampled(engines, collector, tmp_path):
    engine = engines()
    calls(tmp_path, ("127.0.0.1", engine.port))
    process = collector("--interval", "5")
    awaited(tmp_path, "engine", 1)
    assert ended(process) == 0
    assert len(records(tmp_path, "engine")) == engine.asked == 2


def test_a_given_page_is_sampled_and_calls_are_not_followed(engines, collector, tmp_path):
    given, called = engines(), engines()
    calls(tmp_path, ("127.0.0.1", called.port))
    process = collector(f"http://127.0.0.1:{given.port}/metrics")
    awaited(tmp_path, "engine", 3)
    assert ended(process) == 0
    assert called.asked == 0


@pytest.mark.parametrize(
    ("manner", "why"),
    [("locked", "HTTP 401"), ("odd", "no metrics of a known engine"), (None, "ConnectionRefusedError")],
)
def test_what_is_not_there_is_one_note(engines, collector, tmp_path, manner, why):
    engine = engines(manner or "")
    if manner is None:
        engine.shutdown()
        engine.server_close()
    calls(tmp_path, ("127.0.0.1", engine.port))
    process = collector()
    awaited(tmp_path, "note", 1)
    assert ended(process) == 0
    [note] = records(tmp_path, "note")
    assert note["detail"] == f"127.0.0.1:{engine.port}: {why}"
    assert records(tmp_path, "engine") == []
    not_seen = assemble(read_spool(tmp_path), software_version="0").provenance.not_seen
    assert f"metrics of the server 127.0.0.1:{engine.port} ({why})" in list(not_seen_lines(not_seen))


def test_public_servers_are_not_asked_and_not_noted(engines, collector, tmp_path):
    engine = engines()
    calls(tmp_path, ("8.8.8.8", 9), ("169.254.169.254", 80), ("127.0.0.1", engine.port))
    process = collector()
    awaited(tmp_path, "engine", 2)
    assert ended(process) == 0
    assert {record["t"] for record in read_spool(tmp_path).records} == {"attempt_start", "engine"}
    assert {record["endpoint"] for record in records(tmp_path, "engine")} == {f"127.0.0.1:{engine.port}"}


def test_a_server_that_does_not_answer_is_left_behind(engines, collector, tmp_path):
    """Its answer would take 30 s; the process that waits for it ends without it."""
    silent, late = engines("silent"), engines("late")
    calls(tmp_path, ("127.0.0.1", silent.port), ("127.0.0.1", late.port))
    process = collector()
    awaited(tmp_path, "engine", 1)
    while late.asked < 2 or not silent.asked:
        time.sleep(0.01)
    process.terminate()
    assert process.wait(timeout=10) == 0
    [note] = records(tmp_path, "note")
    assert note["detail"] == f"127.0.0.1:{silent.port}: no answer in time"


def test_a_server_that_comes_late_leaves_no_complaint(engines, collector, tmp_path):
    engine = engines("locked")
    calls(tmp_path, ("127.0.0.1", engine.port))
    process = collector()
    awaited(tmp_path, "note", 1)
    engine.manner = ""
    awaited(tmp_path, "engine", 1)
    assert ended(process) == 0
    merged = assemble(read_spool(tmp_path), software_version="0")
    assert merged.provenance.not_seen.engine_metrics == []
    rows = merged.tables[Kind.ENGINE_SAMPLE].to_pylist()
    assert {row["endpoint"] for row in rows} == {f"127.0.0.1:{engine.port}"}
    assert rows[0]["running_requests"] >= 2


def test_it_ends_with_who_started_it(tmp_path):
    words = [sys.executable, "-m", "tracekit.collectors.engine_metrics", "--spool", str(tmp_path)]
    program = f"import subprocess, time; p = subprocess.Popen({words!r}); print(p.pid); time.sleep(0.5)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    told = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    pid, end = int(told.stdout), time.monotonic() + PATIENCE_S
    while _is_running(pid):
        assert time.monotonic() < end
        time.sleep(0.05)


def _is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def test_odd_records_name_no_server(tmp_path):
    from tracekit.collectors.engine.called import CalledServers

    odd = [
        {"scheme": "http", "host": None, "port": 1}, {"scheme": "http+unix", "host": "a", "port": None},
        {"scheme": "http", "host": "", "port": 1}, {"scheme": 1, "host": "a", "port": 1}, {"host": "a"},
    ]  # fmt: skip
    lines = [json.dumps({"t": "attempt_start", "ns": 1} | record, separators=(",", ":")) for record in odd]
    good = json.dumps(
        {"t": "attempt_start", "ns": 1, "scheme": "https", "host": "b", "port": None}, separators=(",", ":")
    )
    file = tmp_path / "1-1.jsonl"
    file.write_text("\n".join([*lines, '{"t":"attempt_start"', good, good]) + '\n{"t":"attempt_start","cut')
    called = CalledServers(tmp_path)
    assert [endpoint.name for endpoint in called.new()] == ["b:443"]
    assert called.new() == []


def test_every_key_of_a_state_reaches_the_trace(tmp_path):
    from tracekit.collectors.engine.state import engine_states

    writer = Writer(str(tmp_path), Clock(), is_agent=False)
    [state] = engine_states(pages.VLLM_V1)
    writer.write("engine", 5, {"host": "h", "endpoint": "gpu:8000", **state})
    [row] = assemble(read_spool(tmp_path), software_version="0").tables[Kind.ENGINE_SAMPLE].to_pylist()
    assert {name: row[name] for name in state} == state
    assert (row["start_ns"], row["host"], row["endpoint"]) == (5, "h", "gpu:8000")
