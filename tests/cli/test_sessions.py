"""Sessions of real agents: asyncio branches, independent tasks, threads, marks; nothing but their own code."""

import sys

import pytest

from tests.cli.command_line import run
from tracekit.schema import Kind
from tracekit.trace import Trace

HEAD = """\
import asyncio, sys, threading, httpx
URL = sys.argv[1] + "/chat/completions"
def body(text, system="You are an agent."):
    return {"model": "m", "messages": [{"role": "system", "content": system}, {"role": "user", "content": text}]}
async def ask(client, text, *system):
    return (await client.post(URL, json=body(text, *system))).json()
def ask_now(text):
    return httpx.post(URL, json=body(text)).json()
"""

BRANCHES = """
async def main():
    async with httpx.AsyncClient() as client:
        await ask(client, "plan")
        await asyncio.gather(*(ask(client, f"branch {i}") for i in range(3)))
        await ask(client, "join", "You merge what others found.")
asyncio.run(main())
"""
INDEPENDENT = """
async def task(i):
    async with httpx.AsyncClient() as client:
        await ask(client, f"task {i}")
async def main():
    await asyncio.gather(*(task(i) for i in range(3)))
asyncio.run(main())
"""
THREADS = """
threads = [threading.Thread(target=ask_now, args=(f"task {i}",)) for i in range(3)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
"""
MARKED = """
import tracekit
for i in range(2):
    with tracekit.session(f"task {i}") as session:
        ask_now("plan")
        with tracekit.tool("search"):
            pass
        threads = [threading.Thread(target=ask_now, args=(f"branch {j}",)) for j in range(2)]
        [thread.start() for thread in threads]; [thread.join() for thread in threads]
        session.score(i)
"""


def recorded(agent, server, folder):
    (folder / "agent.py").write_text(HEAD + agent)
    run("record", "-o", "t.parquet", "--", sys.executable, "agent.py", server.base_url, cwd=folder)
    trace = Trace.open(folder / "t.parquet")
    calls = sorted(trace.rows(Kind.LLM_CALL).to_pylist(), key=lambda row: row["start_ns"])
    return trace, calls


@pytest.mark.parametrize(
    ("agent", "sessions", "calls_each"),
    [(BRANCHES, 1, 5), (INDEPENDENT, 3, 1), (THREADS, 3, 1), (MARKED, 2, 3)],
    ids=["branches", "independent", "threads", "marked"],
)
def test_sessions(agent, sessions, calls_each, server, tmp_path):
    trace, calls = recorded(agent, server, tmp_path)
    assert trace.count(Kind.SESSION) == sessions
    assert len(calls) == sessions * calls_each


def test_branches_are_siblings_and_the_join_waits_for_all(server, tmp_path):
    server.first_byte_s = 0.1
    _trace, (plan, *branches, join) = recorded(BRANCHES, server, tmp_path)
    assert [row["parents"] for row in branches] == [[plan["row_id"]]] * 3
    assert sorted(join["parents"]) == sorted(row["row_id"] for row in branches)


def test_marks_are_kept(server, tmp_path):
    trace, _calls = recorded(MARKED, server, tmp_path)
    sessions = trace.rows(Kind.SESSION).to_pylist()
    assert [(row["name"], row["score"], row["session_source"]) for row in sessions] == [
        ("task 0", 0.0, "explicit"),
        ("task 1", 1.0, "explicit"),
    ]
    assert {row["session_id"] for row in trace.rows(Kind.TOOL_SPAN).to_pylist()} == {
        row["row_id"] for row in sessions
    }
