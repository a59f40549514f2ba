"""Bailian traces (github.com/alibaba-edu/qwen-bailian-usagetraces-anon, Apache-2.0): chats of Qwen users.

One JSON object a line: chat_id, parent_chat_id (-1: none), timestamp (s), input_length, output_length, type, turn,
hash_ids of 16-token blocks, one scope a file. A chat starts after its parent; a session is a root chat with all
that follows from it. Only arrivals are recorded: the lag to the next turn includes the answer before it. A chat
whose parent came before the trace began is a root. `type` (text, search, image, file) has no column here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tracekit.interchange.bad_rows import BadRow
from tracekit.interchange.imported import ImportedSession, prefix_columns
from tracekit.interchange.mooncake import fits
from tracekit.interchange.prefix_tree import PrefixTree, Shared, block_ids
from tracekit.interchange.quantity import NS_PER_S, duration_ns, tokens
from tracekit.interchange.reader import JsonLinesReader
from tracekit.interchange.source import Source

BLOCK_TOKENS = 16


class _Chat(NamedTuple):
    """A chat that later ones may follow."""

    session: ImportedSession
    row_id: int
    start_ns: int


class Reader(JsonLinesReader):
    """Rows of a Bailian trace."""

    clock = "seconds since the trace's own start, not dates"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._block_tokens = self.settings.block_tokens or BLOCK_TOKENS
        self._tree = PrefixTree()
        self._chats: dict[str, _Chat] = {}

    def begin(self, source: Source) -> None:
        """Chat ids and hash ids are of one file."""
        self.finish()
        self._tree = PrefixTree()

    def take(self, row: dict[str, Any]) -> None:
        """Takes one request."""
        start_ns = duration_ns(row.get("timestamp"), "timestamp", NS_PER_S)
        input_tokens = tokens(row.get("input_length"), "input_length")
        output_tokens = tokens(row.get("output_length"), "output_length")
        blocks = None if row.get("hash_ids") is None else block_ids(row["hash_ids"])
        if blocks is not None and not fits(len(blocks), input_tokens, self._block_tokens):
            raise BadRow(
                f"hash_ids do not cover input_length in blocks of {self._block_tokens} tokens",
                f"{len(blocks)} blocks, {input_tokens} tokens",
            )
        name, parent = self._place(row, start_ns)
        session = (
            parent.session if parent else self.trace.open_session(start_ns, session_source="conversation")
        )
        row_id = self.trace.reserve()
        shared = Shared(None, 0) if blocks is None else self._tree.add(blocks, row_id)
        self.trace.add_call(
            session,
            start_ns,
            None,
            parents=[parent.row_id] if parent else [],
            row_id=row_id,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            usage_source="server",
            **({} if blocks is None else prefix_columns(shared, self._block_tokens, input_tokens)),
        )
        self._chats[name] = _Chat(session, row_id, start_ns)

    def finish(self) -> None:
        """Closes all sessions."""
        for session in {chat.session.row_id: chat.session for chat in self._chats.values()}.values():
            self.trace.close_session(session)
        self._chats = {}

    def _place(self, row: dict[str, Any], start_ns: int) -> tuple[str, _Chat | None]:
        """The chat's own id, and its parent if that is in the trace."""
        if row.get("chat_id") is None:
            raise BadRow("it has no chat_id")
        name = str(row["chat_id"])
        if name in self._chats:
            raise BadRow("its chat_id was there before", name)
        parent = self._chats.get(str(row.get("parent_chat_id", -1)))
        if parent is not None and start_ns < parent.start_ns:
            raise BadRow("it starts before its parent")
        return name, parent
