"""OpenInference spans (Arize Phoenix), in OTLP JSON or the SDKs' JSON: openinference.span.kind says what they are.

LLM and EMBEDDING are calls, TOOL a tool, AGENT frames a session; session.id joins traces. Tokens are under
llm.token_count.*; the first token is the event "First Token Stream Event".
"""

from __future__ import annotations

import json
from typing import Any

from tracekit.interchange.imported import Row
from tracekit.interchange.quantity import optional_text, optional_tokens
from tracekit.interchange.reader import first_of
from tracekit.interchange.spans import Meaning, Role, Span, SpanReader

_ROLES = {"LLM": Role.CALL, "EMBEDDING": Role.CALL, "TOOL": Role.TOOL, "AGENT": Role.AGENT}
_TOKENS = {
    "input_tokens": "llm.token_count.prompt",
    "output_tokens": "llm.token_count.completion",
    "cached_tokens": "llm.token_count.prompt_details.cache_read",
    "cache_write_tokens": "llm.token_count.prompt_details.cache_write",
    "reasoning_tokens": "llm.token_count.completion_details.reasoning",
}
_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_FIRST_TOKEN = "First Token Stream Event"


class Reader(SpanReader):
    """OpenInference spans."""

    def meaning(self, span: Span) -> Meaning:
        """A call, a tool, an agent or none of them."""
        attributes = span.attributes
        kind = str(attributes.get("openinference.span.kind", "")).upper()
        conversation_id = attributes.get("session.id")
        meaning = Meaning(_ROLES.get(kind), optional_text(conversation_id))
        if meaning.role is Role.CALL:
            meaning.columns = _call_columns(span, kind)
        elif meaning.role is Role.TOOL:
            meaning.columns = {
                "name": str(attributes.get("tool.name") or span.name),
                "tool_call_id": optional_text(first_of(attributes, ("tool_call.id", "tool.id"))),
            }
        elif meaning.role is Role.AGENT:
            meaning.columns = {"agent_name": str(attributes.get("agent.name") or span.name)}
        return meaning


def _call_columns(span: Span, kind: str) -> Row:
    attributes = span.attributes
    columns: Row = {column: optional_tokens(attributes.get(name), name) for column, name in _TOKENS.items()}
    model = first_of(attributes, ("llm.model_name", "embedding.model_name"))
    asked = _invocation_parameters(attributes.get("llm.invocation_parameters"))
    first_ns = next((ns for name, ns in span.events if name == _FIRST_TOKEN), None)
    temperature = asked.get("temperature")
    return columns | {
        "api": "embeddings" if kind == "EMBEDDING" else None,
        "model": optional_text(model),
        "stream": True if first_ns is not None or asked.get("stream") is True else None,
        "max_tokens": optional_tokens(first_of(asked, _LIMITS), "max_tokens"),
        "temperature": float(temperature) if isinstance(temperature, int | float) else None,
        "first_token_ns": first_ns,
        "usage_source": "missing" if columns["input_tokens"] is None else "server",
    }


def _invocation_parameters(text: Any) -> dict[str, Any]:
    """The request's settings, which come as JSON text; none where they do not."""
    try:
        value = json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
