"""Sessions: which steps belong to one task given to an agent.

Evidence, best first: the agent's own `tracekit.session()`; the conversation that its tracing (OpenTelemetry, the
OpenAI Agents SDK's) is told of, or a trace that more than one call was made in; a conversation's id in the
request; one run of an agent, as its framework reports it; lineage (a request continues an earlier call); the
tool that a sub-agent's call was made in; then the flow of control it began in, which tasks, threads and
processes inherit from the code that started them. A conversation that begins with the same instructions as an
earlier one of the very same thread and task (of a framework's run: where that was started) is a new task for the
same agent, hence a new session; one that begins with others (a planner, a title writer), or in a task of its own
(a branch), belongs to the session at hand.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from tracekit.assembly.attempt import context_of, known_status
from tracekit.assembly.call import Call
from tracekit.assembly.lineage import INSTRUCTION_ROLES, Link
from tracekit.assembly.tool_span import ToolSpan
from tracekit.schema import Status
from tracekit.spool import Record


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
    calls: Sequence[Call],
    links: Mapping[Call, Link],
    marked: dict[str, Session],
    run_starts: Mapping[str, object],
) -> list[Session]:
    """Every session with its calls; `calls` in order of start, each with the tool that it was made in."""
    book = _Book(dict(marked), run_starts, _shared_traces(calls))
    for call in calls:
        session = book.session_of(call, links.get(call))
        session.calls.append(call)
        book.remember(call, session)
    return book.sessions


def assign_tools(sessions: Sequence[Session], spans: Iterable[ToolSpan]) -> None:
    """Puts each span into its session; a tool with no call before it in its process belongs to none."""
    history = _History(sessions)
    for span in sorted(spans, key=lambda span: span.start_ns):  # a tool comes after the one around it
        session = history.session_of(span)
        if session is not None:
            session.tools.append(span)


class _History:
    """The sessions of calls by mark, run, flow and place, to ask which of them a span belongs to."""

    def __init__(self, sessions: Sequence[Session]) -> None:
        self._by_call = {call: session for session in sessions for call in session.calls}
        self._by_key = {session.key: session for session in sessions if session.key}
        self._by_flow = {
            flow: session for call, session in self._by_call.items() for flow in _flows(call.first.record)
        }
        self._by_span: dict[ToolSpan, Session] = {}
        self._starts: dict[tuple[object, ...], list[int]] = defaultdict(list)
        self._sessions: dict[tuple[object, ...], list[Session]] = defaultdict(list)
        for call, session in sorted(self._by_call.items(), key=lambda item: item[0].start_ns):
            for place in (*_places(call.first.record), *_flows(call.first.record)):
                self._starts[place].append(call.start_ns)
                self._sessions[place].append(session)

    def session_of(self, span: ToolSpan) -> Session | None:
        session = self._by_key.get(span.record.get("session") or "")
        if session is None and span.call is not None:
            session = self._by_call[span.call]
        if session is None and span.around is not None:
            session = self._by_span.get(span.around)
        session = session or self._before(span)
        if session is not None:
            self._by_span[span] = session
        return session

    def _before(self, span: ToolSpan) -> Session | None:
        """The session of the last call before the span in its run or flow, else in its thread, else its process.

        An asyncio task that had made no call by then says nothing by its thread, which serves others too.
        """
        run_or_scope = _flows(span.record)
        for flow in run_or_scope:
            if found := self._last(flow, span) or self._by_flow.get(flow):
                return None if found.is_over(span.start_ns) else found
        is_apart = run_or_scope or ("scope" in span.record and span.record.get("task"))
        for place in () if is_apart else _places(span.record):
            if found := self._last(place, span):
                return None if found.is_over(span.start_ns) else found
        return None

    def _last(self, place: tuple[object, ...], span: ToolSpan) -> Session | None:
        count = bisect_right(self._starts[place], span.start_ns)
        return self._sessions[place][count - 1] if count else None


def _places(record: Record) -> tuple[tuple[object, ...], ...]:
    return context_of(record)[:2], (record.get("pid"),)


def _flows(record: Record) -> list[tuple[object, ...]]:
    """The run and the flow of control that a record names, best first."""
    return [
        (kind, record[key])
        for kind, key in (("run", "agent_run"), ("scope", "scope"), ("scope", "scope_around"))
        if record.get(key)
    ]


class _Book:
    """What has been seen so far while calls are assigned in time order."""

    def __init__(
        self, marked: dict[str, Session], run_starts: Mapping[str, object], shared_traces: Set[str]
    ) -> None:
        self._marked = marked
        self._run_starts = run_starts
        self._shared_traces = shared_traces
        self._by_identity: dict[tuple[str, str], Session] = {}
        self._by_call: dict[Call, Session] = {}
        self._by_flow: dict[object, Session] = {}
        self._by_place: dict[object, Session] = {}
        self._begun: set[object] = set()  # (session, task context or flow, instructions) of conversations
        self.sessions: list[Session] = list(marked.values())

    def session_of(self, call: Call, link: Link | None) -> Session:
        record = call.first.record
        if session := self._marked.get(record.get("session") or ""):
            return session
        around = self._around(call.around) if call.around is not None else None
        run = self._by_flow.get(("run", record.get("agent_run")))
        identity = next(iter(_identities(call, self._shared_traces)), None)
        if identity is not None:
            return self._by_identity.get(identity) or around or run or self._new(*identity)
        if run is not None:
            return run
        if link is not None:
            return self._by_call[link.parent]
        return around or self._of_flow(call)

    def _of_flow(self, call: Call) -> Session:
        """The session at hand in the call's flow of control, unless the agent begins anew there."""
        record = call.first.record
        found = self._by_flow.get(("scope", call.first.scope))
        if found is None and record.get("scope_around"):
            found = self._by_flow.get(("scope", record["scope_around"]))
        source = "run" if record.get("agent_run") else "task"
        if found is None or found.is_over(call.start_ns):
            return self._new(source)
        if not _embeds(call) and (found, self._stage(call), instructions(call)) in self._begun:
            return self._new("run" if record.get("agent_run") else "lineage")
        return found

    def remember(self, call: Call, session: Session) -> None:
        record = call.first.record
        self._by_call[call] = session
        for identity in _identities(call, self._shared_traces):
            self._by_identity.setdefault(identity, session)
        if record.get("agent_run"):
            self._by_flow.setdefault(("run", record["agent_run"]), session)
        self._by_flow["scope", call.first.scope] = session
        for place in _places(record):
            self._by_place[place] = session
        if not _embeds(call):
            self._begun.add((session, self._stage(call), instructions(call)))

    def _stage(self, call: Call) -> object:
        """Where a task can begin anew: where its framework's run was started, else the very thread and task."""
        return self._run_starts.get(call.first.record.get("agent_run") or "", call.first.context)

    def _around(self, span: ToolSpan) -> Session | None:
        """The session whose tool the call was made in: a sub-agent belongs to its parent's session."""
        if span.call is not None and span.call in self._by_call:
            return self._by_call[span.call]
        if session := self._marked.get(span.record.get("session") or ""):
            return session
        keys = [*_flows(span.record), *_places(span.record)]
        found = [self._by_flow.get(key) or self._by_place.get(key) for key in keys]
        session = next((session for session in found if session is not None), None)
        return None if session is None or session.is_over(span.start_ns) else session

    def _new(self, source: str, conversation_id: str | None = None) -> Session:
        session = Session(source=source, conversation_id=conversation_id)
        self.sessions.append(session)
        return session


def _shared_traces(calls: Iterable[Call]) -> Set[str]:
    """Traces that more than one call was made in; a trace around a single request is its instrumentation's."""
    counts = Counter(call.first.record.get("trace") for call in calls)
    return {str(trace) for trace, count in counts.items() if trace and count > 1}


def _identities(call: Call, shared_traces: Set[str]) -> list[tuple[str, str]]:
    """What names the call's session, best first: (session source, id)."""
    record, request = call.first.record, call.first.request
    trace = record.get("trace")
    named = (
        ("trace", record.get("trace_session")),
        ("trace", trace if trace in shared_traces else None),
        ("conversation", request.get("conversation_id")),
        ("conversation", request.get("client_session")),
    )
    return [(source, str(name)) for source, name in named if name]


def run_starts(records: Iterable[Record]) -> dict[str, object]:
    """Where each run of an agent, as its framework reports it, was started: process, thread and task."""
    return {record["id"]: context_of(record) for record in records if record["t"] == "run_start"}


def instructions(call: Call) -> object:
    """The prompt's instructions, as identity of the agent that speaks; a prompt without any is its own."""
    leading = None
    for part in call.parts:
        if part.role not in INSTRUCTION_ROLES:
            break
        leading = part.prefix_hash
    return leading if leading is not None else ("no instructions", call.first.request.get("model"))


def _embeds(call: Call) -> bool:
    """Embeddings say nothing of which task they serve."""
    return call.first.request.get("api") == "embeddings"
