"""What OpenTelemetry, if the agent uses it, says of the conversation and the trace that the code runs in.

It is only looked at where the agent has imported it. A conversation's id is in the context (OpenInference's
`using_session`), in the baggage, or among the attributes of the span that is open; a trace is told only by a
span that is being recorded.
"""

from __future__ import annotations

import sys

from .plain import label

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NAMES = ("gen_ai.conversation.id", "session.id")
_NOTHING = (None, None)


def otel_identity() -> tuple[str | None, str | None]:
    """The conversation's id and the trace's, each None if there is none."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return _NOTHING
    try:
        span: Any = trace.get_current_span()
        return _conversation(span), _trace(span)
    except Exception:  # half imported, or of another shape
        return _NOTHING


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


def _trace(span: Any) -> str | None:
    context = span.get_span_context()
    return format(context.trace_id, "032x") if context.is_valid and span.is_recording() else None
