"""A recording told in a few lines, for tests of what the assembly makes of it."""

from pathlib import Path

from tracekit.assembly.merge import assemble
from tracekit.schema import Kind
from tracekit.spool import Spool

PLACE = ("agent_run", "job", "trace", "trace_session", "pid")


def text_hash(text):
    return f"{abs(hash(('text', text))) % 2**64:016x}"


def prefix_hashes(messages):
    return [f"{abs(hash(tuple(map(str, messages[: end + 1])))) % 2**64:016x}" for end in range(len(messages))]


class Story:
    """Calls and tools at given milliseconds; `rows(kind)` is what the trace holds."""

    def __init__(self):
        self.records = []
        self._ids = 0

    def add(self, t, at_ms, **facts):
        self.records.append({"t": t, "ns": int(at_ms * 1e6), "pid": 1, **facts})

    def call(  # noqa: PLR0917
        self,
        start,
        end,
        messages=(),
        answer=None,
        tools=(),
        session=None,
        retry=None,
        status=200,
        body=None,
        **more,
    ):
        """`messages`: (role, text[, tool_call_ids or tool_result_id])."""
        self._ids += 1
        key = f"1-{self._ids}"
        request = {
            "api": "chat",
            "model": "m",
            "body_hash": body or f"body{self._ids}",
            "parts": [
                part(message, digest)
                for message, digest in zip(messages, prefix_hashes(messages), strict=True)
            ],
            "prompt_bytes": sum(len(message[1]) for message in messages),
            **more.pop("request", {}),
        }
        self.add(
            "attempt_start", start, id=key, thread=more.pop("thread", 1), task=more.pop("task", None),
            scope=more.pop("scope", None), transport="httpx2",
            retry_count=retry, session=session, tool=more.pop("tool", None), request=request,
            **{name: more.pop(name) for name in PLACE if name in more},
        )  # fmt: skip
        if end is not None:
            response = {
                "usage": {"input": 10, "output": 3, "cached": None},
                "usage_source": "server",
                "output_hash": text_hash(answer) if answer else None,
                "tool_calls": [{"id": key, "name": name} for key, name in tools],
                **more.pop("response", {}),
            }
            outcome = {"status": "ok", "http_status": status, "response": response} | more
            self.add("attempt_end", end, id=key, first_token_ns=int((start + 1) * 1e6), **outcome)
        return key

    def tool(self, start, end, name, thread=1, session=None, tool_call_id=None, **place):
        self._ids += 1
        key = f"tool-{self._ids}"
        self.add(
            "tool_start",
            start,
            id=key,
            name=name,
            thread=thread,
            session=session,
            tool_call_id=tool_call_id,
            source="framework",
            **place,
        )
        if end is not None:
            self.add("tool_end", end, id=key, status="ok")
        return key

    def merged(self):
        records = sorted(self.records, key=lambda record: record["ns"])
        return assemble(
            Spool(Path("x"), {"host": "here", "command": ["agent"]}, records), software_version="0"
        )

    def rows(self, kind):
        table = self.merged().tables.get(Kind(kind))
        return table.to_pylist() if table is not None else []


def part(message, digest):
    role, text, *ids = message
    ids = ids[0] if ids else None
    return {
        "role": role,
        "bytes": len(text),
        "prefix_hash": digest,
        "content_hash": text_hash(text) if text else None,
        "tool_call_ids": list(ids) if role == "assistant" and ids else [],
        "tool_result_id": ids if role == "tool" else None,
    }
