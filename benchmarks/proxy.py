"""What the recorder's proxy adds to calls, and how near its times come to the server's own.

Calls go alternately straight to a server on loopback and through the proxy, from one process that hooks cannot
reach. The server, a process of its own, writes into each stream when it sent the first token.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from http.client import HTTPConnection
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

FIRST_BYTE_S = 0.03
CHUNK_S = 0.01
CHUNKS = 20
LONG_CHUNKS = 1000
_EVENT = b'data: {"choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}\n\n'
_STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def print_proxy(runs: int) -> None:
    """The figures, each over so many calls."""
    ours, theirs = Pipe()
    server = Process(target=_serve, args=(theirs,), daemon=True)
    server.start()
    port = ours.recv()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "t.parquet"
        environment = os.environ | {"OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1"}
        agent = [sys.executable, "-S", __file__, str(port), str(runs)]
        command = [
            sys.executable,
            "-m",
            "tracekit",
            "record",
            "-q",
            "--proxy",
            "always",
            "-o",
            str(trace),
            "--",
            *agent,
        ]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        told = json.loads(done.stdout)
        errors = _token_errors(trace, told["truth"])
    server.terminate()
    added = [proxied - direct for direct, proxied in zip(told["direct_s"], told["proxied_s"], strict=True)]
    _print("added to a call, connection of its own", added, "ms")
    added = [
        proxied - direct
        for direct, proxied in zip(told["kept_direct_s"], told["kept_proxied_s"], strict=True)
    ]
    _print("added to a call, connection kept", added, "ms")
    _print("first token, recorded against sent", errors, "ms", "<= 5 ms")
    print(f"{'CPU of the proxy per call':45} {told['cpu_call_s'] * 1e3:8.2f} ms")
    print(f"{'CPU of the proxy per chunk':45} {told['cpu_chunk_s'] * 1e6:8.1f} us")


def _print(name: str, seconds: list[float], unit: str, bar: str = "") -> None:
    cuts = statistics.quantiles(seconds, n=20)
    p50, p95 = statistics.median(seconds) * 1e3, cuts[-1] * 1e3
    print(f"{name:45} {p50:8.2f} {unit} p50 {p95:8.2f} {unit} p95  of {len(seconds)} {bar}")


def _token_errors(trace: Path, truth: dict[str, int]) -> list[float]:
    from tracekit.schema import Kind  # noqa: PLC0415  (the agent runs this file without site-packages)
    from tracekit.trace import Trace  # noqa: PLC0415

    rows = Trace.open(trace).rows(Kind.LLM_CALL, ["model", "first_token_ns"]).to_pylist()
    return [abs(row["first_token_ns"] - truth[row["model"]]) / 1e9 for row in rows if row["model"] in truth]


def _serve(told: Connection) -> None:
    asyncio.run(_listen(told))


async def _listen(told: Connection) -> None:
    server = await asyncio.start_server(_connected, "127.0.0.1", 0)
    told.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def _connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await _answer(json.loads(await reader.readexactly(length)), writer)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def _answer(request: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    if not request.get("stream"):
        body = b'{"id":"1","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        return
    is_long = request["model"].startswith("long")
    await asyncio.sleep(FIRST_BYTE_S)
    writer.write(_STREAM)
    first_ns = 0
    for _ in range(LONG_CHUNKS if is_long else CHUNKS):
        await asyncio.sleep(0 if is_long else CHUNK_S)
        first_ns = first_ns or time.time_ns()
        writer.write(b"%x\r\n%s\r\n" % (len(_EVENT), _EVENT))
    last = b": %d\n\ndata: [DONE]\n\n" % first_ns
    writer.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(last), last))


def _ask(connection: HTTPConnection, path: str, model: str, *, stream: bool = False) -> bytes:
    body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "hi " * 300}]}
    connection.request(
        "POST", path + "/chat/completions", json.dumps(body), {"Content-Type": "application/json"}
    )
    return connection.getresponse().read()


def _agent(port: int, runs: int) -> dict[str, Any]:
    """Make the calls; what they took, and what the server said of its streams."""
    proxied = urlsplit(os.environ["OPENAI_BASE_URL"])
    ways = {"direct_s": (port, "/v1"), "proxied_s": (proxied.port, proxied.path)}
    told: dict[str, Any] = {name: [] for way in ways for name in (way, "kept_" + way)}
    kept = {way: HTTPConnection("127.0.0.1", place) for way, (place, _) in ways.items()}
    for run in range(runs + 5):
        for way, (place, path) in ways.items():
            for name, connection in ((way, HTTPConnection("127.0.0.1", place)), ("kept_" + way, kept[way])):
                start = time.perf_counter()
                _ask(connection, path, f"plain{run}")
                if run >= 5:  # warm
                    told[name].append(time.perf_counter() - start)
    connection = kept["proxied_s"]
    told["truth"] = {}
    for run in range(runs):
        answer = _ask(connection, proxied.path, f"stream{run}", stream=True)
        told["truth"][f"stream{run}"] = int(answer.split(b": ")[-2].split()[0])
    before = _cpu_s()
    for run in range(runs):
        _ask(connection, proxied.path, f"many{run}")
    between = _cpu_s()
    for run in range(10):
        _ask(connection, proxied.path, f"long{run}", stream=True)
    told["cpu_call_s"] = (between - before) / runs
    told["cpu_chunk_s"] = (_cpu_s() - between) / 10 / LONG_CHUNKS
    return told


def _cpu_s() -> float:
    """CPU time of the proxy, which is a child of this process's parent."""
    parent = os.getppid()
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        if b"proxy.process" in Path(f"/proc/{child}/cmdline").read_bytes():
            words = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    raise RuntimeError("no proxy")


if __name__ == "__main__":
    print(json.dumps(_agent(int(sys.argv[1]), int(sys.argv[2]))))
