"""Which child processes the recorder cannot follow, told from how they are started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tracekit.collectors.inside import children
from tracekit.collectors.inside.state import STATE

OURS = "/where/injected"


@pytest.fixture
def started(recorded: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(STATE, "injected_directory", OURS)
    monkeypatch.setenv("PYTHONPATH", f"{OURS}{os.pathsep}/other")

    def start(event: str, *arguments: Any) -> list[tuple[str, str]]:
        before = len(recorded("note"))
        children.started(event, arguments)
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
    assert started("subprocess.Popen", argv[0], argv, None, None) == expected
    assert started("os.exec", argv[0].encode(), [word.encode() for word in argv], None) == expected
    assert started("os.posix_spawn", argv[0], tuple(argv), None) == expected


def test_environments(started: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    argv = ["python", "agent.py"]
    assert started("subprocess.Popen", "python", argv, None, {"PYTHONPATH": OURS}) == []
    assert started("os.exec", "python", argv, {b"PYTHONPATH": OURS.encode()}) == []
    assert started("subprocess.Popen", "python", argv, None, {}) == [("python", "environment")]
    assert started("subprocess.Popen", "python", argv, None, {"PYTHONPATH": "/other"}) == [
        ("python", "environment")
    ]


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
        assert started("subprocess.Popen", str(script), [str(script)], None, None) == expected


def test_a_path_object_and_a_shell(started: Any) -> None:
    assert started("subprocess.Popen", Path("/x/node"), [Path("/x/node")], None, None) == [
        ("node", "not_python")
    ]
    assert started("subprocess.Popen", None, "node --secret /a/b", None, None) == [("node", "not_python")]
    line = "/x/node --secret /a/b"
    assert started("subprocess.Popen", line, [line], None, None) == [("node", "not_python")]
    assert started("os.system", b"rm secret") == [("sh", "not_python")]


def test_odd_arguments_do_not_break_the_agent(recorded: Any) -> None:
    from tracekit.collectors.inside import startup

    hooks: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "addaudithook", hooks.append)
        startup._listen_for_processes()
    hooks[0]("subprocess.Popen", ())
    hooks[0]("open", ("file", "r", 0))
    assert [(note["what"], note["detail"]) for note in recorded("note")] == [
        ("hook_error", "children: IndexError")
    ]
    assert subprocess.run(["true"], check=True).returncode == 0
