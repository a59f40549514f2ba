"""OpenTelemetry GenAI spans (semantic conventions, all still in development), in OTLP JSON or the SDKs' JSON.

Names of now and of before are read: gen_ai.usage.input_tokens and prompt_tokens, gen_ai.provider.name and system,
cache_write and cache_creation, OpenLLMetry's llm.* and traceloop.*. Operations chat, generate_content,
text_completion and embeddings are calls; execute_tool is a tool; invoke_agent and invoke_workflow frame a session.
input_tokens include cached ones, as the conventions say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tracekit.interchange.imported import Row
from tracekit.interchange.otlp_writer import EDGES, NO_EDGE
from tracekit.interchange.quantity import NS_PER_S, optional_ns, optional_text, optional_tokens
from tracekit.interchange.reader import first_of
from tracekit.interchange.spans import Meaning, Role, Span, SpanReader
from tracekit.schema import EdgeSource, UsageSource

_ROLES = {
    "chat": Role.CALL,
    "generate_content": Role.CALL,
    "text_completion": Role.CALL,
    "embeddings": Role.CALL,
    "completion": Role.CALL,
    "execute_tool": Role.TOOL,
    "tool": Role.TOOL,
    "invoke_agent": Role.AGENT,
    "invoke_workflow": Role.AGENT,
    "agent": Role.AGENT,
    "workflow": Role.AGENT,
}
_APIS = {
    "chat": "chat",
    "text_completion": "completions",
    "completion": "completions",
    "embeddings": "embeddings",
}
_TOKENS = {
    "input_tokens": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.usage.prompt_tokens"),
    "output_tokens": (
        "gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.usage.completion_tokens",
    ),
    "cached_tokens": ("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens"),
    "cache_write_tokens": (
        "gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
    ),
    "reasoning_tokens": ("gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens"),
    "max_tokens": ("gen_ai.request.max_tokens",),
}  # fmt: skip
_TEXTS = {
    "model": ("gen_ai.request.model",),
    "response_model": ("gen_ai.response.model",),
    "response_id": ("gen_ai.response.id",),
    "previous_response_id": ("gen_ai.request.previous_response.id",),
    "server_host": ("server.address",),
}


class Reader(SpanReader):
    """GenAI spans."""

    def meaning(self, span: Span) -> Meaning:
        """A call, a tool, an agent or none of them."""
        attributes = span.attributes
        operation = _operation(attributes)
        role = _ROLES.get(operation)
        conversation_id = first_of(
            attributes, ("gen_ai.conversation.id", "traceloop.association.properties.session_id")
        )
        meaning = Meaning(role, optional_text(conversation_id))
        known = attributes.get(EDGES)
        if known == NO_EDGE or known in set(EdgeSource):
            meaning.has_edges = True
            meaning.edge_source = None if known == NO_EDGE else EdgeSource(known)
        if role is Role.CALL:
            meaning.columns = _call_columns(span, operation)
        elif role is Role.TOOL:
            name = first_of(attributes, ("gen_ai.tool.name", "traceloop.entity.name"))
            meaning.columns = {
                "name": str(name or span.name.removeprefix("execute_tool ")),
                "tool_call_id": optional_text(attributes.get("gen_ai.tool.call.id")),
                "error_type": optional_text(attributes.get("error.type")),
            }
        elif role is Role.AGENT:
            meaning.columns = {
                "agent_name": optional_text(
                    first_of(attributes, ("gen_ai.agent.name", "traceloop.entity.name"))
                )
            }
        return meaning


def _operation(attributes: Mapping[str, Any]) -> str:
    named = first_of(attributes, ("gen_ai.operation.name", "llm.request.type", "traceloop.span.kind"))
    if named is not None:
        return str(named)
    asked = attributes.get("gen_ai.request.model") is not None
    return "chat" if asked and first_of(attributes, ("gen_ai.provider.name", "gen_ai.system")) else ""


def _call_columns(span: Span, operation: str) -> Row:
    attributes = span.attributes
    columns: Row = {
        column: optional_tokens(first_of(attributes, names), names[0]) for column, names in _TOKENS.items()
    }
    for column, names in _TEXTS.items():
        columns[column] = optional_text(first_of(attributes, names))
    api = str(attributes.get("openai.api.type", ""))
    reasons = attributes.get("gen_ai.response.finish_reasons")
    first_ns = optional_ns(
        attributes.get("gen_ai.response.time_to_first_chunk"), "time_to_first_chunk", NS_PER_S
    )
    temperature = attributes.get("gen_ai.request.temperature")
    stream = first_of(attributes, ("gen_ai.request.stream", "llm.is_streaming"))
    columns |= {
        "api": "responses" if api == "responses" else _APIS.get(operation),
        "stream": None if stream is None else bool(stream),
        "temperature": float(temperature) if isinstance(temperature, int | float) else None,
        "finish_reason": str(reasons[0]) if isinstance(reasons, list) and reasons else None,
        "first_token_ns": None if first_ns is None else span.start_ns + first_ns,
        "error_type": optional_text(attributes.get("error.type")),
        "usage_source": _usage_source(attributes, columns["input_tokens"]),
    }
    return columns


def _usage_source(attributes: Mapping[str, Any], input_tokens: int | None) -> str:
    """Whose the counts are: the server's, unless our own export says otherwise."""
    if input_tokens is None:
        return UsageSource.MISSING
    said = attributes.get("tracekit.usage_source")
    return said if said in (UsageSource.INJECTED, UsageSource.ESTIMATED) else UsageSource.SERVER
