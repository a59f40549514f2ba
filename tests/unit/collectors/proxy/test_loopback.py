"""Variables that only the proxy set: out of hooked processes' sight, there for all others."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tracekit.collectors.inside import children, loopback, process_hooks
from tracekit.collectors.inside.state import STATE
from tracekit.collectors.proxy.upstream import Upstreams

NAME = "TRACEKIT_TEST_BASE_URL"
SHOW = f"import os; print(os.environ.get('{NAME}'))"


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    upstreams = Upstreams(4321)
    address = upstreams.through("http://box/v1")
    monkeypatch.setenv(NAME, address)
    monkeypatch.setenv(loopback.ADDRESSES, upstreams.words())
    monkeypatch.setenv(loopback.UNSET, f"{NAME}={address}")
    loopback.start(os.environ)
    start = subprocess.Popen.__init__
    process_hooks.patch(subprocess)
    yield address
    subprocess.Popen.__init__ = start  # type: ignore[method-assign]
    STATE.loopback = None
    os.unsetenv(NAME)


def shown(**more: Any) -> str:
    return subprocess.run(
        [sys.executable, "-c", SHOW], capture_output=True, text=True, check=True, **more
    ).stdout.strip()


def test_variables_are_hidden_here_and_found_by_children(address: str) -> None:
    assert NAME not in os.environ
    assert shown() == address
    assert shown(env=dict(os.environ)) == address
    assert shown(env={**os.environ, NAME: "http://mine"}) == "http://mine"
    assert shown(env={"PATH": os.environ["PATH"]}) == "None"
    assert NAME not in os.environ


def test_a_value_of_the_agents_own_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    upstreams = Upstreams(4321)
    monkeypatch.setenv(NAME, "http://mine")
    words = {
        loopback.ADDRESSES: upstreams.words(),
        loopback.UNSET: f"{NAME}={upstreams.through('http://box')}",
    }
    loopback.start(words)
    STATE.loopback = None
    assert os.environ[NAME] == "http://mine"


def test_a_run_without_proxy_changes_nothing() -> None:
    loopback.start({})
    assert STATE.loopback is None
    environment = {"A": "b"}
    assert loopback.environment_for_child(environment) is environment


@pytest.mark.parametrize(
    ("argv", "environment", "by_proxy"),
    [
        (["node", "a.js"], None, True),
        (["node", "a.js"], {NAME: "ADDRESS"}, True),
        (["node", "a.js"], {b"X": b"ADDRESS"}, True),
        (["node", "a.js"], {"PATH": "/bin"}, False),
        (["node", "a.js", "--base=ADDRESS"], {"PATH": "/bin"}, True),
        (["node", "a.js"], {loopback.UNSET: "ADDRESS"}, False),
        (["env", "-i", "node", "a.js"], None, False),
        (["env", "-i", "BASE=ADDRESS", "node", "a.js"], None, True),
        (["env", "A=b", "node", "a.js"], None, True),
    ],
)
def test_notes_say_who_goes_by_proxy(
    address: str, recorded: Any, argv: list[str], environment: Any, by_proxy: bool
) -> None:
    argv = [word.replace("ADDRESS", address) for word in argv]
    if environment is not None:
        environment = {
            name: address if value == "ADDRESS" else address.encode() if value == b"ADDRESS" else value
            for name, value in environment.items()
        }
    children.started(None, argv, environment)
    [note] = recorded("note")
    assert (note["detail"], note.get("by_proxy", False)) == (argv[0], by_proxy)
