"""A ReAct agent on the OpenAI SDK: asks the model, runs the tools it calls, and goes on until it answers.

    python -m tracekit.demo.agent --base-url http://127.0.0.1:8080/v1 --sessions 6 --concurrency 3

Nothing in here knows of a recorder: it is the program that `tracekit demo` records.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from tracekit.demo.extra import DemoExtraError, optional
from tracekit.demo.labels import MODEL_ID
from tracekit.demo.question import Question
from tracekit.demo.questions import EXAMPLE, QUESTIONS, SYSTEM_PROMPT
from tracekit.demo.tools import DEFINITIONS, run_tool

if TYPE_CHECKING:
    from openai import OpenAI

Message = dict[str, Any]

STAGGER_S: Final = (0.3, 0.8)
MAX_ROUNDS: Final = 8


@dataclass
class Session:
    """One question's conversation and what it took."""

    client: OpenAI
    question: Question
    messages: list[Message] = field(default_factory=list)
    calls: int = 0
    tools: int = 0

    def run(self) -> str:
        """The final answer: to the question, or to its follow-up after the user has read the first one."""
        self.messages = [{"role": "system", "content": SYSTEM_PROMPT}, *EXAMPLE]
        answer = self._answer_to(self.question.text)
        for follow_up in self.question.follow_ups:
            time.sleep(follow_up.reading_s)
            answer = self._answer_to(follow_up.text)
        return answer

    def _answer_to(self, text: str) -> str:
        self.messages.append({"role": "user", "content": text})
        for _ in range(MAX_ROUNDS):
            reply = self._ask()
            self.messages.append(reply)
            if "tool_calls" not in reply:
                return str(reply["content"])
            self.messages.extend(self._run_tools(reply["tool_calls"]))
        return "No answer within the rounds allowed."

    def _ask(self) -> Message:
        self.calls += 1
        stream = self.client.chat.completions.create(
            model=MODEL_ID,
            messages=cast(Any, self.messages),
            tools=cast(Any, DEFINITIONS),
            stream=True,
            stream_options={"include_usage": True},
        )
        with stream:
            return assembled(stream)

    def _run_tools(self, calls: list[Message]) -> list[Message]:
        self.tools += len(calls)
        with ThreadPoolExecutor(len(calls)) as pool:
            answers = pool.map(lambda call: run_tool(**call["function"]), calls)
            return [
                {"role": "tool", "tool_call_id": call["id"], "content": answer}
                for call, answer in zip(calls, answers, strict=True)
            ]


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


def questions(count: int) -> Iterator[Question]:
    """`count` questions in order, from the first again when they run out."""
    return (QUESTIONS[index % len(QUESTIONS)] for index in range(count))


def run_sessions(base_url: str, sessions: int, concurrency: int) -> None:
    """Run the sessions, at most `concurrency` at once, and print a line as each ends."""
    draw = random.Random(sessions)
    with (
        optional("openai").OpenAI(base_url=base_url, api_key="demo", timeout=120) as client,
        ThreadPoolExecutor(concurrency) as pool,
    ):
        running = []
        for index, question in enumerate(questions(sessions)):
            time.sleep(draw.uniform(*STAGGER_S) if index else 0)
            running.append(pool.submit(_run_and_tell, index + 1, Session(client, question)))
        for session in running:
            session.result()


def _run_and_tell(number: int, session: Session) -> None:
    start = time.monotonic()
    answer = session.run()
    took = time.monotonic() - start
    done = f"session {number}: {session.calls} calls, {session.tools} tools, {took:.1f} s"
    print(f"{done} | {session.question.text} -> {answer}", flush=True)


def main() -> int:
    """Run the agent as the command line says; the process's exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tracekit.demo.agent", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--base-url", required=True, help="the endpoint, with its /v1")
    parser.add_argument("--sessions", type=int, default=6, help="how many questions to ask (default 6)")
    parser.add_argument("--concurrency", type=int, default=3, help="how many at once (default 3)")
    options = parser.parse_args()
    try:
        run_sessions(options.base_url, options.sessions, options.concurrency)
    except DemoExtraError as missing:
        print(missing, file=sys.stderr)
        return missing.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
