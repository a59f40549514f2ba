"""Recordings through the proxy: programs that hooks cannot reach, and every way in which a run can end."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command_line import environment
from tests.unit.collectors.fake_server import FakeServer
from tracekit.commands.record import _is_by_proxy
from tracekit.errors import ProxyMissing
from tracekit.schema import Kind
from tracekit.trace import Trace

URLLIB = """\
import json, sys, urllib.request
def ask(base, model, **more):
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}], **more}).encode()
    request = urllib.request.Request(base + "/chat/completions", body, {"Content-Type": "application/json"})
    return urllib.request.urlopen(request)
"""
CURL = "curl -sS -N $OPENAI_BASE_URL/chat/completions -H 'Content-Type: application/json' -d"


def body(model: str, **more: Any) -> str:
    return shlex.quote(json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}], **more}))


class Recorder:
    """`tracekit record` in a folder, against a server."""

    def __init__(self, folder: Path, server: FakeServer) -> None:
        self.folder = folder
        self.environment = environment(OPENAI_BASE_URL=server.base_url)
        self.trace = folder / "t.parquet"

    def start(self, *command: str, options: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "tracekit", "record", "-o", str(self.trace), *options, "--", *command]
        return subprocess.Popen(
            words, cwd=self.folder, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def run(self, *command: str, options: tuple[str, ...] = (), code: int = 0) -> tuple[str, str]:
        with self.start(*command, options=options) as process:
            out, err = process.communicate(timeout=60)
        assert process.returncode == code, err
        return out, err

    def program(self, text: str, name: str = "agent.py") -> str:
        file = self.folder / name
        file.write_text(textwrap.dedent(text))
        return str(file)

    def calls(self, *columns: str) -> list[tuple[Any, ...]]:
        rows = Trace.open(self.trace).rows(Kind.LLM_CALL, ["start_ns", *columns]).to_pylist()
        return [tuple(row[name] for name in columns) for row in sorted(rows, key=lambda row: row["start_ns"])]


@pytest.fixture
def recorder(tmp_path: Path, server: FakeServer) -> Recorder:
    return Recorder(tmp_path, server)


@pytest.fixture
def stalling(recorder: Recorder) -> list[str]:
    """A program that hooks cannot reach, which says when its stream has begun and then waits for the rest."""
    text = URLLIB + (
        "import os\nbase = os.environ['OPENAI_BASE_URL']\nask(base, 'one').read()\n"
        "answer = ask(base, 'stall', stream=True)\nwhile b'Hello' not in answer.readline(): pass\n"
        "print(os.getpid(), flush=True)\nanswer.read()\n"
    )
    return [sys.executable, "-S", recorder.program(text)]


def test_a_shell_and_what_it_runs(recorder: Recorder, server: FakeServer) -> None:
    agent = recorder.program(URLLIB + "ask(sys.argv[1], sys.argv[2]).read()\n")
    python = shlex.quote(sys.executable)
    script = recorder.program(
        f"""
        echo $OPENAI_BASE_URL
        {CURL} {body("curl-long", stream=True)} | grep -c Hello
        {python} -S {agent} $OPENAI_BASE_URL no-site
        {python} -I {agent} $OPENAI_BASE_URL isolated
        env -i {python} {agent} $OPENAI_BASE_URL cleaned
        exit 7
        """,
        "agent.sh",
    )
    out, err = recorder.run("bash", script, code=7)
    address, count = out.split()
    assert address.startswith("http://127.0.0.1:")
    assert address.endswith("/v1")
    assert count == "100"
    assert recorder.calls("model", "status", "server_port", "url_path", "clock_point") == [
        (model, "ok", server.port, "/v1/chat/completions", "proxy_arrival")
        for model in ("curl-long", "no-site", "isolated", "cleaned")
    ]
    [first_token, _, _, _] = recorder.calls("first_token_ns")
    assert (
        first_token[0] >= server.seen[0].first_content_ns - 1_000_000
    )  # the wall clock may be adjusted meanwhile
    assert "not seen" in err
    assert "process of bash (its LLM calls by proxy only)" in err
    assert address.encode() not in recorder.trace.read_bytes()


def test_hooks_and_proxy_count_a_call_once(recorder: Recorder, server: FakeServer) -> None:
    """The base URL goes on to a child by its arguments; the hooked parent's own calls are seen by both."""
    text = """
        import os, subprocess, sys, httpx, tracekit
        base = os.environ["OPENAI_BASE_URL"]
        def ask(model, **more):
            body = {"model": model, "messages": [{"role": "user", "content": model}], **more}
            return httpx.post(base + "/chat/completions", json=body)
        with tracekit.session("task"):
            ask("plain")
            ask("stream", stream=True)
            ask("fail")
        child = [sys.executable, "-I", sys.argv[1], base, "child"]
        subprocess.run(child, env={"PATH": os.environ["PATH"]}, check=True)
        subprocess.run(["curl", "-sS", base + "/models"], check=True, stdout=subprocess.DEVNULL)
    """
    child = recorder.program(URLLIB + "ask(sys.argv[1], sys.argv[2]).read()\n", "child.py")
    _, err = recorder.run(sys.executable, recorder.program(text), child, options=("--proxy", "always"))
    found = recorder.calls("model", "status", "server_port", "clock_point")
    assert found == [
        (model, status, server.port, "proxy_arrival")
        for model, status in (("plain", "ok"), ("stream", "ok"), ("fail", "error"), ("child", "ok"))
    ]
    threads = [thread for (thread,) in recorder.calls("thread_id")]
    assert None not in threads[:3]
    assert threads[3] is None
    assert len({session for (session,) in recorder.calls("session_id")[:3]}) == 1
    assert Trace.open(recorder.trace).count(Kind.HTTP_ATTEMPT) == 4
    not_seen = Trace.open(recorder.trace).provenance.not_seen
    assert (sum(not_seen.processes_by_proxy.values()), not_seen.processes_not_followed) == (2, {})
    assert "by proxy only" in err


def test_a_python_program_gets_no_proxy_by_itself(recorder: Recorder, server: FakeServer) -> None:
    out, err = recorder.run(sys.executable, "-c", "import os; print(os.environ['OPENAI_BASE_URL'])")
    assert out.strip() == server.base_url
    assert "proxy" not in err.replace("--proxy", "")


def test_variables_that_nobody_set_are_hidden_from_hooked_processes(recorder: Recorder) -> None:
    del recorder.environment["OPENAI_BASE_URL"]
    recorder.environment["OPENAI_API_KEY"] = "sk-nobody"
    text = """
        import os, subprocess, sys
        show = "import os; print(sorted(name for name in os.environ if name.startswith('OPENAI_')))"
        exec(show)
        for flags in ([], ["-S"]):
            subprocess.run([sys.executable, *flags, "-c", show], check=True)
            subprocess.run([sys.executable, *flags, "-c", show], check=True, env={**os.environ, "A": "b"})
        os.system(sys.executable + ' -I -c "' + show + '"')
    """
    out, _ = recorder.run(sys.executable, recorder.program(text), options=("--proxy", "always"))
    plain, more = "['OPENAI_API_KEY']", "['OPENAI_API_BASE', 'OPENAI_API_KEY', 'OPENAI_BASE_URL']"
    assert out.splitlines() == [plain, plain, plain, more, more, more]


def test_the_agent_is_killed_in_a_stream(recorder: Recorder, stalling: list[str]) -> None:
    with recorder.start(*stalling) as process:
        os.kill(int(process.stdout.readline()), signal.SIGKILL)  # type: ignore[union-attr]
        process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGKILL
    assert recorder.calls("model", "status") == [("one", "ok"), ("stall", "cancelled")]
    assert recorder.calls("first_token_ns")[1][0] is not None


def test_the_supervisor_is_asked_to_end(recorder: Recorder, stalling: list[str]) -> None:
    with recorder.start(*stalling) as process:
        process.stdout.readline()  # type: ignore[union-attr]
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert recorder.calls("model", "status") == [("one", "ok"), ("stall", "cancelled")]


def test_an_agent_leaves_with_connections_open(recorder: Recorder, stalling: list[str]) -> None:
    text = (
        Path(stalling[-1]).read_text().replace("print(os.getpid(), flush=True)\nanswer.read()", "os._exit(3)")
    )
    recorder.run(*stalling[:2], recorder.program(text), code=3)
    assert recorder.calls("model", "status") == [("one", "ok"), ("stall", "cancelled")]


def until(path: Path) -> None:
    end = time.monotonic() + 30
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.01)
    assert path.exists()


@pytest.fixture
def waiting(recorder: Recorder) -> list[str]:
    """A program that calls, waits for a file named `go`, calls again and says so in a file `done`."""
    text = URLLIB + textwrap.dedent(
        """
        import os, pathlib, time
        base = os.environ["OPENAI_BASE_URL"]
        ask(base, "before").read()
        pathlib.Path("ready").touch()
        while not pathlib.Path("go").exists():
            time.sleep(0.01)
        ask(base, "after").read()
        pathlib.Path("done").touch()
        """
    )
    return [sys.executable, "-S", recorder.program(text)]


def proxy_of(supervisor: int) -> int:
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    [proxy] = [
        int(child) for child in children if b"proxy.process" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]
    return proxy


def ended(pid: int) -> bool:
    end = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
        time.sleep(0.01)
    return not Path(f"/proc/{pid}").exists()


needs_proc = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")


@needs_proc
def test_an_agent_that_outlives_the_supervisor_keeps_its_server(
    recorder: Recorder, waiting: list[str]
) -> None:
    with recorder.start(*waiting) as process:
        until(recorder.folder / "ready")
        proxy = proxy_of(process.pid)
        process.kill()
        process.wait(timeout=60)
        (recorder.folder / "go").touch()
        until(recorder.folder / "done")
    assert ended(proxy)
    spool = str(recorder.trace) + ".spool"
    subprocess.run(
        [sys.executable, "-m", "tracekit", "recover", spool],
        cwd=recorder.folder,
        env=recorder.environment,
        check=True,
    )
    assert recorder.calls("model", "status") == [("before", "ok"), ("after", "ok")]


@needs_proc
def test_what_an_agent_leaves_behind_keeps_its_server(recorder: Recorder, waiting: list[str]) -> None:
    script = recorder.program(
        f"{shlex.join(waiting)} & while [ ! -e ready ]; do sleep 0.05; done", "agent.sh"
    )
    with recorder.start("bash", script) as process:
        until(recorder.folder / "ready")
        proxy = proxy_of(process.pid)
        process.wait(timeout=60)
        assert not (recorder.folder / "done").exists()
        assert Path(f"/proc/{proxy}").exists()
        (recorder.folder / "go").touch()
        until(recorder.folder / "done")
    assert ended(proxy)
    assert recorder.calls("model", "status") == [("before", "ok")]


@needs_proc
def test_a_proxy_that_dies_is_started_anew(recorder: Recorder, waiting: list[str]) -> None:
    with recorder.start(*waiting) as process:
        until(recorder.folder / "ready")
        os.kill(proxy_of(process.pid), signal.SIGKILL)
        (recorder.folder / "go").touch()
        until(recorder.folder / "done")
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert recorder.calls("model", "status") == [("before", "ok"), ("after", "ok")]
    assert "1 attempt where the recorder failed (proxy: died)" in err


@pytest.fixture
def nowhere() -> Iterator[str]:
    """The address of a forward proxy that refuses to be asked."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_the_users_own_proxy_is_passed_by(recorder: Recorder, nowhere: str) -> None:
    recorder.environment |= {"http_proxy": nowhere, "HTTP_PROXY": nowhere, "no_proxy": "127.0.0.1"}
    out, _ = recorder.run("bash", "-c", f"{CURL} {body('one')} -o /dev/null; echo $no_proxy $NO_PROXY")
    assert out.split() == ["127.0.0.1,localhost"] * 2
    assert recorder.calls("model", "status") == [("one", "ok")]


def test_nothing_to_lead_through_is_said(recorder: Recorder) -> None:
    del recorder.environment["OPENAI_BASE_URL"]
    _, err = recorder.run("true")
    assert "no base-URL variable" in err
    assert "proxy" not in recorder.run("true", options=("--proxy", "never", "--force"))[1].replace(
        "--proxy", ""
    )


def test_a_proxy_that_cannot_start_does_not_keep_the_agent_from_running(recorder: Recorder) -> None:
    (recorder.folder / "aiohttp.py").write_text("raise SystemExit\n")
    recorder.environment["PYTHONPATH"] += os.pathsep + str(recorder.folder)
    out, err = recorder.run("bash", "-c", "echo $OPENAI_BASE_URL")
    assert out.strip() == recorder.environment["OPENAI_BASE_URL"]
    assert "1 attempt where the recorder failed (proxy: did not start)" in err


def test_without_the_library(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert _is_by_proxy("auto", ("node", "a.js"), quiet=False)
    monkeypatch.setattr("tracekit.collectors.proxy.beside.is_installed", lambda: False)
    assert not _is_by_proxy("auto", ("node", "a.js"), quiet=False)
    assert capsys.readouterr().err == (
        "tracekit: node is no Python program, and without the proxy only Python processes in it are recorded: "
        "pip install 'tracekit-replay[proxy]'\n"
    )
    for proxy, command in (("never", "node"), ("auto", "python")):
        assert not _is_by_proxy(proxy, (command,), quiet=False)
    assert not _is_by_proxy("auto", ("node",), quiet=True)
    assert capsys.readouterr().err == ""
    with pytest.raises(ProxyMissing, match=r"pip install 'tracekit-replay\[proxy\]'"):
        _is_by_proxy("always", ("python",), quiet=True)
