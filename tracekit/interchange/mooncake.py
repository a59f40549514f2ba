"""Mooncake traces (github.com/kvcache-ai/Mooncake): one JSON object a line, prompts as ids of hashed blocks.

timestamp (ms), input_length, output_length, hash_ids of 512-token blocks (`--block-tokens`), one scope a file.
Dynamo's and AIPerf's additions: session_id joins rows to a closed loop, whose later rows start `delay` ms after
the previous answer, or else the difference of their timestamps after it; input_tokens, output_tokens,
created_time and delay_ms are other spellings. No end is recorded, so a call's end is unknown and the next start is
reckoned from its start: replaying it then waits for the simulated end.
"""

from __future__ import annotations

from array import array
from typing import Any, NamedTuple

from tracekit.interchange.bad_rows import BadRow
from tracekit.interchange.imported import ImportedSession, Row, prefix_columns
from tracekit.interchange.prefix_tree import PrefixTree, block_ids
from tracekit.interchange.quantity import NS_PER_MS, optional_ns, tokens
from tracekit.interchange.reader import JsonLinesReader, first_of
from tracekit.interchange.source import Source

BLOCK_TOKENS = 512


class PromptRow(NamedTuple):
    """What a row of the Mooncake family says of a request; None where it does not say."""

    timestamp_ns: int | None
    delay_ns: int | None
    input_tokens: int
    output_tokens: int
    blocks: array[int] | None


class _Turn:
    """The session's latest call."""

    __slots__ = ("row_id", "session", "start_ns")

    def __init__(self, session: ImportedSession) -> None:
        self.session = session
        self.row_id = -1
        self.start_ns = session.start_ns


class Reader(JsonLinesReader):
    """Rows of a Mooncake trace."""

    clock = "since the trace's own start, not dates"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._block_tokens = self.settings.block_tokens or BLOCK_TOKENS
        self._tree = PrefixTree()
        self._turns: dict[str, _Turn] = {}

    def begin(self, source: Source) -> None:
        """Hash ids and sessions are of one file."""
        self._end_sessions()
        self._tree = PrefixTree()

    def take(self, row: dict[str, Any]) -> None:
        """Takes one request."""
        prompt = prompt_row(row, self._block_tokens)
        name = row.get("session_id")
        if name is None:
            if prompt.timestamp_ns is None:
                raise BadRow("it has no timestamp")
            session = self.trace.open_session(prompt.timestamp_ns)
            self._add(session, prompt.timestamp_ns, prompt, [])
            self.trace.close_session(session)
        else:
            self._take_turn(str(name), prompt)

    def finish(self) -> None:
        """Closes the sessions that rows joined."""
        self._end_sessions()

    def _take_turn(self, name: str, prompt: PromptRow) -> None:
        turn = self._turns.get(name)
        if turn is None:
            session = self.trace.open_session(
                (prompt.timestamp_ns or 0) + (prompt.delay_ns or 0 if prompt.timestamp_ns is None else 0),
                conversation_id=name,
                session_source="conversation",
            )
            turn = self._turns[name] = _Turn(session)
            turn.row_id = self._add(session, session.start_ns, prompt, [])
            return
        if prompt.delay_ns is not None:
            start_ns = turn.start_ns + prompt.delay_ns
        elif prompt.timestamp_ns is None:
            raise BadRow("it has neither timestamp nor delay")
        elif prompt.timestamp_ns < turn.start_ns:
            raise BadRow("it starts before the row above it in its session; sort the file by timestamp")
        else:
            start_ns = prompt.timestamp_ns
        turn.row_id = self._add(turn.session, start_ns, prompt, [turn.row_id])
        turn.start_ns = start_ns

    def _add(self, session: ImportedSession, start_ns: int, prompt: PromptRow, parents: list[int]) -> int:
        row_id = self.trace.reserve()
        prefix: Row = {}
        if prompt.blocks is not None:
            shared = self._tree.add(prompt.blocks, row_id)
            prefix = prefix_columns(shared, self._block_tokens, prompt.input_tokens)
        return self.trace.add_call(
            session,
            start_ns,
            None,
            parents=parents,
            row_id=row_id,
            input_tokens=prompt.input_tokens,
            output_tokens=prompt.output_tokens,
            usage_source="server",
            **prefix,
        )

    def _end_sessions(self) -> None:
        for turn in self._turns.values():
            self.trace.close_session(turn.session)
        self._turns = {}


def prompt_row(row: dict[str, Any], block_tokens: int | None) -> PromptRow:
    """What the row says; a missing input_length is whole blocks. None as `block_tokens`: not known yet.

    Raises
    ------
    BadRow : lengths or times are missing or no numbers, or the blocks do not fit the length.
    """
    blocks = None if row.get("hash_ids") is None else block_ids(row["hash_ids"])
    length = first_of(row, ("input_length", "input_tokens"))
    if length is None and blocks is not None and block_tokens is not None:
        length = len(blocks) * block_tokens
    input_tokens = tokens(length, "input_length")
    if blocks is not None and block_tokens is not None and not fits(len(blocks), input_tokens, block_tokens):
        raise BadRow(
            f"hash_ids do not cover input_length in blocks of {block_tokens} tokens (--block-tokens says otherwise)",
            f"{len(blocks)} blocks, {input_tokens} tokens",
        )
    return PromptRow(
        optional_ns(first_of(row, ("timestamp", "created_time")), "timestamp", NS_PER_MS),
        optional_ns(first_of(row, ("delay", "delay_ms")), "delay", NS_PER_MS),
        input_tokens,
        tokens(first_of(row, ("output_length", "output_tokens")), "output_length"),
        blocks,
    )


def fits(blocks: int, input_tokens: int, block_tokens: int) -> bool:
    """Whether so many blocks hash such a prompt, its last, partial block included or not."""
    return input_tokens // block_tokens <= blocks <= -(-input_tokens // block_tokens)
