"""LLM calls: the attempts of one logical request, grouped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tracekit.assembly.attempt import Attempt, Part
from tracekit.schema import Status

if TYPE_CHECKING:
    from tracekit.assembly.tool_span import ToolSpan


@dataclass(eq=False)
class Call:
    """One logical request: first attempt's start to last attempt's end; `around` is the tool it was made in."""

    attempts: list[Attempt]
    row_id: int = -1
    session_id: int | None = None
    parents: list[int] = field(default_factory=list)
    edge_source: str | None = None
    around: ToolSpan | None = None
    estimate: dict[str, int] = field(default_factory=dict)

    @property
    def first(self) -> Attempt:
        return self.attempts[0]

    @property
    def last(self) -> Attempt:
        return self.attempts[-1]

    @property
    def start_ns(self) -> int:
        return self.first.start_ns

    @property
    def end_ns(self) -> int | None:
        return self.last.end_ns

    @property
    def status(self) -> Status:
        return self.last.status

    @cached_property
    def parts(self) -> list[Part]:
        return self.last.parts

    @cached_property
    def prompt_hashes(self) -> frozenset[int]:
        """Hash of the prompt up to the end of each of its messages."""
        return frozenset(part.prefix_hash for part in self.parts if part.prefix_hash is not None)

    @property
    def prompt_hash(self) -> int | None:
        """Hash of the whole prompt."""
        return self.parts[-1].prefix_hash if self.parts else None

    @cached_property
    def produced_tools(self) -> list[tuple[str, str | None]]:
        """(id, name) of the tool calls in the answer."""
        calls = self.last.response.get("tool_calls") or []
        return [
            (tool["id"], tool.get("name"))
            for tool in calls
            if isinstance(tool, dict) and isinstance(tool.get("id"), str) and tool["id"]
        ]

    @property
    def server_usage(self) -> dict[str, Any]:
        """The server's counts, empty without any."""
        usage = self.last.response.get("usage")
        return usage if isinstance(usage, dict) else {}

    @property
    def usage(self) -> dict[str, Any]:
        """The server's counts, or else what was estimated; never some of each."""
        return self.server_usage or self.estimate

    @property
    def output_hash(self) -> str | None:
        return _text(self.last.response.get("output_hash"))

    @property
    def response_id(self) -> str | None:
        return _text(self.last.response.get("response_id"))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def group_calls(attempts: Iterable[Attempt]) -> list[Call]:
    """Attempts in order of start, each call's retries under it.

    A retry repeats the body of an attempt that failed just before, in the same thread and task: the client's
    own, the agent's around it, or the hop behind a redirect.
    """
    calls: list[Call] = []
    latest: dict[tuple[object, ...], Call] = {}
    for attempt in attempts:
        key = (*attempt.context, attempt.request.get("body_hash"))
        call = latest.get(key)
        if call is not None and _is_retry(call.last):
            call.attempts.append(attempt)
        else:
            call = Call([attempt])
            calls.append(call)
            latest[key] = call
    return calls


def _is_retry(previous: Attempt) -> bool:
    return previous.end_ns is not None and previous.failed
