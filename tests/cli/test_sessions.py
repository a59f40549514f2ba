"""Sessions of real agents: asyncio branches, independent tasks, threads, marks; nothing but their own code."""

import sys
from collections import Counter

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
POOL = """
from concurrent.futures import ThreadPoolExecutor
ask_now("plan")
with ThreadPoolExecutor(2) as pool:
    list(pool.map(ask_now, ["branch 0", "branch 1", "branch 2"]))
async def more():
    await asyncio.gather(*(asyncio.to_thread(ask_now, f"branch {i}") for i in (3, 4)))
asyncio.run(more())
threads = [threading.Thread(target=ask_now, args=(f"branch {i}",)) for i in (5, 6)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
"""
POOL_OF_A_SERVER = """
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
pool = ThreadPoolExecutor(4)
ask_now("warm up")
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        ask_now("plan of " + self.path)
        list(pool.map(ask_now, [f"{self.path} branch {i}" for i in range(3)]))
        self.send_response(204)
        self.end_headers()
    def log_message(self, *args):
        pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
base = f"http://127.0.0.1:{server.server_port}"
clients = [threading.Thread(target=httpx.get, args=(f"{base}/task{i}",)) for i in range(3)]
[client.start() for client in clients]; [client.join() for client in clients]
"""
ASGI = """
import starlette.applications
class Agent(starlette.applications.Starlette):
    async def answer(self, path):
        async with httpx.AsyncClient() as client:
            await ask(client, "plan of " + path)
            await asyncio.gather(*(ask(client, f"{path} branch {i}") for i in range(2)))
            await asyncio.to_thread(ask_now, path + " summary")
async def main():
    app = Agent()
    async with httpx.AsyncClient() as client:
        await ask(client, "warm up")
    await asyncio.gather(*(app({"path": f"/task{i}"}, None, None) for i in range(3)))
asyncio.run(main())
"""
STARLETTE = """
class Starlette:
    async def __call__(self, scope, receive, send):
        await self.answer(scope["path"])
"""
CHILDREN = """
import multiprocessing, subprocess
CHILD = "import sys, httpx; sys.argv = ['', %r]; exec(%r); ask_now('in a child')"
def spawned():
    ask_now("spawned")
if __name__ == "__main__":
    code = CHILD % (sys.argv[1], HEAD_TEXT)
    ask_now("plan")
    subprocess.run([sys.executable, "-c", code], check=True)
    subprocess.run(f"{sys.executable} child.py {sys.argv[1]}; true", shell=True, check=True)
    process = multiprocessing.get_context("spawn").Process(target=spawned)
    process.start(); process.join()
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
    (folder / "agent.py").write_text(HEAD + f"HEAD_TEXT = {HEAD!r}\n" + agent)
    (folder / "child.py").write_text(HEAD + "ask_now('in a shell')\n")
    (folder / "starlette").mkdir()
    (folder / "starlette" / "__init__.py").touch()
    (folder / "starlette" / "applications.py").write_text(STARLETTE)
    run("record", "-o", "t.parquet", "--", sys.executable, "agent.py", server.base_url, cwd=folder)
    trace = Trace.open(folder / "t.parquet")
    calls = sorted(trace.rows(Kind.LLM_CALL).to_pylist(), key=lambda row: row["start_ns"])
    return trace, calls


@pytest.mark.parametrize(
    ("agent", "sessions", "calls_each"),
    [
        (BRANCHES, 1, 5),
        (INDEPENDENT, 3, 1),
        (THREADS, 3, 1),
        (POOL, 1, 8),
        (CHILDREN, 1, 4),
        (MARKED, 2, 3),
    ],
    ids=["branches", "independent", "threads", "pool", "children", "marked"],
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


@pytest.mark.parametrize("agent", [POOL_OF_A_SERVER, ASGI], ids=["pool of a server", "asgi"])
def test_a_server_has_one_session_a_request(agent, server, tmp_path):
    trace, (warm_up, *calls) = recorded(agent, server, tmp_path)
    assert trace.count(Kind.SESSION) == 4
    by_session = Counter(row["session_id"] for row in calls)
    assert warm_up["session_id"] not in by_session
    assert sorted(by_session.values()) == [4, 4, 4]


def test_a_childs_call_makes_its_parents_tool_a_frame(server, tmp_path):
    agent = """
import subprocess, tracekit
ask_now("plan")
with tracekit.tool("delegate"):
    subprocess.run([sys.executable, "child.py", sys.argv[1]], check=True)
ask_now("plan and what came of it")
"""
    trace, calls = recorded(agent, server, tmp_path)
    (span,) = trace.rows(Kind.TOOL_SPAN).to_pylist()
    inner = next(row for row in calls if row["pid"] != calls[0]["pid"])
    assert span["frame"] is True
    assert (span["session_id"], inner["session_id"]) == (calls[0]["session_id"],) * 2
    assert inner["parents"] == [calls[0]["row_id"]]
