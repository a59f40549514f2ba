"""Lineage: which earlier call a request continues, read from the request itself.

Best evidence first: it carries results of tool calls that the earlier call asked for; it names the earlier
response; it holds the earlier call's output as an assistant message; it extends the earlier call's prompt.
Ids and texts repeat (local servers count tool calls from 0), so the call whose whole prompt is what stands
before the message wins, then one of the same task, then any; of those that ended before the request, the last.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tracekit.assembly.attempt import Part
from tracekit.assembly.call import Call
from tracekit.schema import EdgeSource

INSTRUCTION_ROLES = ("tools", "system", "developer")
GENERATED_ROLES = ("assistant", "reasoning")
LONGEST_ANSWER_PARTS = 64
"""Messages that one answer may have become in the next request (reasoning, text, tool calls)."""


@dataclass(frozen=True)
class Link:
    """The call that another continues, and how that is known."""

    parent: Call
    source: EdgeSource
    tool_call_ids: tuple[str, ...] = ()


class _Place(NamedTuple):
    """A call by its end, for bisection."""

    end_ns: int
    number: int
    call: Call


class _Index:
    """Finished calls under a key, with and without their prompt and task; O(log n) a question."""

    def __init__(self) -> None:
        self._places: dict[Hashable, list[_Place]] = defaultdict(list)
        self._count = 0

    def add(self, key: Hashable, call: Call) -> None:
        if call.end_ns is None:
            return
        self._count += 1
        place = _Place(call.end_ns, self._count, call)
        prompt_hash, task = call.prompt_hash, call.last.context
        for full_key in (
            (key, prompt_hash, task),
            (key, prompt_hash, None),
            (key, None, task),
            (key, None, None),
        ):
            insort(self._places[full_key], place)

    def last(self, key: Hashable, before: Call, prompt_hashes: Iterable[int | None] = ()) -> Call | None:
        """The last call under `key` that ended before `before` began.

        Of those prompts and its task, else of those prompts, else of its task, else any.
        """
        task = before.first.context
        known = [prompt_hash for prompt_hash in prompt_hashes if prompt_hash is not None]
        of_prompts = [(key, prompt_hash, place) for place in (task, None) for prompt_hash in known]
        for full_key in (*of_prompts, (key, None, task), (key, None, None)):
            places = self._places.get(full_key)
            if places:
                count = bisect_right(places, before.start_ns, key=lambda place: place.end_ns)
                if count:
                    return places[count - 1].call
        return None

    def __contains__(self, key: Hashable) -> bool:
        return (key, None, None) in self._places


class Lineage:
    """Answers which call another continues, for the calls of one recording."""

    def __init__(self, calls: Iterable[Call]) -> None:
        self._by_tool_call = _Index()
        self._by_response = _Index()
        self._by_output = _Index()
        self._by_prompt = _Index()
        for call in calls:
            self._add(call)

    def _add(self, call: Call) -> None:
        for tool_call_id, _name in call.produced_tools:
            self._by_tool_call.add(tool_call_id, call)
        if call.response_id:
            self._by_response.add(call.response_id, call)
        if call.output_hash:
            self._by_output.add(call.output_hash, call)
        if call.prompt_hash is not None:
            self._by_prompt.add(call.prompt_hash, call)

    def generated(self, call: Call, index: int) -> bool:
        """Whether the message at `index` of the prompt was seen being generated in this recording."""
        return self._producer(call, index) is not None

    def link(self, call: Call) -> Link | None:
        """The call that `call` continues, or None where its request shows none.

        A conversation carries all its past, so of the calls that the evidence names the one that ended last
        is continued; the better evidence wins where they name the same one.
        """
        found = [self._by_tools(call), self._by_id(call), self._by_message(call), self._by_prefix(call)]
        return max((link for link in found if link), key=lambda link: link.parent.end_ns or 0, default=None)

    def _by_tools(self, call: Call) -> Link | None:
        producers: dict[int, tuple[str, Call]] = {}
        for index, part in enumerate(call.parts):
            if part.tool_result_id and part.tool_result_id in self._by_tool_call:
                asked = _asking(call.parts, index, part.tool_result_id)
                parent = self._by_tool_call.last(
                    part.tool_result_id, call, _prompts_before(call.parts, asked)
                )
                if parent is not None:
                    producers[index] = (part.tool_result_id, parent)
        if not producers:
            return None
        last = max(
            (parent for _id, parent in producers.values()),
            key=lambda parent: (parent.end_ns or 0, parent.start_ns),
        )
        fresh = [result for result, parent in producers.values() if parent is last]
        return Link(last, EdgeSource.TOOL_ID, tuple(dict.fromkeys(fresh)))

    def _by_id(self, call: Call) -> Link | None:
        previous = call.first.request.get("previous_response_id")
        parent = self._by_response.last(previous, call) if previous else None
        return Link(parent, EdgeSource.RESPONSE_ID) if parent else None

    def _by_message(self, call: Call) -> Link | None:
        for index in range(len(call.parts) - 1, -1, -1):
            if call.parts[index].role in GENERATED_ROLES and call.parts[index].content_hash:
                parent = self._producer(call, index)
                if parent:
                    return Link(parent, EdgeSource.PREFIX_CHAIN)
        return None

    def _by_prefix(self, call: Call) -> Link | None:
        for index in range(len(call.parts) - 2, -1, -1):
            prefix_hash = call.parts[index].prefix_hash
            if call.parts[index + 1].role in GENERATED_ROLES and prefix_hash in self._by_prompt:
                parent = self._by_prompt.last(prefix_hash, call)
                if parent:
                    return Link(parent, EdgeSource.PREFIX_CHAIN)
        return self._by_repetition(call)

    def _by_repetition(self, call: Call) -> Link | None:
        """An earlier question of the same flow, whole, with more said behind it: a new trial, or an interruption.

        The same question alone says nothing: it may be asked of many sessions.
        """
        for index in range(len(call.parts) - 2, -1, -1):
            part = call.parts[index]
            if part.role in INSTRUCTION_ROLES:
                return None
            parent = (
                self._by_prompt.last(part.prefix_hash, call) if part.prefix_hash in self._by_prompt else None
            )
            if parent is not None and call.first.scope in (parent.first.scope, parent.last.scope):
                return Link(parent, EdgeSource.PREFIX_CHAIN)
        return None

    def _producer(self, call: Call, index: int) -> Call | None:
        """The call whose answer the message is; a message that stood in that call's own prompt is not."""
        part = call.parts[index]
        found = None
        if part.content_hash is not None and part.content_hash in self._by_output:
            found = self._by_output.last(part.content_hash, call, _prompts_before(call.parts, index))
        for tool_call_id in part.tool_call_ids if found is None else ():
            found = found or self._by_tool_call.last(tool_call_id, call, _prompts_before(call.parts, index))
        return None if found is None or part.prefix_hash in found.prompt_hashes else found


def _asking(parts: list[Part], index: int, tool_call_id: str) -> int:
    """Where the message stands that asked for the result at `index`; the result's own place if none does."""
    for place in range(index - 1, -1, -1):
        if tool_call_id in parts[place].tool_call_ids:
            return place
    return index


def _prompts_before(parts: list[Part], index: int) -> Iterator[int | None]:
    """Hashes of what could have been the prompt that the message at `index` answers, longest first."""
    for place in range(index - 1, max(-1, index - 1 - LONGEST_ANSWER_PARTS), -1):
        yield parts[place].prefix_hash
        if parts[place].role not in GENERATED_ROLES and not parts[place].tool_result_id:
            return
