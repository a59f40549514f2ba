"""What a request asks the server to play. Prompts say so themselves, since prompts go through any framework.

`<<tools get_weather get_time>>` calls two tools in the first turn; a second `<<tools ...>>` is the second turn's;
`{...}` behind the names are the arguments. `<<say TEXT>>` is the answer. Faults: see FAULTS in server.py.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.clients.server_truth import Usage

DIRECTIVE = re.compile(r"<<([a-z0-9-]+)(?: (.*?))?>>", re.DOTALL)
DEFAULT_ANSWER = "It is sunny in Paris."
CITIES = ["Paris", "Rome", "Oslo"]
INPUT, OUTPUT, CACHED, REASONING, CACHE_WRITE = 111, 22, 64, 7, 5
INPUT_PER_TURN = 40


@dataclass
class ToolCall:
    """A tool that the answer calls."""

    id: str
    name: str
    arguments: str


@dataclass
class Plan:
    """What one request gets."""

    response_id: str
    model: str
    turn: int
    pieces: list[str]  # the answer's text, one piece a chunk
    tools: list[ToolCall]
    reasoning: list[str]
    usage: Usage
    choices: int
    directives: dict[str, str] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Whether the prompt asked for it."""
        return name in self.directives

    @property
    def text(self) -> str:
        """The whole answer."""
        return "".join(self.pieces)


def strings_in(value: Any) -> Iterator[str]:
    """Every string inside a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings_in(inner)


def first_directives(body: dict[str, Any]) -> list[tuple[str, str]]:
    """Directives of the first string that has any: frameworks repeat prompts."""
    for part in ("messages", "input", "prompt"):
        for text in strings_in(body.get(part)):
            if found := DIRECTIVE.findall(text):
                return found
    return []


def turns_before(body: dict[str, Any]) -> int:
    """How often the model has already spoken in this request's history."""
    items = body.get("messages") or body.get("input") or []
    if not isinstance(items, list):
        return 0
    turns, in_calls = 0, False
    for item in items:
        if not isinstance(item, dict):
            continue
        calling = item.get("type") == "function_call"
        if item.get("role") == "assistant" or (calling and not in_calls):
            turns += 1
        in_calls = calling
    return turns


def digest_of(value: Any) -> str:
    """A short name for a value, the same in every run."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:12]


def tools_of_turn(directives: list[tuple[str, str]], turn: int, name: str) -> list[ToolCall]:
    """The calls of this turn; none once the turns with tools are over."""
    rounds = [argument for directive, argument in directives if directive == "tools"]
    if turn >= len(rounds):
        return []
    names, _, given = rounds[turn].partition("{")
    calls = []
    for index, tool in enumerate(names.split()):
        arguments = "{" + given if given else json.dumps({"city": CITIES[index % len(CITIES)]})
        calls.append(ToolCall(f"call_{name}_{index}", tool, arguments))
    return calls


def pieces_of(directives: dict[str, str]) -> list[str]:
    """The answer cut as it is streamed: a word a chunk."""
    if "chunks" in directives:
        return [f"word{index} " for index in range(int(directives["chunks"]))]
    text = directives.get("say") or DEFAULT_ANSWER
    return [piece for piece in re.split(r"(?=[ \n])", text) if piece]


def usage_of(directives: dict[str, str], turn: int, api: str, choices: int) -> Usage:
    """The truth about tokens. What an API has no field for is None."""
    given = directives.get("tokens", f"{INPUT + INPUT_PER_TURN * turn} {OUTPUT}").split()
    usage = Usage(int(given[0]), int(given[1]) * choices, CACHED, None, REASONING)
    if api == "embeddings":
        return Usage(usage.input, 0, None, None, None)
    if api == "completions":
        return Usage(usage.input, usage.output, None, None, None)
    if api == "messages":
        return Usage(usage.input, usage.output, CACHED, CACHE_WRITE, None)
    return usage


def plan_for(body: dict[str, Any], api: str, earlier: Plan | None) -> Plan:
    """What this request gets; `earlier` is the response it continues on the server, if any."""
    found = first_directives(body)
    if earlier is not None and not found:
        found = list(earlier.directives.items())
    directives = dict(reversed(found))  # the first of a name wins
    turn = turns_before(body) + (earlier.turn + 1 if earlier else 0)
    spoken = {key: body.get(key) for key in ("model", "messages", "input", "prompt", "previous_response_id")}
    name = digest_of(spoken)
    tools = tools_of_turn(found, turn, name)
    choices = int(body.get("n") or 1)
    return Plan(
        response_id=f"resp_{name}",
        model=str(body.get("model")),
        turn=turn,
        pieces=[] if tools else pieces_of(directives),
        tools=tools,
        reasoning=["Let me", " think."] if "reasoning" in directives else [],
        usage=usage_of(directives, turn, api, choices),
        choices=choices,
        directives=directives,
    )
