"""One session of a demo agent: its client, its question, and how it calls the model and its tools."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, cast

from tracekit.demo.labels import MODEL_ID
from tracekit.demo.question import Question
from tracekit.demo.tools import DEFINITIONS, run_tool

if TYPE_CHECKING:
    from openai import OpenAI

Message = dict[str, Any]

MAX_ROUNDS: Final = 8


@dataclass
class Session:
    """A question under way, and what it took; its methods may be called from several threads."""

    client: OpenAI
    question: Question
    model: str = MODEL_ID
    calls: int = 0
    tools: int = 0

    def __post_init__(self) -> None:
        self._counting = Lock()

    def ask(self, messages: list[Message], *, tools: bool = True) -> Message:
        """The model's next message; without `tools` it cannot call any."""
        with self._counting:
            self.calls += 1
        offered = {"tools": cast(Any, DEFINITIONS)} if tools else {}
        stream = self.client.chat.completions.create(
            model=self.model,
            messages=cast(Any, messages),
            stream=True,
            stream_options={"include_usage": True},
            **offered,
        )
        with stream:
            return assembled(stream)

    def run_tools(self, calls: list[Message]) -> list[Message]:
        """The results of all calls, which run at once."""
        with self._counting:
            self.tools += len(calls)
        with ThreadPoolExecutor(len(calls)) as pool:
            answers = pool.map(lambda call: run_tool(**call["function"]), calls)
            return [
                {"role": "tool", "tool_call_id": call["id"], "content": answer}
                for call, answer in zip(calls, answers, strict=True)
            ]

    def answer_to(self, messages: list[Message], text: str) -> str:
        """Asks, runs the tools that the model calls, and goes on until it answers; `messages` grow by it all."""
        messages.append({"role": "user", "content": text})
        for _ in range(MAX_ROUNDS):
            reply = self.ask(messages)
            messages.append(reply)
            if "tool_calls" not in reply:
                return str(reply["content"])
            messages.extend(self.run_tools(reply["tool_calls"]))
        return "No answer within the rounds allowed."


def assembled(stream: Any) -> Message:
    """The assistant message that a stream of chunks adds up to."""
    content = ""
    calls: dict[int, Message] = {}
    for delta in (choice.delta for chunk in stream for choice in chunk.choices):
        content += delta.content or ""
        for part in delta.tool_calls or ():
            call = calls.setdefault(
                part.index, {"id": part.id, "type": "function", "function": {"name": "", "arguments": ""}}
            )
            call["function"]["name"] += part.function.name or ""
            call["function"]["arguments"] += part.function.arguments or ""
    message: Message = {"role": "assistant", "content": content or None}
    return message | ({"tool_calls": list(calls.values())} if calls else {})
