"""A whole recording: real processes, started by the supervisor, of every kind that an agent starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.unit.collectors.fake_server import FakeServer
from tracekit.errors import LaunchFailed
from tracekit.spool import Spool, read_spool

ROOT = Path(__file__).parents[2]
SUPERVISE = textwrap.dedent(
    """
    import json, sys
    from pathlib import Path
    from tracekit.collectors.launch import record
    directory, options, *command = sys.argv[1:]
    sys.exit(record(command, Path(directory), version="0.0", **json.loads(options)))
    """
)
ASK = textwrap.dedent(
    """
    import json, sys
    import httpx
    def ask(model, base=sys.argv[1], **more):
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}], **more}
        return httpx.post(base + "/chat/completions", json=body)
    """
)


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeServer]:
    server = FakeServer().start()
    yield server
    server.stop()


@dataclass
class Run:
    """A finished recording."""

    code: int
    stdout: str
    stderr: str
    spool: Spool

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [record for record in self.spool.records if record["t"] == kind]

    @property
    def models(self) -> list[str]:
        ends = {end["id"] for end in self.of("attempt_end") if end["status"] == "ok"}
        return sorted(start["request"]["model"] for start in self.of("attempt_start") if start["id"] in ends)

    @property
    def not_followed(self) -> list[tuple[str, str]]:
        return [
            (note["detail"], note["why"])
            for note in self.of("note")
            if note["what"] == "process_not_followed"
        ]


@pytest.fixture
def supervise(tmp_path: Path) -> Any:
    """Starts a supervisor in a process of its own, as the command line would."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(tmp_path / "config")}

    def start(command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
        options.setdefault("sample_power", False)
        arguments = [sys.executable, "-c", SUPERVISE, str(tmp_path / "spool"), json.dumps(options), *command]
        return subprocess.Popen(
            arguments,
            env=environment,
            cwd=tmp_path,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    return start


@pytest.fixture
def record(supervise: Any, tmp_path: Path) -> Any:
    def run(command: Sequence[str], **options: Any) -> Run:
        process = supervise(command, **options)
        stdout, stderr = process.communicate(timeout=60)
        return Run(process.returncode, stdout, stderr, read_spool(tmp_path / "spool"))

    return run


@pytest.fixture
def agent(tmp_path: Path, fake: FakeServer) -> Any:
    """A command that runs this program with `ask` in it."""

    def make(program: str, name: str = "agent.py") -> list[str]:
        file = tmp_path / name
        file.write_text(ASK + textwrap.dedent(program))
        return [sys.executable, str(file), fake.base_url]

    return make


def interpreters() -> list[str]:
    """Every Python from 3.8 on that is here."""
    found = {}
    places = [
        *Path.home().glob(".pyenv/versions/*/bin/python"),
        Path("/usr/bin/python3"),
        Path(sys.executable),
    ]
    for python in places:
        if python.exists():
            code = "import sys; print('%d.%d' % sys.version_info[:2], sys.version_info >= (3, 8))"
            answer = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False)
            answer = answer.stdout.split()
            if len(answer) == 2 and answer[1] == "True":
                found[answer[0]] = str(python)
    return sorted(found.values())


def test_an_agent_and_its_children(record: Any, agent: Any, tmp_path: Path) -> None:
    child = agent("ask(sys.argv[2])", "child.py")
    program = f"""
    import multiprocessing, os, subprocess
    CHILD = {child!r}

    def main():
        ask("parent")
        subprocess.run([*CHILD, "subprocess"], check=True)
        subprocess.run(" ".join([*CHILD, "shell"]), shell=True, check=True)
        subprocess.run([CHILD[0], "-S", "-c", "pass"], check=True)
        subprocess.run([CHILD[0], "-Ic", "pass"], check=True)
        subprocess.run([CHILD[0], "-c", "pass"], env={{"PATH": os.environ["PATH"]}}, check=True)
        subprocess.run(["true"], check=True)
        for method in ("fork", "spawn", "forkserver"):
            process = multiprocessing.get_context(method).Process(target=ask, args=[method])
            process.start()
            process.join()
            assert process.exitcode == 0
        if os.fork() == 0:
            ask("os.fork")
            os._exit(0)
        os.wait()
        os.execv(CHILD[0], [*CHILD, "exec"])

    if __name__ == "__main__":
        main()
    """
    run = record(agent(program))
    assert (run.code, run.stderr) == (0, "")
    assert run.models == sorted(
        ["parent", "subprocess", "shell", "fork", "spawn", "forkserver", "os.fork", "exec"]
    )
    python = Path(sys.executable).name
    assert run.not_followed == [
        ("sh", "not_python"),
        (python, "flags"),
        (python, "flags"),
        (python, "environment"),
        ("true", "not_python"),
    ]
    processes = {process["pid"]: process for process in run.of("process")}
    assert all(start["pid"] in processes for start in run.of("attempt_start"))
    assert run.spool.unreadable_lines == 0
    assert run.spool.run["exit_code"] == 0


def test_ordinary_code_is_not_listened_to(record: Any) -> None:
    """An audit hook would be called for every `id()` and `sys._getframe()` of the agent's."""
    program = """if True:
    import os, sys, timeit
    before = "subprocess" in sys.modules
    import subprocess
    print(before, hasattr(subprocess.Popen.__init__, "__tracekit__"), type(os.system).__name__)
    plain = min(timeit.repeat("len(x)", globals={"x": ()}, number=20000, repeat=20))
    print(min(timeit.repeat("id(x)", globals={"x": ()}, number=20000, repeat=20)) < 4 * plain)
    """
    run = record([sys.executable, "-c", program])
    assert (run.code, run.stdout, run.stderr) == (0, "False True Wrapped\nTrue\n", "")


def test_marks_and_hooks_meet(record: Any, agent: Any) -> None:
    """The hooks were loaded under a private name; the program imports the installed tracekit."""
    program = """
    import tracekit
    assert "collectors" in tracekit.tool.__module__
    with tracekit.session("task") as task:
        with tracekit.tool("work"):
            ask("inside")
        task.score(0.5)
    """
    run = record(agent(program))
    assert (run.code, run.stderr) == (0, "")
    [attempt], [session], [tool] = run.of("attempt_start"), run.of("session_start"), run.of("tool_start")
    assert (attempt["session"], attempt["tool"]) == (session["id"], tool["id"])
    assert len({record["id"] for record in (attempt, session, tool)}) == 3


def test_power_is_asked_for_even_by_a_short_command(record: Any) -> None:
    run = record([sys.executable, "-c", "pass"], sample_power=True)
    assert len([note for note in run.of("note") if note["what"] == "power_unavailable"]) == 1 or run.of(
        "power"
    )


def test_a_kill_leaves_everything_before_it(supervise: Any, agent: Any, tmp_path: Path) -> None:
    program = """
    import os
    ask("first")
    ask("second")
    with httpx.stream("POST", sys.argv[1] + "/chat/completions",
                      json={"model": "third-stall", "messages": [], "stream": True}) as response:
        for number, piece in enumerate(response.iter_raw()):
            if number == 2:
                os.kill(os.getpid(), 9)
    """
    process = supervise(agent(program))
    process.communicate(timeout=60)
    run = Run(process.returncode, "", "", read_spool(tmp_path / "spool"))
    assert run.code == 128 + signal.SIGKILL
    assert run.models == ["first", "second"]
    assert [start["request"]["model"] for start in run.of("attempt_start")] == [
        "first",
        "second",
        "third-stall",
    ]
    assert run.spool.unreadable_lines == 0
    assert run.spool.run["exit_code"] == 137


def test_the_agent_sees_no_recorder(record: Any, tmp_path: Path) -> None:
    program = tmp_path / "look.py"
    program.write_text(
        "import json, os, sys\n"
        "import signal, threading, warnings\n"
        "print(json.dumps([sys.path, sys.argv, sys.flags.no_site, threading.active_count(), os.getcwd(),\n"
        "    [str(signal.getsignal(n)) for n in range(1, 32)], sorted(signal.pthread_sigmask(0, [])),\n"
        "    sorted(os.listdir('/dev/fd'))[:3], os.getpgrp() == os.getpid(), os.umask(0o22)]))\n"
    )
    command = [sys.executable, str(program), "a", "-b"]
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    alone = subprocess.run(
        command, capture_output=True, text=True, env=clean, cwd=tmp_path, check=True
    ).stdout
    run = record(command, environment=clean)
    assert run.stdout == alone


def test_own_sitecustomize_runs(record: Any, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("import sys\nprint('mine', __name__, __file__)\nsys.mine = True\n")
    program = "import sys, sitecustomize; print(sys.mine, sitecustomize.__file__)"
    run = record([sys.executable, "-c", program], environment={**os.environ, "PYTHONPATH": str(own)})
    file = str(own / "sitecustomize.py")
    assert run.stdout.splitlines() == [f"mine sitecustomize {file}", f"True {file}"]
    assert len(run.of("process")) == 1


def test_own_failing_sitecustomize_fails_as_alone(record: Any, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("raise RuntimeError('mine')\n")
    environment = {**os.environ, "PYTHONPATH": str(own)}
    command = [sys.executable, "-c", "print('goes on')"]
    alone = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    run = record(command, environment=environment)
    assert (run.stdout, run.stderr) == (alone.stdout, alone.stderr)
    assert "RuntimeError: mine" in run.stderr
    assert len(run.of("process")) == 1


def test_a_broken_spool_directory_breaks_nothing(record: Any, tmp_path: Path) -> None:
    injected = str(ROOT / "collectors" / "injected")
    environment = {**os.environ, "PYTHONPATH": injected, "TRACEKIT_SPOOL": str(tmp_path / "no" / "where")}
    run = subprocess.run(
        [sys.executable, "-c", "import tracekit; tracekit.mark('x'); print(1)"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (run.stdout, run.stderr) == ("1\n", "")


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("import sys; sys.exit(0)", 0),
        ("import sys; sys.exit(3)", 3),
        ("1/0", 1),
        ("import os; os._exit(77)", 77),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", 143),
        ("import os; os.abort()", 134),
    ],
)
def test_exit_codes(record: Any, program: str, code: int) -> None:
    assert record([sys.executable, "-c", program]).code == code


@pytest.fixture
def heard(number: int) -> Iterator[None]:
    """Children hear the signal even if these tests were started in the background, where shells ignore some."""
    before = signal.getsignal(number)
    if before is signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)
    yield
    signal.signal(number, before)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_signals_reach_the_agent(supervise: Any, number: int) -> None:
    program = f"""
import signal, sys, time
def handler(n, f):
    print("got", n, flush=True)
    sys.exit(42)
signal.signal({int(number)}, handler)
print("ready", flush=True)
for _ in range(300):  # Python may begin one sleep with the signal already there, and handle it after
    time.sleep(0.1)
"""
    process = supervise([sys.executable, "-c", program])
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout, stderr) == (42, f"got {int(number)}\n", "")


def test_an_ignoring_agent_is_left_alone(supervise: Any) -> None:
    program = (
        "import signal, time\nsignal.signal(2, signal.SIG_IGN)\n"
        "print('ready', flush=True)\ntime.sleep(0.7)\nprint('done')"
    )
    process = supervise([sys.executable, "-c", program])
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    stdout, _ = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (0, "done\n")


def test_ctrl_c_in_a_terminal(supervise: Any, tmp_path: Path) -> None:
    """The terminal sends it to both; the agent must get it once, and may take its time to clean up."""
    import pty

    program = (
        "import time\n"
        "try:\n    print('ready', flush=True)\n    time.sleep(30)\nexcept KeyboardInterrupt:\n"
        "    time.sleep(0.5); print('cleaned up', flush=True)\n    raise SystemExit(5)\n"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(
            signal.SIGINT, signal.SIG_DFL
        )  # shells start background jobs deaf to it, these tests too
        os.chdir(tmp_path)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(tmp_path / "config")}
        options = json.dumps({"sample_power": False})
        command = [
            sys.executable,
            "-c",
            SUPERVISE,
            str(tmp_path / "spool"),
            options,
            sys.executable,
            "-c",
            program,
        ]
        os.execve(sys.executable, command, environment)
    seen = b""
    while b"ready" not in seen:
        seen += os.read(terminal, 1000)
    os.write(terminal, b"\x03")
    while True:
        try:
            data = os.read(terminal, 1000)
        except OSError:
            break
        if not data:
            break
        seen += data
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 5
    assert b"cleaned up" in seen
    assert b"Traceback" not in seen


def test_commands_that_cannot_be_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tracekit.collectors.launch import record

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(LaunchFailed) as missing:
        record(["no-such-command-at-all"], tmp_path / "spool")
    assert missing.value.exit_code == 127
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    with pytest.raises(LaunchFailed) as refused:
        record([str(script)], tmp_path / "spool")
    assert refused.value.exit_code == 126
    assert not (tmp_path / "spool").exists()
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"\x7fELF rubbish")
    garbage.chmod(0o755)
    with pytest.raises(LaunchFailed) as broken:
        record([str(garbage)], tmp_path / "spool", sample_power=False)
    assert broken.value.exit_code == 126


def test_orphans_finish_their_records(record: Any, agent: Any) -> None:
    program = """
    import os, time
    if os.fork() == 0:
        if os.fork() == 0:
            time.sleep(0.3)
            ask("orphan")
            os._exit(0)
        os._exit(0)
    os.wait()
    """
    assert record(agent(program)).models == ["orphan"]


def test_orphans_in_a_session_of_their_own_finish_too(record: Any, agent: Any) -> None:
    program = """
    import os, time
    if os.fork() == 0:
        os.setsid()
        time.sleep(0.3)
        ask("daemon")
        os._exit(0)
    """
    run = record(agent(program), sample_power=True)
    assert run.models == ["daemon"]
    assert not [note for note in run.of("note") if note["what"] == "process_left_running"]


@pytest.mark.parametrize("own_session", [False, True])
def test_who_stays_behind_is_named(record: Any, own_session: bool) -> None:
    program = f"import subprocess; subprocess.Popen(['sleep', '3'], start_new_session={own_session})"
    run = record([sys.executable, "-c", program])
    assert ("process_left_running", "sleep") in [(note["what"], note["detail"]) for note in run.of("note")]


def test_a_daemon_that_ends_is_gone_while_the_agent_runs(record: Any) -> None:
    """As under init: a script that waits for the daemon it stopped would else wait for ever."""
    script = """
    daemon=$(sh -c 'sleep 0.2 > /dev/null & echo $!')
    for _ in $(seq 50); do kill -0 $daemon 2> /dev/null || exit 0; sleep 0.1; done
    exit 9
    """
    assert record(["sh", "-c", script]).code == 0


def test_a_file_system_without_a_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that is read-only but for the volume."""
    from tracekit.collectors import launch

    def refuse() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(launch.tempfile, "gettempdir", refuse)
    assert launch.record(["true"], tmp_path / "spool", sample_power=False) == 0
    assert read_spool(tmp_path / "spool").run["spare"] == ""


def test_full_disk(record: Any, agent: Any) -> None:
    """A limit on file size stands in for it: the recorder's writes fail, the agent's answers do not."""
    program = """
    import resource, signal
    ask("before")
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))
    for number in range(5):
        print(ask("full").status_code)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    ask("after")
    """
    run = record(agent(program))
    assert (run.code, run.stdout, run.stderr) == (0, "200\n" * 5, "")
    assert run.models[:2] == ["after", "before"]
    lost = [int(note["detail"]) for note in run.of("note") if note["what"] == "records_lost"]
    assert sum(lost) + len(run.of("attempt_start")) + len(run.of("attempt_end")) == 14
    assert run.spool.unreadable_lines == 1


@pytest.mark.parametrize("python", interpreters(), ids=lambda path: path.replace("/", "_"))
def test_other_pythons(record: Any, python: str, tmp_path: Path) -> None:
    """tracekit is not installed there, but `import tracekit` works while it records; so does the hook."""
    library = tmp_path / "library" / "httpx"
    library.mkdir(parents=True)
    (library / "__init__.py").write_text(LITTLE_HTTPX)
    program = tmp_path / "agent.py"
    program.write_text(OTHER_AGENT)
    environment = {**os.environ, "PYTHONPATH": str(library.parent)}
    run = record([python, "-X", "dev", "-W", "error", "-bb", str(program)], environment=environment)
    assert (run.code, run.stderr) == (0, "")
    assert run.stdout == "42 data\n"
    [start], [end] = run.of("attempt_start"), run.of("attempt_end")
    [session] = run.of("session_start")
    assert (start["transport"], start["session"]) == ("httpx", session["id"])
    assert (end["status"], end["response"]["usage"]["input"]) == ("ok", 7)
    assert [tool["name"] for tool in run.of("tool_start")] == ["work"]
    assert run.of("note") == []


@pytest.mark.parametrize("file", sorted((ROOT / "collectors").glob("in*/*.py")), ids=lambda file: file.stem)
def test_injected_sources_are_python_3_8(file: Path) -> None:
    import ast

    ast.parse(file.read_text(), feature_version=(3, 8))


def test_old_pythons_are_left_alone(record: Any) -> None:
    old = [
        python
        for version in ("2.7", "3.6", "3.7")
        for python in Path.home().glob(f".pyenv/versions/{version}*/bin/python")
    ]
    for python in old:
        run = record([str(python), "-c", "print(1)"])
        assert (run.code, run.stdout, run.stderr) == (0, "1\n", "")


LITTLE_HTTPX = """
import json

class SyncByteStream: pass
class AsyncByteStream: pass

class Stream(SyncByteStream):
    def __iter__(self):
        yield b'data: {"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]}\\n\\n'
        yield b'data: {"choices": [], "usage": {"prompt_tokens": 7}}\\n\\ndata: [DONE]\\n\\n'
    def close(self): pass

class Client:
    def _send_single_request(self, request):
        response = Response()
        response.stream = Stream()
        return response

class AsyncClient:
    async def _send_single_request(self, request): pass

class Response:
    status_code = 200
    headers = {"content-type": "text/event-stream"}

class Url:
    scheme, host, port, path = "http", "localhost", 1, "/v1/chat/completions"

class Request:
    method, url, headers = "POST", Url, {}
    _messages = [{"role": "user", "content": "hi"}]
    _content = json.dumps({"model": "m", "stream": True, "messages": _messages}).encode()
"""
OTHER_AGENT = """
import subprocess, sys
import tracekit
import httpx

@tracekit.tool
def work():
    return 42

subprocess.run([sys.executable, "-c", ""], check=True)
with tracekit.session("s"):
    response = httpx.Client()._send_single_request(httpx.Request)
    data = b"".join(response.stream)
    response.stream.close()
    print(work(), data[:4].decode())
"""
