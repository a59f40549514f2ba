"""A model server that costs next to nothing itself: fixed answers, and a log of when it sent what.

The model's name says how it behaves: ``<any>-<chunks>-<milliseconds between chunks>`` for streams. Run as
``python -m benchmarks.recorder.model_server [LOG]``; it prints its port. LOG gets one JSON object a stream: model,
when the first and the last content were handed to the socket (Unix ns).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import IO

ANSWER = {
    "id": "c", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello there."}}],
    "usage": {"prompt_tokens": 111, "completion_tokens": 22, "total_tokens": 133},
}  # fmt: skip
CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\n"


def _chunk(delta: dict[str, str], reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    data = b"data: " + json.dumps({**CHUNK, "choices": [choice]}).encode() + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(data), data)


PLAIN = json.dumps(ANSWER).encode()
PLAIN_ANSWER = HEAD % b"application/json" + b"Content-Length: %d\r\n\r\n" % len(PLAIN) + PLAIN
STREAM_HEAD = HEAD % b"text/event-stream" + b"Transfer-Encoding: chunked\r\n\r\n"
FIRST, WORD, LAST = (
    _chunk({"role": "assistant", "content": ""}),
    _chunk({"content": " word"}),
    _chunk({}, "stop"),
)
DONE = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
BURST = 50  # chunks in one write where nothing is between them


class ModelServer:
    """Answers on one connection after another."""

    def __init__(self, log: IO[str] | None) -> None:
        self._log = log

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Every request of one connection."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0)
                body = json.loads(await reader.readexactly(length) or b"{}")
                if body.get("stream"):
                    await self._stream(writer, str(body["model"]))
                else:
                    writer.write(PLAIN_ANSWER)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _stream(self, writer: asyncio.StreamWriter, model: str) -> None:
        _name, chunks, gap_ms = model.rsplit("-", 2)
        writer.write(STREAM_HEAD)
        await asyncio.sleep(int(gap_ms) / 1000)
        writer.write(FIRST)
        sent_ns = []
        if int(gap_ms):
            for _ in range(int(chunks)):
                await asyncio.sleep(int(gap_ms) / 1000)
                sent_ns.append(time.time_ns())
                writer.write(WORD)
        else:
            for begin in range(0, int(chunks), BURST):
                sent_ns.append(time.time_ns())
                writer.write(WORD * min(BURST, int(chunks) - begin))
                await writer.drain()
        writer.write(LAST + DONE)
        if self._log is not None:
            self._log.write(
                json.dumps({"model": model, "first_ns": sent_ns[0], "last_ns": sent_ns[-1]}) + "\n"
            )
            self._log.flush()


async def main(log: Path | None) -> None:
    """Serves until it is killed."""
    with (log or Path("/dev/null")).open("a") as stream:
        model = ModelServer(stream if log else None)
        server = await asyncio.start_server(model.serve, "127.0.0.1", 0, limit=1 << 24)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else None))
