"""A trace as OpenTelemetry GenAI spans in OTLP JSON, a line for a session: what the collector's file receiver reads.

Attribute names are the newest (opentelemetry-util-genai 1.3b0); otlp.py reads them back. A session is one trace
under a span invoke_agent, or invoke_workflow where no agent is named; a tool that LLM calls ran inside of is the
parent of what ran in it; what a step starts after is a link. Names under `tracekit.` are ours: what
the conventions have no word for.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from tracekit.errors import TraceEmpty
from tracekit.interchange.exported import Exported
from tracekit.interchange.session_steps import Row, SessionSteps, session_name, session_steps
from tracekit.schema import Kind, Status, UsageSource
from tracekit.trace import Trace

_SESSION = ("status", "name", "conversation_id", "agent_name", "score", "host")
_CALL = (
    "parents", "edge_source", "status", "error_type", "api", "server_host", "server_port", "model", "response_model",
    "response_id", "previous_response_id", "stream", "max_tokens", "temperature", "choice_count", "finish_reason",
    "first_token_ns", "input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens",
    "usage_source",
)  # fmt: skip
_TOOL = ("parents", "edge_source", "status", "error_type", "name", "tool_call_id", "frame", "tool_source")
_INTERNAL, _CLIENT = 1, 3
_ERROR = 2
_OPERATION = {"completions": "text_completion", "embeddings": "embeddings"}
_API_TYPE = {"chat": "chat_completions", "responses": "responses"}
_PROVIDERS = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "api.mistral.ai": "mistral_ai",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.x.ai": "x_ai",
    "api.perplexity.ai": "perplexity",
    "api.cohere.com": "cohere",
}
_ATTRIBUTES = {
    "gen_ai.request.model": "model",
    "gen_ai.response.model": "response_model",
    "gen_ai.response.id": "response_id",
    "gen_ai.request.previous_response.id": "previous_response_id",
    "gen_ai.request.stream": "stream",
    "gen_ai.request.max_tokens": "max_tokens",
    "gen_ai.request.temperature": "temperature",
    "gen_ai.request.choice.count": "choice_count",
    "gen_ai.usage.input_tokens": "input_tokens",
    "gen_ai.usage.cache_read.input_tokens": "cached_tokens",
    "gen_ai.usage.cache_write.input_tokens": "cache_write_tokens",
    "gen_ai.usage.output_tokens": "output_tokens",
    "gen_ai.usage.reasoning.output_tokens": "reasoning_tokens",
    "server.address": "server_host",
    "server.port": "server_port",
    "error.type": "error_type",
}

EDGES = "tracekit.edge_source"
"""Says that the span's links are all that the step starts after, and how that is known."""
NO_EDGE = "none"
Attributes = dict[str, Any]


def export(trace: Trace) -> Exported:
    """The lines of `trace`.

    Raises
    ------
    TraceEmpty : it has no step.
    """
    if not trace.count(Kind.LLM_CALL) and not trace.count(Kind.TOOL_SPAN):
        raise TraceEmpty.of(trace.path, "LLM call or tool", "Only such steps are spans.")
    named = Counter(trace.rows(Kind.SESSION, ["conversation_id"])["conversation_id"].to_pylist())
    shared = {name for name, count in named.items() if count > 1}
    notes = ["spans carry names, times and token counts, never content"]
    if shared - {None}:
        notes.append("conversation ids that several sessions share are left out, so that sessions stay apart")
    return Exported(_lines(trace, shared), notes)


def _lines(trace: Trace, shared: set[str | None]) -> Iterator[str]:
    provenance = trace.provenance.to_json()
    scope = {"name": "tracekit", "version": trace.provenance.software_version}
    for part in session_steps(trace, _SESSION, _CALL, _TOOL):
        writer = _Session(part, shared, provenance)
        resource = _pairs({"service.name": writer.service, "host.name": writer.host})
        scoped = {"scope": scope, "spans": writer.spans()}
        document = {"resourceSpans": [{"resource": {"attributes": resource}, "scopeSpans": [scoped]}]}
        yield json.dumps(document, separators=(",", ":"), ensure_ascii=False) + "\n"


class _Session:
    """The spans of one session, or of one step that belongs to none."""

    def __init__(self, part: SessionSteps, shared: set[str | None], provenance: bytes) -> None:
        self._part = part
        owner = part.session or (*part.calls, *part.tools)[0]
        key = f"{'session' if part.session else 'step'}-{owner['row_id']}".encode()
        self._trace_id = hashlib.blake2b(key + provenance, digest_size=16).hexdigest()
        conversation = part.session and part.session["conversation_id"]
        self._conversation = None if conversation in shared else conversation
        self.service = (part.session and part.session["agent_name"]) or "unknown_service"
        self.host = part.session and part.session["host"]

    def spans(self) -> list[Row]:
        """The root, then the steps in order of start."""
        root = [] if self._part.session is None else [self._root(self._part.session)]
        steps = sorted((*self._part.calls, *self._part.tools), key=_place)
        here = {row["row_id"] for row in steps}
        frames: list[Row] = []
        for row in steps:
            frames = [frame for frame in frames if frame["end_ns"] > row["start_ns"]]
            around = [frame for frame in frames if _is_inside(row, frame)]
            root.append(self._step(row, around[-1] if around else None, here))
            if row.get("frame") and row["end_ns"] is not None:
                frames.append(row)
        return root

    def _root(self, session: Row) -> Row:
        agent, name = session["agent_name"], session_name(session)
        said: Attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": agent}
        if agent is None:
            said = {"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": name}
        said |= {"gen_ai.conversation.id": self._conversation, "tracekit.score": session["score"]}
        return self._span(session, f"{said['gen_ai.operation.name']} {agent or name}", _INTERNAL, said)

    def _step(self, row: Row, frame: Row | None, here: set[int]) -> Row:
        name, kind, said = _tool(row) if "tool_call_id" in row else _call(row)
        said |= {"gen_ai.conversation.id": self._conversation, EDGES: row["edge_source"] or NO_EDGE}
        span = self._span(row, name, kind, said)
        above = frame or self._part.session
        if above is not None:
            span["parentSpanId"] = self._span_id(above)
        links = [key for key in row["parents"] or () if key in here]
        if links:
            span["links"] = [{"traceId": self._trace_id, "spanId": _span_id(key)} for key in links]
        return span

    def _span(self, row: Row, name: str, kind: int, said: Attributes) -> Row:
        span: Row = {
            "traceId": self._trace_id,
            "spanId": self._span_id(row),
            "name": name,
            "kind": kind,
            "startTimeUnixNano": str(row["start_ns"]),
        }
        if row["end_ns"] is not None:
            span["endTimeUnixNano"] = str(row["end_ns"])
        if row["status"] not in (Status.OK, Status.ERROR):
            said["tracekit.status"] = row["status"]
        span["attributes"] = _pairs(said)
        span["status"] = {"code": _ERROR} if row["status"] == Status.ERROR else {}
        return span

    @staticmethod
    def _span_id(row: Row) -> str:
        return _span_id(row["row_id"])


def _span_id(row_id: int) -> str:
    return f"{row_id + 1:016x}"


def _place(row: Row) -> tuple[int, bool, int]:
    """In order of start, what may hold others first."""
    return row["start_ns"], not row.get("frame"), row["row_id"]


def _is_inside(row: Row, frame: Row) -> bool:
    end_ns = row["start_ns"] if row["end_ns"] is None else row["end_ns"]
    return bool(end_ns <= frame["end_ns"])


def _call(row: Row) -> tuple[str, int, Attributes]:
    operation = _OPERATION.get(row["api"], "chat")
    said: Attributes = {"gen_ai.operation.name": operation, "gen_ai.provider.name": _provider(row)}
    said |= {name: row[column] for name, column in _ATTRIBUTES.items()}
    said["openai.api.type"] = _API_TYPE.get(row["api"])
    if row["finish_reason"] is not None:
        said["gen_ai.response.finish_reasons"] = [row["finish_reason"]]
    if row["first_token_ns"] is not None:
        said["gen_ai.response.time_to_first_chunk"] = (row["first_token_ns"] - row["start_ns"]) / 1e9
    if row["usage_source"] in (UsageSource.INJECTED, UsageSource.ESTIMATED):
        said["tracekit.usage_source"] = row["usage_source"]
    return f"{operation} {row['model'] or ''}".rstrip(), _CLIENT, said


def _provider(row: Row) -> str:
    """The provider whose API it is; a server of one's own speaks OpenAI's, or Anthropic's."""
    host = row["server_host"] or ""
    if host.endswith(".openai.azure.com"):
        return "azure.ai.openai"
    return _PROVIDERS.get(host) or ("anthropic" if row["api"] == "messages" else "openai")


def _tool(row: Row) -> tuple[str, int, Attributes]:
    said: Attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": row["name"] or "tool",
        "gen_ai.tool.call.id": row["tool_call_id"],
        "gen_ai.tool.type": "function",
        "error.type": row["error_type"],
        "tracekit.tool_source": row["tool_source"],
    }
    return f"execute_tool {said['gen_ai.tool.name']}", _INTERNAL, said


def _pairs(said: Attributes) -> list[Row]:
    return [{"key": key, "value": _value(value)} for key, value in said.items() if value is not None]


def _value(value: Any) -> Row:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(part) for part in value]}}
    return {"stringValue": str(value)}
