"""Which child processes the recorder cannot follow, told from how they are started."""

from __future__ import annotations

import copy
import inspect
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tracekit.collectors.inside import children, process_hooks
from tracekit.collectors.inside.state import STATE

OURS = "/where/injected"


@pytest.fixture
def started(recorded: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(STATE, "injected_directory", OURS)
    monkeypatch.setenv("PYTHONPATH", f"{OURS}{os.pathsep}/other")

    def start(executable: Any, argv: Any, environment: Any = None) -> list[tuple[str, str]]:
        before = len(recorded("note"))
        children.started(executable, argv, environment)
        return [(note["detail"], note["why"]) for note in recorded("note")[before:]]

    return start


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (["python", "agent.py"], None),
        (["python3.12", "-u", "-m", "agent", "-S"], None),
        (["python", "-W", "error", "-X", "dev", "agent.py", "-I"], None),
        (["python", "-c", "print('-S')"], None),
        (["python", "-Wignore", "-sE", "agent.py"], "flags"),
        (["/usr/bin/python3", "-I", "agent.py"], "flags"),
        (["python", "-W", "error", "-S"], "flags"),
        (["pypy3", "agent.py"], None),
        (["python3.13t", "agent.py"], None),
        (["pythonic", "x"], "not_python"),
        (["node", "agent.js", "--key=secret"], "not_python"),
        (["/bin/bash", "-c", "curl secret"], "not_python"),
        (["uname", "-p"], None),
    ],
)
def test_commands(started: Any, argv: list[str], why: str | None) -> None:
    expected = [] if why is None else [(os.path.basename(argv[0]), why)]
    assert started(None, argv) == expected
    assert started(argv[0].encode(), [word.encode() for word in argv]) == expected
    assert started(argv[0], tuple(argv)) == expected


def test_environments(started: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    argv = ["python", "agent.py"]
    assert started("python", argv, {"PYTHONPATH": OURS}) == []
    assert started("python", argv, {b"PYTHONPATH": OURS.encode()}) == []
    assert started("python", argv, {}) == [("python", "environment")]
    assert started("python", argv, {"PYTHONPATH": "/other"}) == [("python", "environment")]


def test_python_scripts_are_python(started: Any, tmp_path: Path) -> None:
    for first, is_python in (
        (f"#!{sys.executable}\n", True),
        ("#!/usr/bin/env python3\n", True),
        ("#!/usr/bin/env -S A=b python3 -u\n", True),
        ("#!/bin/sh\n", False),
        ("no script\n", False),
    ):
        script = tmp_path / "tool"
        script.write_text(first)
        expected = [] if is_python else [("tool", "not_python")]
        assert started(str(script), [str(script)]) == expected


def test_a_path_object_and_a_shell(started: Any) -> None:
    assert started(Path("/x/node"), [Path("/x/node")]) == [("node", "not_python")]
    assert started(None, "node --secret /a/b") == [("node", "not_python")]
    line = "/x/node --secret /a/b"
    assert started(line, [line]) == [("node", "not_python")]


@pytest.fixture
def wrapped(recorded: Any) -> Iterator[Any]:
    """The functions that start processes wrapped, as in a recorded process; gives what was noted since."""
    names = ("posix_spawn", "posix_spawnp", "execv", "execve", "system")
    originals = {name: getattr(os, name) for name in names}
    start = subprocess.Popen.__init__
    process_hooks.patch_os()
    process_hooks.patch(subprocess)
    seen = len(recorded("note"))
    yield lambda: [(note["what"], note["detail"]) for note in recorded("note")[seen:]]
    subprocess.Popen.__init__ = start  # type: ignore[method-assign]
    for name, original in originals.items():
        for abilities in (os.supports_fd, os.supports_dir_fd, os.supports_follow_symlinks):
            abilities.discard(getattr(os, name))
        setattr(os, name, original)


def noted(*programs: str) -> list[tuple[str, str]]:
    return [("process_not_followed", program) for program in programs]


def test_every_way_to_start_a_process_is_noted_once(wrapped: Any) -> None:
    subprocess.run(["true"], check=True)
    subprocess.run("true", shell=True, check=True)
    subprocess.run(iter(["true"]), check=True)  # type: ignore[call-overload]
    subprocess.Popen(["true"], -1, "/bin/true").wait()
    subprocess.run(["/bin/true"], close_fds=False, check=True)  # by posix_spawn
    assert os.system("true") == 0
    for spawn in (os.posix_spawn, os.posix_spawnp):
        os.waitpid(spawn("/bin/true", ["true"], os.environ), 0)
    assert wrapped() == noted("true", "sh", "?", "true", "true", "sh", "true", "true")


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_program_that_becomes_another_is_noted_once(wrapped: Any) -> None:
    """`execvp` asks every directory on the path; only the one that has it counts."""
    for run in (lambda: os.execvp("true", ["true"]), lambda: os.execve("/bin/true", ["true"], {})):
        child = os.fork()
        if child == 0:
            run()
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
    assert wrapped() == noted("true", "true")


def test_what_fails_fails_as_ever_and_is_not_noted(wrapped: Any, recorded: Any) -> None:
    with pytest.raises(FileNotFoundError, match="no-such"):
        subprocess.run(["no-such"], check=False)
    with pytest.raises(FileNotFoundError):
        os.execv("/no/such", ["such"])
    with pytest.raises(TypeError):
        os.posix_spawn()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        subprocess.Popen()  # type: ignore[call-overload]
    assert wrapped() == []


def test_our_own_failure_is_noted_and_the_agent_goes_on(
    wrapped: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "started", None)
    assert subprocess.run(["true"], check=True).returncode == 0
    assert wrapped() == [("hook_error", "children: TypeError")]


def test_wrapped_functions_look_like_the_real_ones(wrapped: Any) -> None:
    class Holder:
        call = os.system

    assert Holder().call("true") == 0
    assert pickle.loads(pickle.dumps(os.system)) is os.system
    assert copy.deepcopy(os.execv) is os.execv
    assert os.execve in os.supports_fd
    assert (os.system.__name__, os.system.__doc__) == ("system", os.system.__wrapped__.__doc__)  # type: ignore[attr-defined]
    assert list(inspect.signature(os.system).parameters) == ["command"]
    assert next(iter(inspect.signature(subprocess.Popen).parameters)) == "args"
    before = os.system, subprocess.Popen.__init__
    process_hooks.patch_os()
    process_hooks.patch(subprocess)
    assert (os.system, subprocess.Popen.__init__) == before
