"""Sessions: which steps belong to one task given to an agent.

Evidence, best first: the agent's own `tracekit.session()`; its conversation id; lineage (a request continues
an earlier call); then the flow of control it began in, which asyncio tasks inherit from the code that started
them. A conversation that begins with the same instructions as an earlier one of the very same thread and task
is a new task for the same agent, hence a new session; one that begins with others (a planner, a title writer),
or in a task of its own (a branch), belongs to the session at hand.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tracekit.assembly.attempt import known_status
from tracekit.assembly.call import Call
from tracekit.assembly.lineage import Link
from tracekit.assembly.tool_span import ToolSpan
from tracekit.schema import Status
from tracekit.spool import Record

_INSTRUCTION_ROLES = ("tools", "system", "developer")


@dataclass(eq=False)
class Session:
    """One task; `key` is the agent's own mark, if it made one."""

    source: str
    key: str | None = None
    name: str | None = None
    conversation_id: str | None = None
    status: Status = Status.OK
    marked_start_ns: int | None = None
    marked_end_ns: int | None = None
    error_type: str | None = None
    score: float | None = None
    calls: list[Call] = field(default_factory=list)
    tools: list[ToolSpan] = field(default_factory=list)
    row_id: int = -1

    @property
    def steps(self) -> list[Call | ToolSpan]:
        return sorted([*self.calls, *self.tools], key=lambda step: (step.start_ns, step.row_id))

    def is_over(self, at_ns: int) -> bool:
        """Whether the agent had marked its end by then: what comes later is no part of it."""
        return self.marked_end_ns is not None and self.marked_end_ns < at_ns

    @property
    def start_ns(self) -> int:
        starts = [step.start_ns for step in self.steps]
        return min([*starts, self.marked_start_ns] if self.marked_start_ns is not None else starts)

    @property
    def end_ns(self) -> int | None:
        ends = [step.end_ns for step in self.steps if step.end_ns is not None]
        if self.marked_end_ns is not None:
            ends.append(self.marked_end_ns)
        return max(ends, default=None)


def marked_sessions(records: Iterable[Record]) -> dict[str, Session]:
    """The sessions that the agent marked, by their key."""
    sessions: dict[str, Session] = {}
    for record in records:
        if record["t"] == "session_start":
            sessions[record["id"]] = Session(
                source="explicit",
                key=record["id"],
                name=record.get("name"),
                conversation_id=record.get("conversation_id"),
                status=Status.INTERRUPTED,
                marked_start_ns=record["ns"],
            )
        elif record["t"] == "session_end" and (session := sessions.get(record["id"])):
            session.marked_end_ns = record["ns"]
            session.status = known_status(record.get("status"))
            session.score = record.get("score")
            session.error_type = record.get("error_type")
    return sessions


def assign_sessions(
    calls: Iterable[Call], links: Mapping[Call, Link], marked: dict[str, Session], spans: Iterable[ToolSpan]
) -> list[Session]:
    """Every session with its calls; `calls` in order of start."""
    book = _Book(dict(marked), {span.key: span for span in spans if span.key})
    for call in calls:
        session = book.session_of(call, links.get(call))
        session.calls.append(call)
        book.remember(call, session)
    return book.sessions


def assign_tools(sessions: Sequence[Session], spans: Iterable[ToolSpan]) -> None:
    """Puts each span into its session; a tool with no call before it in its process belongs to none."""
    by_call = {call: session for session in sessions for call in session.calls}
    by_key = {session.key: session for session in sessions if session.key}
    history = _History(by_call)
    for span in spans:
        session = by_key.get(span.record.get("session") or "")
        if session is None and span.call is not None:
            session = by_call[span.call]
        if session is None:
            session = history.before(span)
        if session is not None:
            session.tools.append(span)


class _History:
    """Calls by process and by thread in order of start, to ask which came last before a span."""

    def __init__(self, by_call: Mapping[Call, Session]) -> None:
        self._starts: dict[tuple[object, ...], list[int]] = defaultdict(list)
        self._sessions: dict[tuple[object, ...], list[Session]] = defaultdict(list)
        for call, session in sorted(by_call.items(), key=lambda item: item[0].start_ns):
            for place in _places(call.first.record):
                self._starts[place].append(call.start_ns)
                self._sessions[place].append(session)

    def before(self, span: ToolSpan) -> Session | None:
        """The session of the last call that began before the span, in its thread, else in its process."""
        for place in _places(span.record):
            count = bisect_right(self._starts[place], span.start_ns)
            if count:
                session = self._sessions[place][count - 1]
                return None if session.is_over(span.start_ns) else session
        return None


def _places(record: Record) -> tuple[tuple[object, ...], ...]:
    return (record.get("pid"), record.get("thread")), (record.get("pid"),)


class _Book:
    """What has been seen so far while calls are assigned in time order."""

    def __init__(self, marked: dict[str, Session], spans: dict[str, ToolSpan]) -> None:
        self._marked = marked
        self._spans = spans
        self._by_conversation: dict[str, Session] = {}
        self._by_call: dict[Call, Session] = {}
        self._by_scope: dict[object, Session] = {}
        self._by_place: dict[object, Session] = {}
        self._begun: set[object] = set()  # (session, task context, instructions) of conversations
        self.sessions: list[Session] = list(marked.values())

    def session_of(self, call: Call, link: Link | None) -> Session:
        record = call.first.record
        frame = self._spans.get(record.get("tool") or "")
        if frame is not None:
            frame.contains_calls = True
        conversation_id = call.first.request.get("conversation_id")
        if session := self._marked.get(record.get("session") or ""):
            return session
        if conversation_id:
            return self._by_conversation.get(conversation_id) or self._new("conversation", conversation_id)
        if link is not None:
            return self._by_call[link.parent]
        if frame is not None and (session := self._around(frame)) is not None:
            return session
        found = self._by_scope.get(call.first.scope)
        if found is None or found.is_over(call.start_ns):
            return self._new("task", None)
        if not _embeds(call) and (found, call.first.context, _instructions(call)) in self._begun:
            return self._new("lineage", None)
        return found

    def remember(self, call: Call, session: Session) -> None:
        self._by_call[call] = session
        if session.conversation_id:
            self._by_conversation[session.conversation_id] = session
        self._by_scope[call.first.scope] = session
        for place in _places(call.first.record):
            self._by_place[place] = session
        if not _embeds(call):
            self._begun.add((session, call.first.context, _instructions(call)))

    def _around(self, span: ToolSpan) -> Session | None:
        """The session whose tool the call was made in: a sub-agent belongs to its parent's session."""
        found = [self._by_place[place] for place in _places(span.record) if place in self._by_place]
        return found[0] if found and not found[0].is_over(span.start_ns) else None

    def _new(self, source: str, conversation_id: str | None) -> Session:
        session = Session(source=source, conversation_id=conversation_id)
        self.sessions.append(session)
        return session


def _instructions(call: Call) -> object:
    """The prompt's instructions, as identity of the agent that speaks; a prompt without any is its own."""
    leading = None
    for part in call.parts:
        if part.role not in _INSTRUCTION_ROLES:
            break
        leading = part.prefix_hash
    return leading if leading is not None else ("no instructions", call.first.request.get("model"))


def _embeds(call: Call) -> bool:
    """Embeddings say nothing of which task they serve."""
    return call.first.request.get("api") == "embeddings"
