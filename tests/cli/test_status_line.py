"""The status line on a real terminal, which an emulator draws: the agent's own output stays what it was."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import sys
import termios
import tty
from pathlib import Path

import pyte
import pytest

from tests.cli.command_line import ROOT

ROWS, COLUMNS = 24, 80
AGENT = """
import json, os, time
with open(os.path.join(os.environ["TRACEKIT_SPOOL"], "1-1.jsonl"), "w") as spool:
    spool.write(json.dumps({"t": "attempt_start", "ns": 1, "id": "a"}, separators=(",", ":")) + "\\n")
for number in range(40):
    print("line", number, flush=True)
print("no line end", end="", flush=True)
time.sleep(1.6)
print(" but more", flush=True)
time.sleep(0.7)
"""


def screens(
    tmp_path: Path, agent: str, *options: str, rows: int = ROWS, raw: bool = False, **environment: str
) -> list[list[str]]:
    """What the terminal shows after every piece of output; the last one is what stays."""
    program = tmp_path / "agent.py"
    program.write_text(agent)
    environment = {
        "PYTHONPATH": str(ROOT),
        "TERM": "xterm",
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    } | environment
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        for name in ("CI", "NO_COLOR"):
            os.environ.pop(name, None)
        os.environ.update(environment)
        if raw:
            tty.setraw(0)
        command = ["record", "-o", "t.parquet", *options, "--", sys.executable, str(program)]
        os.execv(sys.executable, [sys.executable, "-m", "tracekit", *command])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, COLUMNS, 0, 0))
    screen = pyte.Screen(COLUMNS, rows)
    stream = pyte.ByteStream(screen)
    seen = []
    while True:
        try:
            data = os.read(terminal, 4096)
        except OSError:
            break
        stream.feed(data)
        seen.append([line.rstrip() for line in screen.display])
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, seen[-1]
    assert screen.margins is None
    os.close(terminal)
    return seen


def test_the_line_stands_at_the_foot_and_leaves_the_output_alone(tmp_path: Path) -> None:
    seen = screens(tmp_path, AGENT)
    shown = [screen for screen in seen if screen[-1].startswith("tracekit: 1 call (1 running), 0:0")]
    assert shown
    assert shown[-1][-2] == "" or shown[-1][-2].startswith(("no line end", "line"))
    last = [line for line in seen[-1] if line]
    place = last.index("no line end but more")
    assert last[place - 10 : place] == [f"line {number}" for number in range(30, 40)]
    assert last[place + 1].startswith("tracekit: 1 LLM call")
    assert not any("running)" in line for line in last)


@pytest.mark.parametrize(
    ("options", "environment"),
    [(["-q"], {}), ([], {"TERM": "dumb"}), ([], {"CI": "1"})],
    ids=["quiet", "dumb terminal", "CI"],
)
def test_no_line_where_none_is_wanted(
    tmp_path: Path, options: list[str], environment: dict[str, str]
) -> None:
    seen = screens(tmp_path, AGENT, *options, **environment)
    assert not any("running)" in line for screen in seen for line in screen)


def test_no_line_while_single_keys_are_read(tmp_path: Path) -> None:
    seen = screens(tmp_path, AGENT, raw=True)
    assert not any("running)" in line for screen in seen for line in screen)


def test_a_small_terminal_is_left_alone(tmp_path: Path) -> None:
    seen = screens(tmp_path, AGENT, rows=5)
    assert not any("running)" in line for screen in seen for line in screen)
