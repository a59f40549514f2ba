"""Weka's agent sessions (github.com/callanjfox/kv-cache-tester, Apache-2.0): one JSON file a session.

Fields: id, block_size, hash_id_scope, requests of t (s from the session's start), type (n: whole answer, s:
streamed, subagent: nested requests), model, in, out, hash_ids, stop, api_time (s), ttft (s), input_types.
What was found by looking at 100 real files, and what follows from it:

- t is in whole seconds, api_time is not: a request may seem to start up to 1 s before the answer it continues.
  A lineage (the session's own requests, or a subagent's) runs one request after the other, unless two overlap by
  more; such are siblings.
- A subagent's t is the end of its work: t - duration_ms/1000 lies 1 s after the end of the request that asked for
  it, and is the same instant for subagents started together. Its requests' t count from that start. Without
  duration_ms, t is taken as the start. It is a tool span around its requests (a frame); the next request of the
  session that starts after its end starts after its last step as well.
- The wait after stop = tool_use, or after an unknown stop before a request with tool results, is a tool span, whose
  length includes any approval by the user: the source does not tell them apart. Other waits are lags.
- Requests without api_time have no known end, so the lag after them includes their answer. (think_time of the next
  request is no help: it exceeds the time between the two starts in half the cases.)
- hash_ids cover whole blocks only. Sessions carry no date: all start at 0, together.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator
from typing import Any, NamedTuple

from tracekit.errors import SourceUnreadable
from tracekit.interchange.bad_rows import BadRow
from tracekit.interchange.imported import ImportedSession, Row, prefix_columns
from tracekit.interchange.prefix_tree import PrefixTree, block_ids
from tracekit.interchange.quantity import NS_PER_MS, NS_PER_S, duration_ns, optional_ns, optional_text, tokens
from tracekit.interchange.reader import Reader as AnyReader
from tracekit.interchange.source import Source
from tracekit.schema import EdgeSource

_CLOCK_NS = NS_PER_S  # resolution of t


class _Request(NamedTuple):
    """A request, its times counted from the session's start."""

    start_ns: int
    end_ns: int | None
    input_tokens: int
    output_tokens: int
    blocks: array[int] | None
    model: str | None
    stop: str
    stream: bool | None
    first_token_ns: int | None
    brings_tool_results: bool


class _Lineage:
    """Requests that run one after the other: the session's own, or a subagent's.

    `tail` are the steps that the next request starts after, `end_ns` their end as far as known.
    """

    def __init__(self, subagent: _Subagent | None = None) -> None:
        self.subagent = subagent
        self.last: _Request | None = None
        self.last_row = -1
        self.before_last: list[int] = []


class _Subagent(NamedTuple):
    """A nested agent's span."""

    start_ns: int
    end_ns: int | None
    name: str | None


class _Running(NamedTuple):
    """A subagent whose result no request has taken yet, and the call that started it."""

    lineage: _Lineage
    caller_row: int


class Reader(AnyReader):
    """Sessions of the Weka format."""

    clock = "since each session's own start, not dates; all sessions start together"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._global_tree = PrefixTree()

    def read(self, source: Source) -> None:
        """Takes one file, a session."""
        content = source.whole()
        if not content.strip():
            return
        try:
            file = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise SourceUnreadable.foreign(source.path, "weka", f"it is not JSON ({error})", None) from error
        del content
        if not isinstance(file, dict) or not isinstance(file.get("requests"), list):
            keys = set(file) if isinstance(file, dict) else set()
            raise SourceUnreadable.foreign(
                source.path, "weka", "it has no list 'requests'", self.settings.similar(keys)
            )
        _Session(self, source, file).write()

    def finish(self) -> None:
        """Nothing is held back."""

    def tree(self, scope: Any) -> PrefixTree:
        """The prompts that a file's hash ids can be compared with."""
        return self._global_tree if scope == "global" else PrefixTree()


class _Session:
    """One file on its way into the trace."""

    def __init__(self, reader: Reader, source: Source, file: dict[str, Any]) -> None:
        self._trace = reader.trace
        self._bad_rows = reader.bad_rows
        self._path = source.path
        self._file = file
        self._tree = reader.tree(file.get("hash_id_scope"))
        self._block_tokens = reader.settings.block_tokens or _block_size(file, source)
        self._own = _Lineage()
        self._running: list[_Running] = []

    def write(self) -> None:
        """All its steps, in order of start."""
        requests = sorted(self._requests(), key=lambda pair: pair[1].start_ns)
        if not requests:
            return
        name = self._file.get("id")
        self._session = self._trace.open_session(
            requests[0][1].start_ns,
            name=None if name is None else str(name),
            session_source="explicit",
        )
        for lineage, request in requests:
            parents = self._parents(lineage, request)
            lineage.before_last = parents
            lineage.last = request
            lineage.last_row = self._add(self._session, request, parents)
        self._trace.close_session(self._session)

    def _requests(self) -> Iterator[tuple[_Lineage, _Request]]:
        for index, row in enumerate(self._file["requests"], 1):
            if isinstance(row, dict) and row.get("type") == "subagent":
                yield from self._nested(index, row)
            elif (request := self._request(f"request {index}", row, 0)) is not None:
                yield self._own, request

    def _nested(self, index: int, row: dict[str, Any]) -> Iterator[tuple[_Lineage, _Request]]:
        try:
            subagent = _subagent(row)
        except BadRow as fault:
            self._bad_rows.add(self._path, f"request {index}", fault)
            return
        lineage = _Lineage(subagent)
        for inner, nested in enumerate(row["requests"], 1):
            request = self._request(f"request {index}, its request {inner}", nested, subagent.start_ns)
            if request is not None:
                yield lineage, request

    def _request(self, place: str, row: Any, origin_ns: int) -> _Request | None:
        try:
            return _request(row, origin_ns, self._block_tokens)
        except BadRow as fault:
            self._bad_rows.add(self._path, place, fault)
            return None

    def _parents(self, lineage: _Lineage, request: _Request) -> list[int]:
        """What the request starts after; tool spans before it are written."""
        last = lineage.last
        if last is None:
            return self._caller(lineage)
        if last.end_ns is not None and request.start_ns < last.end_ns - _CLOCK_NS:
            return lineage.before_last
        joined = self._joined(lineage, request.start_ns)
        tails = [running.lineage.last_row for running in joined]
        if any(running.caller_row == lineage.last_row for running in joined):
            return tails
        return [*tails, self._tool_between(lineage, last, request)]

    def _caller(self, lineage: _Lineage) -> list[int]:
        """The call that started a subagent; the frame around its steps is written."""
        subagent, caller = lineage.subagent, self._own
        if subagent is None or caller.last is None:
            return []
        overlaps = caller.last.end_ns is not None and caller.last.end_ns > subagent.start_ns + _CLOCK_NS
        parents = caller.before_last if overlaps else [caller.last_row]
        if len(parents) == 1:
            self._running.append(_Running(lineage, parents[0]))
            if subagent.end_ns is not None:
                self._trace.add_tool(
                    self._session,
                    subagent.start_ns,
                    subagent.end_ns,
                    parents=parents,
                    edge_source=EdgeSource.TIMING,
                    name=subagent.name,
                    call_id=parents[0],
                    tool_source="framework",
                    frame=True,
                )
        return parents

    def _joined(self, lineage: _Lineage, start_ns: int) -> list[_Running]:
        """The subagents whose results the session has by then."""
        if lineage is not self._own:
            return []
        done = [running for running in self._running if _end_ns(running.lineage) <= start_ns + _CLOCK_NS]
        self._running = [running for running in self._running if running not in done]
        return done

    def _tool_between(self, lineage: _Lineage, last: _Request, request: _Request) -> int:
        """The tool span between two requests, or the first of them where there was none."""
        asked = last.stop == "tool_use" or (not last.stop and request.brings_tool_results)
        if not asked or last.end_ns is None or last.end_ns >= request.start_ns:
            return lineage.last_row
        return self._trace.add_tool(
            self._session,
            last.end_ns,
            request.start_ns,
            parents=[lineage.last_row],
            call_id=lineage.last_row,
            tool_source="adjacency",
        )

    def _add(self, session: ImportedSession, request: _Request, parents: list[int]) -> int:
        row_id = self._trace.reserve()
        prefix: Row = {}
        if request.blocks is not None:
            shared = self._tree.add(request.blocks, row_id)
            prefix = prefix_columns(shared, self._block_tokens, request.input_tokens)
        return self._trace.add_call(
            session,
            request.start_ns,
            request.end_ns,
            parents=parents,
            row_id=row_id,
            api="messages",
            model=request.model,
            stream=request.stream,
            finish_reason=request.stop or None,
            first_token_ns=request.first_token_ns,
            input_tokens=request.input_tokens,
            output_tokens=request.output_tokens,
            usage_source="server",
            **prefix,
        )


def _block_size(file: dict[str, Any], source: Source) -> int:
    size = file.get("block_size")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 < size < 2**31:
        raise SourceUnreadable.foreign(source.path, "weka", "its block_size is no whole number above 0", None)
    return size


def _subagent(row: dict[str, Any]) -> _Subagent:
    if not isinstance(row.get("requests"), list):
        raise BadRow("a subagent without a list of requests")
    at_ns = duration_ns(row.get("t"), "t", NS_PER_S)
    lasted_ns = optional_ns(row.get("duration_ms"), "duration_ms", NS_PER_MS)
    name = optional_text(row.get("subagent_type"))
    if lasted_ns is None:
        return _Subagent(at_ns, None, name)
    return _Subagent(max(at_ns - lasted_ns, 0), at_ns, name)


def _request(row: Any, origin_ns: int, block_tokens: int) -> _Request:
    if not isinstance(row, dict):
        raise BadRow("it is not a JSON object", row)
    start_ns = origin_ns + duration_ns(row.get("t"), "t", NS_PER_S)
    lasted_ns = optional_ns(row.get("api_time"), "api_time", NS_PER_S)
    ttft_ns = optional_ns(row.get("ttft"), "ttft", NS_PER_S)
    input_tokens = tokens(row.get("in"), "in")
    blocks = None if row.get("hash_ids") is None else block_ids(row["hash_ids"])
    if blocks is not None and len(blocks) > -(-input_tokens // block_tokens):
        raise BadRow("it has more hash_ids than blocks", f"{len(blocks)} blocks, {input_tokens} tokens")
    return _Request(
        start_ns=start_ns,
        end_ns=None if lasted_ns is None else start_ns + lasted_ns,
        input_tokens=input_tokens,
        output_tokens=tokens(row.get("out"), "out"),
        blocks=blocks,
        model=optional_text(row.get("model")),
        stop=str(row.get("stop") or ""),
        stream={"s": True, "n": False}.get(str(row.get("type"))),
        first_token_ns=None if ttft_ns is None else start_ns + ttft_ns,
        brings_tool_results="tool_result" in str(row.get("input_types")),
    )


def _end_ns(lineage: _Lineage) -> int:
    """When a subagent's result was there: its span's end, else the last of its requests."""
    if lineage.subagent is not None and lineage.subagent.end_ns is not None:
        return lineage.subagent.end_ns
    last = lineage.last
    assert last is not None, "a subagent runs from its first request on"
    return last.start_ns if last.end_ns is None else last.end_ns
