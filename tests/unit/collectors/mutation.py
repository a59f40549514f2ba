"""Answers of real shapes, damaged: what servers, proxies and networks send when something goes wrong."""

from __future__ import annotations

import gzip
import json
import random
import zlib
from typing import Any

from tests.unit.collectors import fake_server

_PATHS = {
    "chat": "/v1/chat/completions",
    "completions": "/v1/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
    "embeddings": "/v1/embeddings",
    "ollama": "/api/chat",
}
_ODD = tuple(json.dumps(value) for value in (
    None, True, -1, 0, 1 << 70, 1e308, "", "x" * 300, "\ud83d", "\0", [], {}, [[]], [None], {"": {}},
))  # fmt: skip
_PIECES = [b"\r\n", b"\n\n", b"data:", b"data: [DONE]\n\n", b": comment\n", b"\0", b"\xff\xfe", b"{", b"}", b'"',
           b"[" * 2000, b"event: x\n", b"\xef\xbb\xbf", b"1e999", b"\\ud800", b"NaN", b"\r"]  # fmt: skip


def answers() -> list[tuple[str, bytes]]:
    """Whole and streamed answers of every API, and the path of each."""
    found = []
    for path in _PATHS.values():
        for words in (set(), {"tools", "reasoning", "usage", "timings"}, {"crlf", "comments"}):
            body = {"model": "m", "n": 2}
            found.append((path, json.dumps(fake_server._answer(path, body, words)).encode()))
            if path != "/v1/embeddings":
                events = b"".join(event for event, _ in fake_server._events(path, body, words))
                found.append((path, events.replace(b"\n", b"\r\n") if "crlf" in words else events))
    return found


def damaged(draw: random.Random, data: bytes) -> bytes:
    """The answer with some of its values, bytes or lines changed."""
    if draw.random() < 0.5:
        data = _other_values(draw, data)
    wrong = bytearray(data)
    for _ in range(draw.choice((0, 1, 1, 2, 5))):
        at = draw.randrange(len(wrong) + 1)
        end = min(len(wrong), at + draw.choice((1, 3, 40)))
        kind = draw.randrange(5)
        if kind == 0 and at < len(wrong):
            wrong[at] = draw.randrange(256)
        elif kind == 1:
            del wrong[at:end]
        elif kind == 2:
            wrong[at:at] = draw.choice(_PIECES)
        elif kind == 3:
            wrong[at:at] = wrong[at:end]
        elif kind == 4:
            del wrong[at:]
    return bytes(wrong)


def encoded(draw: random.Random, data: bytes) -> tuple[str, bytes]:
    """A content encoding, true or not, and the bytes in it, now and then damaged as well."""
    name = draw.choice(("", "", "", "gzip", "deflate", "br", "zstd", "identity", "gzip, deflate", "secret"))
    if name == "gzip":
        data = gzip.compress(data, 1)
    elif name == "deflate":
        data = zlib.compress(data, 1)
    return name, damaged(draw, data) if draw.random() < 0.1 else data


def cut(draw: random.Random, data: bytes) -> list[bytes]:
    """The bytes in pieces of any size."""
    ends = sorted(draw.randrange(len(data) + 1) for _ in range(draw.choice((0, 1, 3, 9))))
    return [data[start:end] for start, end in zip([0, *ends], [*ends, len(data)], strict=True) if end > start]


def wire(draw: random.Random, data: bytes) -> list[bytes]:
    """An HTTP/1.1 response with this body, framed one way or another, now and then wrongly, in pieces."""
    encoding, data = encoded(draw, data)
    head = [b"HTTP/1.1 %d X" % draw.choice((200, 200, 200, 200, 400, 429, 500))]
    kind = draw.choice((b"text/event-stream", b"application/json", b"application/x-ndjson", b"text/plain"))
    head.append(b"Content-Type: " + kind)
    if encoding not in ("", "secret", "br", "zstd"):
        head.append(b"Content-Encoding: " + encoding.encode())
    framing = draw.randrange(3)
    if framing == 0:
        head.append(b"Content-Length: %d" % (len(data) + draw.choice((0, 0, 0, 0, 5, -5))))
    elif framing == 1:
        head.append(b"Transfer-Encoding: chunked")
        data = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in cut(draw, data)) + b"0\r\n\r\n"
        data = damaged(draw, data) if draw.random() < 0.3 else data
    head.append(b"Connection: close")
    return cut(draw, b"\r\n".join(head) + b"\r\n\r\n" + data)


def _other_values(draw: random.Random, data: bytes) -> bytes:
    """Put odd values in place of some of the JSON's own."""
    lines = data.split(b"\n")
    for number, line in enumerate(lines):
        start = line.find(b"{")
        if start < 0 or draw.random() < 0.7:
            continue
        try:
            value = json.loads(line[start:])
        except ValueError:
            continue
        for _ in range(draw.choice((1, 2, 4))):
            value = _with_odd(draw, value)
        lines[number] = line[:start] + json.dumps(value).encode()
    return b"\n".join(lines)


def _with_odd(draw: random.Random, value: Any) -> Any:
    if isinstance(value, dict) and value and draw.random() < 0.85:
        key = draw.choice(list(value))
        value[key] = _with_odd(draw, value[key])
        return value
    if isinstance(value, list) and value and draw.random() < 0.85:
        at = draw.randrange(len(value))
        value[at] = _with_odd(draw, value[at])
        return value
    return json.loads(draw.choice(_ODD))
