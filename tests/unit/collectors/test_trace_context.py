"""The conversation and the trace of the agent's own tracing, by modules of its shape."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest

from tracekit.collectors.inside.named_session import client_session
from tracekit.collectors.inside.trace_context import trace_identity


class Context:
    def __init__(self, trace_id: int) -> None:
        self.trace_id, self.is_valid = trace_id, trace_id != 0


class Span:
    def __init__(
        self, trace_id: int, attributes: dict[str, Any] | None = None, recording: bool = True
    ) -> None:
        self._context, self._recording = Context(trace_id), recording
        self.attributes = attributes

    def get_span_context(self) -> Context:
        return self._context

    def is_recording(self) -> bool:
        return self._recording


def otel(
    monkeypatch: pytest.MonkeyPatch, span: Any, context: dict[str, Any], baggage: dict[str, Any]
) -> None:
    shapes = {
        "opentelemetry.trace": {"get_current_span": lambda: span},
        "opentelemetry.context": {"get_value": context.get},
        "opentelemetry.baggage": {"get_baggage": baggage.get},
    }
    for name, members in shapes.items():
        monkeypatch.setitem(sys.modules, name, types.SimpleNamespace(**members))  # type: ignore[arg-type]


def test_without_tracing_there_is_nothing() -> None:
    assert "opentelemetry.trace" not in sys.modules
    assert trace_identity() == (None, None)
    assert "opentelemetry.trace" not in sys.modules


@pytest.mark.parametrize(
    ("span", "context", "baggage", "found"),
    [
        (Span(0), {}, {}, (None, None)),
        (Span(10), {}, {}, (None, f"{10:032x}")),
        (Span(10, recording=False), {}, {}, (None, None)),
        (Span(10, {"gen_ai.conversation.id": "c"}), {"session.id": "s"}, {}, ("c", f"{10:032x}")),
        (Span(0), {"session.id": "s"}, {"session.id": "b"}, ("s", None)),
        (Span(0), {}, {"gen_ai.conversation.id": "b"}, ("b", None)),
        (Span(0, {"session.id": 7}), {}, {}, (None, None)),
        (object(), {}, {}, (None, None)),
    ],
)
def test_opentelemetry(
    monkeypatch: pytest.MonkeyPatch, span: Any, context: Any, baggage: Any, found: Any
) -> None:
    otel(monkeypatch, span, context, baggage)
    assert trace_identity() == found


@pytest.mark.parametrize(
    ("trace", "found"),
    [
        (None, (None, None)),
        (types.SimpleNamespace(trace_id="trace_1", group_id="g"), ("g", "trace_1")),
        (types.SimpleNamespace(trace_id="trace_1"), (None, "trace_1")),
        (types.SimpleNamespace(trace_id="no-op"), (None, None)),
    ],
)
def test_the_agents_sdks_own_trace(monkeypatch: pytest.MonkeyPatch, trace: Any, found: Any) -> None:
    scope = types.SimpleNamespace(Scope=types.SimpleNamespace(get_current_trace=lambda: trace))
    monkeypatch.setitem(sys.modules, "agents.tracing.scope", scope)  # type: ignore[arg-type]
    assert trace_identity() == found


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, None),
        ({"metadata": {"session_id": "s"}}, "s"),
        ({"metadata": {"thread_id": "t", "user": "u"}}, "t"),
        ({"metadata": {"user_id": "user_0a_account_1b_session_2c"}}, "2c"),
        ({"metadata": {"user_id": "somebody"}}, None),
        ({"metadata": {"session_id": 7}}, None),
        ({"metadata": "text", "litellm_session_id": "l"}, "l"),
        ({"nvext": {"agent_context": {"session_id": "d"}}}, "d"),
        ({"user": "u", "prompt_cache_key": "k"}, None),
    ],
)
def test_a_session_that_the_request_names(body: Any, named: str | None) -> None:
    assert client_session(body) == named
