"""Lineage: which earlier call a request continues, read from the request itself.

Best evidence first: it carries results of tool calls that the earlier call asked for; it names the earlier
response; it holds the earlier call's output as an assistant message; it extends the earlier call's prompt.
Ids and texts repeat (local servers count tool calls from 0), so among the candidates the one whose whole
prompt is a prefix of the request wins, then one of the same task, then the latest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from tracekit.assembly.call import Call
from tracekit.schema import EdgeSource

_ASSISTANT = "assistant"


@dataclass(frozen=True)
class Link:
    """The call that another continues, and how that is known."""

    parent: Call
    source: EdgeSource
    tool_call_ids: tuple[str, ...] = ()


class Lineage:
    """Answers `link(call)` for the calls of one recording; calls are indexed as they end."""

    def __init__(self, calls: Iterable[Call]) -> None:
        self._by_tool_call: dict[str, list[Call]] = defaultdict(list)
        self._by_response: dict[str, list[Call]] = defaultdict(list)
        self._by_output: dict[str, list[Call]] = defaultdict(list)
        self._by_prompt: dict[int, list[Call]] = defaultdict(list)
        for call in calls:
            self._index(call)

    def _index(self, call: Call) -> None:
        for tool_call_id, _name in call.produced_tools:
            self._by_tool_call[tool_call_id].append(call)
        if call.response_id:
            self._by_response[call.response_id].append(call)
        if call.output_hash:
            self._by_output[call.output_hash].append(call)
        if call.prompt_hash is not None:
            self._by_prompt[call.prompt_hash].append(call)

    def generated(self, content_hash: str | None, tool_call_ids: Iterable[str]) -> bool:
        """Whether an assistant message was seen being generated in this recording."""
        if content_hash is not None and content_hash in self._by_output:
            return True
        return any(tool_call_id in self._by_tool_call for tool_call_id in tool_call_ids)

    def link(self, call: Call) -> Link | None:
        """The call that `call` continues, or None where its request shows none.

        A conversation carries all its past, so of the calls that the evidence names the one that ended last
        is continued; the better evidence wins where they name the same one.
        """
        found = [self._by_tools(call), self._by_id(call), self._by_message(call), self._by_prefix(call)]
        return max((link for link in found if link), key=lambda link: link.parent.end_ns or 0, default=None)

    def _by_tools(self, call: Call) -> Link | None:
        results = [part.tool_result_id for part in call.parts if part.tool_result_id]
        producers = {result: _best(call, self._by_tool_call.get(result, ())) for result in results}
        known = [producer for producer in producers.values() if producer is not None]
        if not known:
            return None
        parent = max(known, key=lambda producer: (producer.end_ns or 0, producer.start_ns))
        fresh = tuple(result for result in results if producers[result] is parent)
        return Link(parent, EdgeSource.TOOL_ID, fresh)

    def _by_id(self, call: Call) -> Link | None:
        previous = call.first.request.get("previous_response_id")
        parent = _best(call, self._by_response.get(previous, ())) if previous else None
        return Link(parent, EdgeSource.RESPONSE_ID) if parent else None

    def _by_message(self, call: Call) -> Link | None:
        for part in reversed(call.parts):
            if part.role == _ASSISTANT and part.content_hash:
                parent = _best(call, self._by_output.get(part.content_hash, ()))
                if parent:
                    return Link(parent, EdgeSource.PREFIX_CHAIN)
        return None

    def _by_prefix(self, call: Call) -> Link | None:
        for index in range(len(call.parts) - 2, -1, -1):
            prefix_hash = call.parts[index].prefix_hash
            follows_answer = call.parts[index + 1].role == _ASSISTANT
            if prefix_hash is not None and follows_answer:
                parent = _best(call, self._by_prompt.get(prefix_hash, ()))
                if parent:
                    return Link(parent, EdgeSource.PREFIX_CHAIN)
        return None


def _best(call: Call, candidates: Iterable[Call]) -> Call | None:
    """Of the calls that ended before `call` began, the one it most likely continues."""
    ended = [other for other in candidates if other.end_ns is not None and other.end_ns <= call.start_ns]
    return max(ended, key=lambda other: _likeness(call, other), default=None)


def _likeness(call: Call, other: Call) -> tuple[bool, bool, int]:
    extends = other.prompt_hash is not None and other.prompt_hash in call.prompt_hashes
    return (extends, other.last.context == call.first.context, other.end_ns or 0)
