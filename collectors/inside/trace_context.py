"""What tracing that the agent itself uses says of the conversation and the trace that the code runs in.

Looked at only where the agent has imported it. OpenTelemetry: a conversation's id is among the attributes of the
open span, in the context (OpenInference's `using_session`) or in the baggage; a trace is told by a span that is
being recorded. The OpenAI Agents SDK: the group and the id of its current trace.
"""

from __future__ import annotations

import sys

from .plain import label

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Identity = tuple[str | None, str | None]

OTEL = "opentelemetry.trace"
AGENTS = "agents.tracing.scope"
"""Without these two modules there is nothing to ask."""
_NAMES = ("gen_ai.conversation.id", "session.id")
_NOTHING = (None, None)
_NO_TRACE = "no-op"


def trace_identity() -> Identity:
    """The conversation's id and the trace's, each None if there is none."""
    conversation, trace = _told(_otel)
    if conversation is None and trace is None:
        return _told(_agents)
    return conversation, trace


def _told(ask: Any) -> Identity:
    try:
        told: Identity = ask()
        return told
    except Exception:  # half imported, or of another shape
        return _NOTHING


def _otel() -> Identity:
    trace: Any = sys.modules.get(OTEL)
    if trace is None:
        return _NOTHING
    span = trace.get_current_span()
    context = span.get_span_context()
    is_recorded = context.is_valid and span.is_recording()
    return _conversation(span), (format(context.trace_id, "032x") if is_recorded else None)


def _conversation(span: Any) -> str | None:
    attributes = getattr(span, "attributes", None) or {}
    for read in (attributes.get, *_readers()):
        for name in _NAMES:
            found = label(read(name))
            if found:
                return found
    return None


def _readers() -> list[Any]:
    """How to look up a name in the context and in the baggage, where those modules are loaded."""
    context, baggage = sys.modules.get("opentelemetry.context"), sys.modules.get("opentelemetry.baggage")
    readers = [getattr(context, "get_value", None), getattr(baggage, "get_baggage", None)]
    return [read for read in readers if read is not None]


def _agents() -> Identity:
    scope: Any = sys.modules.get(AGENTS)
    trace = None if scope is None else scope.Scope.get_current_trace()
    if trace is None:
        return _NOTHING
    trace_id = label(trace.trace_id)
    return label(getattr(trace, "group_id", None)), (None if trace_id == _NO_TRACE else trace_id)
