"""Which commands hooks can be put into."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from tracekit.collectors.proxy.command import is_python_command

PYTHON = [
    "python agent.py",
    "python3.12 -u -m agent",
    "/usr/bin/python3 -c pass",
    f"{sys.executable} agent.py",
    "pypy3 agent.py",
    "python",
    "env A=b C= python agent.py",
    "env -u A --chdir /tmp python agent.py",
    "/usr/bin/env python agent.py",
    "nice -n 5 python agent.py",
    "timeout -k 1 10m python agent.py",
    "nohup stdbuf -oL python agent.py",
    "uv run agent.py",
    "uv run --with httpx -- python agent.py",
    "uv --directory x run -m agent",
    "uv run -m agent -S",
    "uv run my-agent --flag",
    "uvx some-agent",
    "pipx run some-agent",
    "poetry run my-agent",
    "poetry -C there run python agent.py",
    "conda run -n env python agent.py",
    "pyenv exec python agent.py",
    "env A=b uv run env C=d python agent.py",
    "CONSOLE-SCRIPT serve",
    "LONG-SCRIPT serve",
    "ENV-SCRIPT",
    "uv run CONSOLE-SCRIPT",
]
OTHERS = [
    "node agent.js",
    "npm start",
    "npx tsx agent.ts",
    "bun agent.ts",
    "deno run agent.ts",
    "bash agent.sh",
    "sh -c 'python agent.py'",
    "curl http://localhost",
    "make run",
    "BINARY",
    "SHELL-SCRIPT",
    "no-such-command",
    "python -S agent.py",
    "python3 -I agent.py",
    "python -uE agent.py",
    "env -i python agent.py",
    "env -u PYTHONPATH python agent.py",
    "env node agent.js",
    "env",
    "uv run node agent.js",
    "uv run python -I agent.py",
    "uv run bash agent.sh",
    "uv pip list",
    "poetry run bash",
    "timeout 5 bash -c true",
]


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """A command line as words, with programs of each kind in place of the names in capitals."""
    programs = {
        "CONSOLE-SCRIPT": f"#!{sys.executable}\nimport x\n",
        "LONG-SCRIPT": f"#!/bin/sh\n'''exec' \"{sys.executable}\" \"$0\" \"$@\"\n' '''\nimport x\n",
        "ENV-SCRIPT": "#!/usr/bin/env -S python3 -u\n",
        "SHELL-SCRIPT": "#!/bin/sh\npython agent.py\n",
        "BINARY": "\x7fELF",
        "node": "#!/bin/sh\n",
    }
    for name, text in programs.items():
        file = tmp_path / name
        file.write_text(text)
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return str.split


@pytest.mark.parametrize("command", PYTHON)
def test_python(line: type[str.split], command: str) -> None:
    assert is_python_command(line(command))


@pytest.mark.parametrize("command", OTHERS)
def test_others(line: type[str.split], command: str) -> None:
    assert not is_python_command(line(command))
