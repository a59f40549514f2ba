"""Agentic Mooncake, the format that NVIDIA's Dynamo replays: Mooncake rows with the graph of the requests.

Found in Dynamo's docs (dynosim/trace-formats.md, agents/agent-replay.md) and its data-gen sources: request_id;
session_id; input_length, output_length, hash_ids; timestamp (ms); wait_for: ids of the requests that must have
ended; delay and tool_wait_ms: what passes after them, tools as the union of their times; branches and prefix_reset,
which do not steer a replay; tool_events {tool_call_id, tool_class, status, started_at_unix_ms, ended_at_unix_ms,
duration_ms, output_bytes, output_tokens, error_type} of the request that consumed them. The converter gives every
row its timestamp, so an end follows from the row that waits: timestamp - delay - tool_wait_ms. The file does not
hold the block length (Dynamo's converter prints it): it is inferred from the lengths, or given by --block-tokens.

Here a session is all requests that wait_for or a session_id connects, so a sub-agent is in its parent's session.
Not found: whether event times share the rows' clock (they are Unix ms, timestamps count from the first request),
so events are laid out from the end of what the row waited for.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tracekit.errors import SourceUnreadable
from tracekit.interchange.bad_rows import BadRow
from tracekit.interchange.imported import Row, prefix_columns
from tracekit.interchange.interval import union_ns
from tracekit.interchange.mooncake import BLOCK_TOKENS, fits, prompt_row
from tracekit.interchange.prefix_tree import PrefixTree, Shared
from tracekit.interchange.quantity import NS_PER_MS, duration_ns, optional_ns, optional_text
from tracekit.interchange.reader import JsonLinesReader
from tracekit.schema import Status

_BLOCK_LENGTHS = tuple(1 << power for power in range(13))


class _ToolEvent(NamedTuple):
    """A tool that ran before a request, its times counted from the first of the row's events."""

    start_ns: int
    end_ns: int
    columns: Row


@dataclass(eq=False, slots=True)
class _Request:
    """A row, until all rows are known."""

    place: tuple[Path, str]
    request_id: str
    session_id: str | None
    wait_for: list[str]
    timestamp_ns: int | None
    delay_ns: int
    tool_ns: int
    input_tokens: int
    output_tokens: int
    shared: Shared | None
    events: list[_ToolEvent]
    start_ns: int = 0
    duration_ns: int | None = None
    row_id: int = -1
    deps: list[_Request] = field(default_factory=list)

    @property
    def end_ns(self) -> int:
        return self.start_ns + (self.duration_ns or 0)

    @property
    def ready_ns(self) -> int:
        """When all it waits for has ended."""
        return max(dep.end_ns for dep in self.deps)


class Reader(JsonLinesReader):
    """Rows of an agentic Mooncake trace; files are parts of one."""

    clock = "since the trace's own start, not dates"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._tree = PrefixTree()
        self._requests: dict[str, _Request] = {}
        self._order: list[_Request] = []
        self._lengths = set(_BLOCK_LENGTHS)

    def take(self, row: dict[str, Any]) -> None:
        """Takes one request."""
        name = row.get("request_id")
        if name is None:
            raise BadRow("it has no request_id")
        if str(name) in self._requests:
            raise BadRow("its request_id was there before", name)
        wait_for = row.get("wait_for") or []
        if not isinstance(wait_for, list):
            raise BadRow("wait_for is no list", wait_for)
        prompt = prompt_row(row, self.settings.block_tokens)
        request = _Request(
            place=(self.path, f"line {self.line}"),
            request_id=str(name),
            session_id=None if row.get("session_id") is None else str(row["session_id"]),
            wait_for=list(dict.fromkeys(map(str, wait_for))),
            timestamp_ns=prompt.timestamp_ns,
            delay_ns=prompt.delay_ns or 0,
            tool_ns=optional_ns(row.get("tool_wait_ms"), "tool_wait_ms", NS_PER_MS) or 0,
            input_tokens=prompt.input_tokens,
            output_tokens=prompt.output_tokens,
            shared=None,
            events=_events(row.get("tool_events") or []),
        )
        if prompt.blocks is not None:
            if self.settings.block_tokens is None:
                count = len(prompt.blocks)
                self._lengths = {
                    length for length in self._lengths if fits(count, request.input_tokens, length)
                }
            request.shared = self._tree.add(prompt.blocks, len(self._order))
        self._requests[request.request_id] = request
        self._order.append(request)

    def finish(self) -> None:
        """Resolves what waits for what, and writes the sessions."""
        ordered = self._resolved()
        block_tokens = self._block_tokens()
        _infer_durations(ordered)
        for request in ordered:
            wait_ns = request.delay_ns + request.tool_ns
            if request.deps:
                request.start_ns = request.ready_ns + wait_ns
            else:
                request.start_ns = wait_ns if request.timestamp_ns is None else request.timestamp_ns
            request.row_id = self.trace.reserve()
        for requests in _sessions(ordered):
            self._write_session(requests, block_tokens)

    def _resolved(self) -> list[_Request]:
        """The requests so that each comes after those it waits for; those that cannot are bad."""
        waiting: dict[str, list[_Request]] = defaultdict(list)
        open_deps: dict[str, int] = {}
        for request in self._order:
            open_deps[request.request_id] = len(request.wait_for)
            for dep in request.wait_for:
                waiting[dep].append(request)
        ready = deque(request for request in self._order if not request.wait_for)
        ordered = []
        while ready:
            request = ready.popleft()
            ordered.append(request)
            for child in waiting[request.request_id]:
                child.deps.append(request)
                open_deps[child.request_id] -= 1
                if not open_deps[child.request_id]:
                    ready.append(child)
        for request in self._order:
            if open_deps[request.request_id]:
                missing = [dep for dep in request.wait_for if dep not in self._requests]
                fault = (
                    BadRow("it waits for a request that is not in the file", missing[0])
                    if missing
                    else BadRow("it waits for itself, or for a request that cannot be used")
                )
                self.bad_rows.add(*request.place, fault)
        return ordered

    def _block_tokens(self) -> int:
        given: int | None = self.settings.block_tokens
        if given is not None:
            return given
        if BLOCK_TOKENS in self._lengths:
            return BLOCK_TOKENS
        if not self._lengths:
            raise SourceUnreadable.foreign(
                self.path,
                self.settings.name,
                "no block length from 1 to 4096 makes its hash_ids fit its input_length; give --block-tokens",
                None,
            )
        return max(self._lengths)

    def _write_session(self, requests: list[_Request], block_tokens: int) -> None:
        first = requests[0]
        session = self.trace.open_session(
            first.start_ns, conversation_id=first.session_id, session_source="conversation"
        )
        for request in requests:
            deps = [dep.row_id for dep in request.deps]
            tools = [
                self.trace.add_tool(
                    session,
                    request.ready_ns + event.start_ns,
                    request.ready_ns + event.end_ns,
                    parents=deps,
                    call_id=deps[0] if len(deps) == 1 else None,
                    **event.columns,
                )
                for event in _tool_spans(request)
            ]
            self.trace.add_call(
                session,
                request.start_ns,
                None if request.duration_ns is None else request.end_ns,
                parents=tools or deps,
                row_id=request.row_id,
                conversation_id=request.session_id,
                input_tokens=request.input_tokens,
                output_tokens=request.output_tokens,
                usage_source="server",
                **self._prefix(request, block_tokens),
            )
        self.trace.close_session(session)

    def _prefix(self, request: _Request, block_tokens: int) -> Row:
        if request.shared is None:
            return {}
        owner = None if request.shared.call is None else self._order[request.shared.call].row_id
        if owner == -1:
            return {}  # its owner was a bad row
        return prefix_columns(Shared(owner, request.shared.blocks), block_tokens, request.input_tokens)


def _events(rows: Any) -> list[_ToolEvent]:
    """A row's tool events that have times.

    Raises
    ------
    BadRow : they are no list of objects, or a time is none.
    """
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadRow("tool_events is no list of objects")
    timed = [
        (
            duration_ns(row["started_at_unix_ms"], "started_at_unix_ms", NS_PER_MS),
            duration_ns(row["ended_at_unix_ms"], "ended_at_unix_ms", NS_PER_MS),
            row,
        )
        for row in rows
        if row.get("started_at_unix_ms") is not None and row.get("ended_at_unix_ms") is not None
    ]
    first_ns = min((start_ns for start_ns, _end_ns, _row in timed), default=0)
    return [
        _ToolEvent(start_ns - first_ns, max(end_ns, start_ns) - first_ns, _event_columns(row))
        for start_ns, end_ns, row in timed
    ]


def _event_columns(row: dict[str, Any]) -> Row:
    failed = row.get("error_type") is not None or str(row.get("status")).lower() in ("error", "failed")
    return {
        "name": optional_text(row.get("tool_class")),
        "tool_call_id": optional_text(row.get("tool_call_id")),
        "status": Status.ERROR if failed else Status.OK,
        "error_type": optional_text(row.get("error_type")),
        "tool_source": "framework",
    }


def _tool_spans(request: _Request) -> list[_ToolEvent]:
    """The tools between what a request waited for and itself: its events where they make up tool_wait_ms, else one."""
    if not request.deps or not request.tool_ns:
        return []
    total_ns = union_ns((event.start_ns, event.end_ns) for event in request.events)
    rest_ns = request.tool_ns - total_ns
    if request.events and abs(rest_ns) < NS_PER_MS:
        # event times are whole ms; what rounding took or added goes to the tool that ends last
        *others, last = sorted(request.events, key=lambda event: event.end_ns)
        last = last._replace(end_ns=max(last.end_ns + rest_ns, last.start_ns))
        if last.end_ns <= request.tool_ns + request.delay_ns:
            return [*others, last]
    names = {event.columns["name"] for event in request.events}
    name = names.pop() if len(names) == 1 else None
    return [_ToolEvent(0, request.tool_ns, {"name": name, "tool_source": "adjacency"})]


def _infer_durations(ordered: Sequence[_Request]) -> None:
    """How long requests took, where the timestamps of those that waited for them alone say so."""
    for request in ordered:
        if len(request.deps) != 1 or request.timestamp_ns is None:
            continue
        dep = request.deps[0]
        if dep.timestamp_ns is not None:
            lasted_ns = request.timestamp_ns - request.delay_ns - request.tool_ns - dep.timestamp_ns
            if lasted_ns > 0:
                dep.duration_ns = lasted_ns


def _sessions(ordered: Sequence[_Request]) -> list[list[_Request]]:
    """The requests by session, in order of start; connected by a session id or by waiting."""
    root: dict[str, str] = {}

    def find(name: str) -> str:
        while (above := root.setdefault(name, name)) != name:
            root[name] = root[above]
            name = above
        return name

    for request in ordered:
        own = find(f"request {request.request_id}")
        if request.session_id is not None:
            root[own] = own = find(f"session {request.session_id}")
        for dep in request.deps:
            root[find(f"request {dep.request_id}")] = find(own)
    sessions: dict[str, list[_Request]] = defaultdict(list)
    for request in ordered:
        sessions[find(f"request {request.request_id}")].append(request)
    return [
        sorted(members, key=lambda request: (request.start_ns, request.row_id))
        for members in sessions.values()
    ]
