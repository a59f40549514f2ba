"""A client's chat request: what it asks for, and how the engine is asked in turn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from tracekit.demo.grammar import Token, exactly, freely
from tracekit.demo.script import text_of
from tracekit.demo.turn import Turn, calls_after_text

Json = dict[str, Any]

LONGEST_LINE: Final = 280
"""Characters of a sampled thought or answer."""
SAMPLING: Final[Json] = {"temperature": 0.7, "top_p": 0.9, "seed": 20260}


class BadRequestError(Exception):
    """The client's request cannot be answered as it is."""


@dataclass(frozen=True)
class ChatRequest:
    """The parts of a request that the demo heeds; `max_tokens` is None if the client sets no limit."""

    messages: list[Json]
    tools: list[Json]
    stream: bool
    stream_options: Json
    max_tokens: int | None

    @classmethod
    def parsed(cls, body: bytes) -> ChatRequest:
        """The request in a body; `BadRequestError` if it is not one."""
        try:
            request = json.loads(body)
        except ValueError as malformed:
            raise BadRequestError(f"The body is not JSON: {malformed}.") from None
        if not isinstance(request, dict):
            raise BadRequestError("The body has to be a JSON object.")
        stream_options = request.get("stream_options") or {}
        if not isinstance(stream_options, dict):
            raise BadRequestError("'stream_options' has to be an object.")
        limit = request.get("max_completion_tokens") or request.get("max_tokens")
        return cls(
            messages=_objects(request, "messages", at_least=1),
            tools=_objects(request, "tools"),
            stream=bool(request.get("stream")),
            stream_options=stream_options,
            max_tokens=limit if isinstance(limit, int) else None,
        )

    def for_engine(self, tokens: Sequence[Token]) -> Json:
        """The request that makes the engine emit exactly these tokens after the conversation."""
        return self._for_engine(exactly(tokens), len(tokens), {"temperature": 0})

    def for_sampling(self, turn: Turn) -> Json:
        """The request that lets the engine choose a line of words and then holds it to the turn's calls."""
        rest = "".join(piece.text for piece in calls_after_text(turn))
        grammar = freely(turn.lead, LONGEST_LINE, rest)
        return self._for_engine(grammar, len(turn.lead) + LONGEST_LINE + len(rest), SAMPLING)

    def _for_engine(self, grammar: str, tokens: int, sampling: Json) -> Json:
        whole = tokens + 1  # the end of the message is a token too
        body: Json = {
            "messages": _templated(self.messages),
            "chat_template_kwargs": {"tool_definitions": [json.dumps(tool) for tool in self.tools]},
            "grammar": grammar,
            **sampling,
            "max_tokens": min(whole, self.max_tokens or whole),
            "stream": self.stream,
        }
        if self.stream:
            body["stream_options"] = {"include_usage": bool(self.stream_options.get("include_usage"))}
        return body


def _objects(request: Json, name: str, at_least: int = 0) -> list[Json]:
    found = request.get(name) or []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise BadRequestError(f"'{name}' has to be a list of objects.")
    if len(found) < at_least:
        raise BadRequestError(f"'{name}' is missing or empty.")
    return found


def _templated(messages: list[Json]) -> list[Json]:
    """The messages in the words of the chat template, which names the tools under the system message."""
    templated = [_templated_message(message) for message in messages]
    if templated[0]["role"] != "system":
        templated.insert(0, {"role": "system", "content": ""})
    return templated


def _templated_message(message: Json) -> Json:
    role = message.get("role")
    templated: Json = {"role": "system" if role == "developer" else str(role), "content": text_of(message)}
    if message.get("tool_calls"):
        templated["tool_calls"] = message["tool_calls"]
    if role == "tool":
        templated["tool_call_id"] = str(message.get("tool_call_id"))
    return templated
