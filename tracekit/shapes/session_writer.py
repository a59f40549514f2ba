"""One drawn session as rows of a trace: what each prompt is made of, whose text it goes on from, who waits for whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tracekit.interchange.imported import ImportedSession, ImportedTrace
from tracekit.shapes.lengths import Lengths
from tracekit.shapes.rounds import Round, Session
from tracekit.shapes.shape import Pattern, Shape

NOMINAL_TOKEN_NS = 20_000_000
"""Only to say at which token of a streaming answer a tool starts; replays time calls anew."""

NS_PER_S = 1e9


class Prompt(NamedTuple):
    """A call's prompt by class, all in tokens."""

    instruction: int
    few_shot: int
    user: int
    llm_history: int
    tool_history: int

    @property
    def tokens(self) -> int:
        return sum(self)

    def followed_by(self, thought: int, result: int) -> Prompt:
        """The prompt of a call one round deeper."""
        return self._replace(llm_history=self.llm_history + thought, tool_history=self.tool_history + result)


class _Lead(NamedTuple):
    """The first answer of a round: others of the round, and the rounds after it, begin with its text."""

    row: int
    prompt: Prompt
    answer: int
    thought: int  # what of it stays in the path


class SessionWriter:
    """Writes drawn sessions, one after the other, into a trace."""

    def __init__(self, trace: ImportedTrace, shape: Shape, lengths: Lengths) -> None:
        self.trace = trace
        self.shape = shape
        self.lengths = lengths
        self._first_row: int | None = None  # whose instruction and examples all other sessions repeat
        self._responses = 0

    def write(self, rounds: Session, start_ns: int, name: str) -> None:
        """The session's rows; times between steps are those of its tools."""
        session = self.trace.open_session(
            start_ns, name=name, agent_name=self.shape.name, origin="published-shape"
        )
        root = Prompt(
            self.lengths.instruction, self.lengths.shared - self.lengths.instruction,
            next(self.lengths.user), 0, 0,
        )  # fmt: skip
        at_ns, parents, leads = start_ns, list[int](), list[_Lead]()
        for each in rounds:
            leads = leads[: each.depth] if each.depth else leads[:1]
            rows, lead = self._calls(session, each, root, leads, at_ns, parents)
            leads = [*leads, lead] if each.depth else [lead]
            at_ns, parents = self._tools(session, each, lead, rows, at_ns)
        self.trace.close_session(session)

    def _calls(
        self,
        session: ImportedSession,
        each: Round,
        root: Prompt,
        leads: Sequence[_Lead],
        at_ns: int,
        parents: Sequence[int],
    ) -> tuple[list[int], _Lead]:
        """The round's answers, row by row, and the first of them."""
        thought, result = next(self.lengths.thought), next(self.lengths.result)
        prompt, prefix = self._opening(root, leads)
        if each.depth:
            before = leads[-1]
            prefix = (before.row, before.prompt.tokens + min(before.thought, before.answer))
            prompt = before.prompt.followed_by(before.thought, result)
        own_step = prompt.tokens - (leads[-1].prompt.tokens if each.depth else prompt.tokens)
        lead: _Lead | None = None
        rows: list[int] = []
        for _call in range(each.calls):
            self._responses += 1
            first: int | None = None
            for _choice in range(self.shape.choices):
                answer = next(self.lengths.answer)
                if first is not None:
                    prefix = (first, prompt.tokens)
                elif lead is not None:
                    prefix = (lead.row, prompt.tokens - own_step)
                row = self._answer(session, each, prompt, answer, prefix, at_ns, parents)
                first = row if first is None else first
                lead = lead or _Lead(row, prompt, answer, thought)
                rows.append(row)
        assert lead is not None
        return rows, lead

    def _opening(self, root: Prompt, leads: Sequence[_Lead]) -> tuple[Prompt, tuple[int, int] | None]:
        """A prompt without history, and what it repeats: the session's first prompt, or the trace's."""
        if leads:
            return root, (leads[0].row, root.tokens)
        if self._first_row is None:
            return root, None
        return root, (self._first_row, self.lengths.shared)

    def _answer(
        self,
        session: ImportedSession,
        each: Round,
        prompt: Prompt,
        answer: int,
        prefix: tuple[int, int] | None,
        at_ns: int,
        parents: Sequence[int],
    ) -> int:
        streams = self._streams(each)
        call, shared = prefix or (None, 0)
        row = self.trace.add_call(
            session,
            at_ns,
            at_ns + answer * NOMINAL_TOKEN_NS if streams else None,
            parents=parents,
            response_id=str(self._responses),
            choice_count=self.shape.choices,
            first_token_ns=at_ns if streams else None,
            input_tokens=prompt.tokens,
            output_tokens=answer,
            prompt_bytes=prompt.tokens,
            instruction_bytes=prompt.instruction,
            few_shot_bytes=prompt.few_shot,
            user_bytes=prompt.user,
            llm_history_bytes=prompt.llm_history,
            tool_history_bytes=prompt.tool_history,
            prefix_call_id=call,
            prefix_tokens=shared,
        )
        if self._first_row is None:
            self._first_row = row
        return row

    def _tools(
        self, session: ImportedSession, each: Round, lead: _Lead, rows: list[int], at_ns: int
    ) -> tuple[int, list[int]]:
        """The tools after a round; when the next may start, and after which steps."""
        if self.shape.pattern is Pattern.CHAIN:
            return self._in_turn(session, each, rows, at_ns)
        answer_ns = lead.answer * NOMINAL_TOKEN_NS if self._streams(each) else 0
        end_ns, tools = at_ns + answer_ns, []
        for place in range(each.tools):
            start_ns = at_ns + answer_ns * (place + 1) // (each.tools + 1)
            tool_end_ns = start_ns + round(next(self.lengths.tool_s) * NS_PER_S)
            tools.append(self.trace.add_tool(session, start_ns, tool_end_ns, parents=rows, name="tool"))
            end_ns = max(end_ns, tool_end_ns)
        return end_ns, [*rows, *tools] if self._streams(each) else tools or rows

    def _in_turn(
        self, session: ImportedSession, each: Round, rows: list[int], at_ns: int
    ) -> tuple[int, list[int]]:
        parents = rows
        for _tool in range(each.tools):
            end_ns = at_ns + round(next(self.lengths.tool_s) * NS_PER_S)
            parents = [self.trace.add_tool(session, at_ns, end_ns, parents=parents, name="tool")]
            at_ns = end_ns
        return at_ns, parents

    def _streams(self, each: Round) -> bool:
        """Whether tools start while the round's answer is still on its way."""
        return self.shape.pattern is Pattern.PLAN and each.tools > 0
