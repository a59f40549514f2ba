"""OpenTelemetry spans as JSON, from any of the shapes they are written in, and the sessions that they make up.

Shapes: OTLP JSON (resourceSpans, one document or one a line, ids in hex, attributes as key and typed value) and
the SDKs' flat JSON (context, parent_id, ISO times, attributes as an object). What an attribute means is the
dialect's business: otlp.py and openinference.py turn a span into a step.

A session is the spans of one conversation id (a span's own, its nearest ancestor's, or the only one of its trace),
else of one trace. Edges come from timing, since spans nest by code, not by data. Where an LLM span is inside
another one (a framework's around a client's), the inner one is the request and takes what only the outer one says.
A tool with LLM calls inside is a frame around them.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from tracekit.errors import SourceUnreadable
from tracekit.interchange.bad_rows import BadRow
from tracekit.interchange.frontier import Frontier, Step
from tracekit.interchange.imported import ImportedSession, Row
from tracekit.interchange.quantity import duration_ns, instant_ns, optional_text
from tracekit.interchange.reader import Reader
from tracekit.interchange.source import Source
from tracekit.schema import EdgeSource, Status


class Role(Enum):
    """What a span is to a session."""

    CALL = "call"
    TOOL = "tool"
    AGENT = "agent"


@dataclass(slots=True, eq=False)
class Span:
    """One span; `events` are (name, ns) pairs, `links` the (trace, span) ids that it points at."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    start_ns: int
    end_ns: int | None
    failed: bool
    attributes: dict[str, Any]
    events: list[tuple[str, int]]
    links: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Meaning:
    """A span in the words of a trace: its role, the columns of its row, the conversation it names.

    With `has_edges` its links are what the step starts after, known as `edge_source` says.
    """

    role: Role | None
    conversation_id: str | None = None
    columns: Row = field(default_factory=dict)
    has_edges: bool = False
    edge_source: EdgeSource | None = None


@dataclass(slots=True, eq=False)
class _Node:
    """A span among the others; attributes are dropped once their meaning is known."""

    span: Span
    meaning: Meaning
    parent: _Node | None = None
    holds_calls: bool = False
    row_id: int | None = None


class SpanReader(Reader):
    """Files of spans."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._nodes: dict[tuple[str, str], _Node] = {}

    @abstractmethod
    def meaning(self, span: Span) -> Meaning:
        """What a span means in this dialect.

        Raises
        ------
        BadRow : a value that matters is none.
        """

    def read(self, source: Source) -> None:
        """Takes one file of either shape."""
        before, spans, first_fault = len(self._nodes), 0, None
        for place, document in _documents(source, self):
            for index, raw in enumerate(_raw_spans(document), 1):
                spans += 1
                try:
                    self._keep(_span(raw))
                except BadRow as fault:
                    self.bad_rows.add(source.path, f"{place}, span {index}", fault)
                    first_fault = first_fault or fault
        found = list(self._nodes.values())[before:]
        if spans and not any(node.meaning.role for node in found):
            why = f"; the first fault: {first_fault}" if first_fault else ""
            raise SourceUnreadable.foreign(
                source.path, self.settings.name, f"none of its {spans} spans is a step of an agent{why}", None
            )

    def finish(self) -> None:
        """Writes the sessions."""
        for (trace_id, _span_id), node in self._nodes.items():
            if node.span.parent_id is not None:
                node.parent = self._nodes.get((trace_id, node.span.parent_id))
        _merge_nested_calls(self._nodes.values())
        for name, nodes in _by_session(self._nodes.values()).items():
            if any(node.meaning.role in (Role.CALL, Role.TOOL) for node in nodes):
                self._write_session(name, nodes)

    def _keep(self, span: Span) -> None:
        key = (span.trace_id, span.span_id)
        if key in self._nodes:
            raise BadRow("its span id was there before", span.span_id)
        meaning = self.meaning(span)
        span.attributes = {}
        self._nodes[key] = _Node(span, meaning)

    def _write_session(self, name: tuple[str, str], nodes: list[_Node]) -> None:
        nodes.sort(key=lambda node: (node.span.start_ns, node.span.span_id))
        source, conversation_id = name
        agents = [node for node in nodes if node.meaning.role is Role.AGENT]
        steps = [node for node in nodes if node.meaning.role in (Role.CALL, Role.TOOL)]
        session = self.trace.open_session(
            (agents or steps)[0].span.start_ns,
            session_source="conversation" if source == "conversation" else "explicit",
            conversation_id=conversation_id if source == "conversation" else None,
            agent_name=next((node.meaning.columns.get("agent_name") for node in agents), None),
        )
        for agent in agents:
            session.cover(agent.span.start_ns, agent.span.end_ns)
        outermost = [node for node in agents if not any(above in agents for above in _ancestors(node))]
        if any(node.span.failed for node in outermost):
            session.status = Status.ERROR
        frontier = Frontier()
        for node in steps:
            self._write_step(session, node, frontier)
        self.trace.close_session(session)

    def _write_step(self, session: ImportedSession, node: _Node, frontier: Frontier) -> None:
        span = node.span
        status = Status.ERROR if span.failed else Status.OK
        if span.end_ns is None:
            status = Status.INTERRUPTED
        parents, edge_source = self._parents(node, frontier)
        if node.meaning.role is Role.CALL:
            row_id = self.trace.add_call(
                session, span.start_ns, span.end_ns, parents=parents, edge_source=edge_source,
                status=status, conversation_id=node.meaning.conversation_id, **node.meaning.columns,
            )  # fmt: skip
        else:
            row_id = self.trace.add_tool(
                session, span.start_ns, span.end_ns, parents=parents, edge_source=edge_source,
                status=status, tool_source="framework", confidence=1.0, frame=node.holds_calls,
                **node.meaning.columns,
            )  # fmt: skip
        node.row_id = row_id
        if not node.holds_calls:
            frontier.add(Step(row_id, span.start_ns, span.start_ns if span.end_ns is None else span.end_ns))

    def _parents(self, node: _Node, frontier: Frontier) -> tuple[list[int], EdgeSource | None]:
        """What the step starts after, as its links say, else by timing."""
        if not node.meaning.has_edges:
            return frontier.before(node.span.start_ns), EdgeSource.TIMING
        linked = (self._nodes.get(link) for link in node.span.links)
        return [one.row_id for one in linked if one and one.row_id is not None], node.meaning.edge_source


def _merge_nested_calls(nodes: Iterable[_Node]) -> None:
    """Leaves the innermost of nested LLM spans, and marks tools that hold calls."""
    inside: dict[int, list[_Node]] = defaultdict(list)
    outer: list[_Node] = []
    for node in nodes:
        if node.meaning.role is not Role.CALL:
            continue
        for above in _ancestors(node):
            if above.meaning.role is Role.TOOL:
                above.holds_calls = True
            elif above.meaning.role is Role.CALL:
                if not inside[id(above)]:
                    outer.append(above)
                inside[id(above)].append(node)
    for above in outer:
        above.meaning.role = None
        if len(inside[id(above)]) == 1:
            (node,) = inside[id(above)]
            said = {column: value for column, value in node.meaning.columns.items() if value is not None}
            node.meaning.columns = above.meaning.columns | said


def _ancestors(node: _Node) -> Iterator[_Node]:
    seen = {id(node)}
    above = node.parent
    while above is not None and id(above) not in seen:
        seen.add(id(above))
        yield above
        above = above.parent


def _by_session(nodes: Iterable[_Node]) -> dict[tuple[str, str], list[_Node]]:
    """The spans by session: (conversation, its id) or (trace, its id)."""
    conversations: dict[str, set[str]] = defaultdict(set)
    for node in nodes:
        if node.meaning.conversation_id is not None:
            conversations[node.span.trace_id].add(node.meaning.conversation_id)
    sessions: dict[tuple[str, str], list[_Node]] = defaultdict(list)
    for node in nodes:
        of_trace = conversations[node.span.trace_id]
        named = node.meaning.conversation_id or next(
            (above.meaning.conversation_id for above in _ancestors(node) if above.meaning.conversation_id),
            None,
        )
        if named is None and len(of_trace) == 1:
            (named,) = of_trace
        key = ("trace", node.span.trace_id) if named is None else ("conversation", named)
        sessions[key].append(node)
    return sessions


def _documents(source: Source, reader: Reader) -> Iterator[tuple[str, Any]]:
    """The JSON documents of a file: one a line, or one over all lines."""
    lines = source.lines()
    first = next(lines, None)
    if first is None:
        return
    try:
        yield f"line {first[0]}", json.loads(first[1])
    except (ValueError, RecursionError):
        lines.close()  # type: ignore[attr-defined]
        yield "document", _whole(source, reader)
        return
    for number, line in lines:
        try:
            yield f"line {number}", json.loads(line)
        except (ValueError, RecursionError):
            fault = BadRow("it is not JSON", line[:40].decode(errors="replace"))
            reader.bad_rows.add(source.path, f"line {number}", fault)


def _whole(source: Source, reader: Reader) -> Any:
    try:
        return json.loads(source.whole())
    except (ValueError, RecursionError) as error:
        raise SourceUnreadable.foreign(
            source.path, reader.settings.name, f"it is not JSON ({error})", None
        ) from error


def _raw_spans(document: Any) -> Iterator[dict[str, Any]]:
    """The spans in a document, whatever wraps them; what wraps none is a span that cannot be read."""
    if isinstance(document, list):
        for part in document:
            yield from _raw_spans(part)
    elif not isinstance(document, dict):
        yield {}
    elif (resources := document.get("resourceSpans") or document.get("resource_spans")) is not None:
        for resource in _objects(resources):
            for scope in _objects(resource.get("scopeSpans") or resource.get("scope_spans")):
                yield from _spans_in(scope)
    elif isinstance(document.get("spans"), list):
        yield from _spans_in(document)
    elif "resourceLogs" not in document and "resourceMetrics" not in document:
        yield document


def _spans_in(scope: Mapping[str, Any]) -> list[Any]:
    spans = scope.get("spans")
    return spans if isinstance(spans, list) else []


def _objects(values: Any) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def _span(raw: Any) -> Span:
    if not isinstance(raw, dict):
        raise BadRow("it is not a JSON object", raw)
    try:
        span = _flat(raw) if isinstance(raw.get("context"), dict) else _otlp(raw)
    except BadRow:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError):
        raise BadRow("it is not a span: no ids or times", sorted(raw)[:6]) from None
    if span.end_ns is not None and span.end_ns < span.start_ns:
        raise BadRow("it ends before it starts")
    return span


def _otlp(raw: dict[str, Any]) -> Span:
    end = raw.get("endTimeUnixNano")
    return Span(
        trace_id=str(raw["traceId"]),
        span_id=str(raw["spanId"]),
        parent_id=optional_text(raw.get("parentSpanId") or None),
        name=str(raw.get("name", "")),
        start_ns=_ns(raw["startTimeUnixNano"]),
        end_ns=None if end is None or int(end) == 0 else _ns(end),
        failed=(raw.get("status") or {}).get("code") in (2, "2", "STATUS_CODE_ERROR"),
        attributes={pair["key"]: _value(pair.get("value") or {}) for pair in raw.get("attributes") or ()},
        events=[
            (str(event.get("name")), _ns(event.get("timeUnixNano", 0))) for event in raw.get("events") or ()
        ],
        links=[(str(link["traceId"]), str(link["spanId"])) for link in raw.get("links") or ()],
    )


def _flat(raw: dict[str, Any]) -> Span:
    status = raw.get("status") or {}
    code = raw.get("status_code") or (status.get("status_code") if isinstance(status, dict) else status)
    end = raw.get("end_time")
    return Span(
        trace_id=str(raw["context"]["trace_id"]),
        span_id=str(raw["context"]["span_id"]),
        parent_id=optional_text(raw.get("parent_id") or None),
        name=str(raw.get("name", "")),
        start_ns=instant_ns(raw["start_time"], "start_time"),
        end_ns=None if end is None else instant_ns(end, "end_time"),
        failed=str(code).upper().endswith("ERROR"),
        attributes=_flattened(raw.get("attributes") or {}),
        events=[
            (str(event.get("name")), instant_ns(event["timestamp"], "timestamp"))
            for event in raw.get("events") or ()
            if event.get("timestamp") is not None
        ],
    )


def _ns(value: Any) -> int:
    return duration_ns(value, "a time of the span", 1)


def _value(value: dict[str, Any]) -> Any:
    """An OTLP AnyValue."""
    if "intValue" in value:
        return int(value["intValue"])
    if "arrayValue" in value:
        return [_value(part) for part in value["arrayValue"].get("values") or ()]
    return next((value[kind] for kind in ("stringValue", "doubleValue", "boolValue") if kind in value), None)


def _flattened(attributes: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested attribute objects as dotted names."""
    flat: dict[str, Any] = {}
    for name, value in attributes.items():
        if isinstance(value, dict):
            flat |= _flattened(value, f"{above}{name}.")
        else:
            flat[f"{above}{name}"] = value
    return flat
