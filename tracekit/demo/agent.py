"""Agents on the OpenAI SDK: each asks the model, runs the tools it calls, and goes on until it has an answer.

    python -m tracekit.demo.agent --base-url http://127.0.0.1:8080/v1 --workflow react --sessions 6 --concurrency 3

It is the program that `tracekit demo` records. ReAct knows of no recorder; the others hold several conversations in
one session, and say so with `tracekit.session`.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Final

import tracekit
from tracekit.demo.extra import DemoExtraError, optional
from tracekit.demo.labels import MODEL_ID
from tracekit.demo.question import Question
from tracekit.demo.questions import QUESTIONS
from tracekit.demo.session import Session
from tracekit.demo.workflows import WORKFLOWS

STAGGER_S: Final = (0.3, 0.8)


def questions(count: int) -> Iterator[Question]:
    """`count` questions in order, from the first again when they run out."""
    return (QUESTIONS[index % len(QUESTIONS)] for index in range(count))


def run_sessions(
    base_url: str, workflow: str, sessions: int, concurrency: int, model: str = MODEL_ID
) -> None:
    """Run the sessions, at most `concurrency` at once, and print a line as each ends."""
    draw = random.Random(sessions)
    with (
        optional("openai").OpenAI(base_url=base_url, api_key="demo", timeout=600) as client,
        ThreadPoolExecutor(concurrency) as pool,
    ):
        running = []
        for index, question in enumerate(questions(sessions)):
            time.sleep(draw.uniform(*STAGGER_S) if index else 0)
            running.append(pool.submit(_run_and_tell, workflow, index + 1, Session(client, question, model)))
        for session in running:
            session.result()


def _run_and_tell(workflow: str, number: int, session: Session) -> None:
    start = time.monotonic()
    with nullcontext() if workflow == "react" else tracekit.session(f"{workflow} {number}"):
        answer = WORKFLOWS[workflow](session)
    took = time.monotonic() - start
    done = f"session {number}: {session.calls} calls, {session.tools} tools, {took:.1f} s"
    print(f"{done} | {session.question.text} -> {answer}", flush=True)


def main() -> int:
    """Run the agent as the command line says; the process's exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tracekit.demo.agent", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--base-url", required=True, help="the endpoint, with its /v1")
    parser.add_argument("--workflow", choices=list(WORKFLOWS), default="react", help="default react")
    parser.add_argument("--model", default=MODEL_ID, help="what to ask for (default: the random weights)")
    parser.add_argument("--sessions", type=int, default=6, help="how many questions to ask (default 6)")
    parser.add_argument("--concurrency", type=int, default=3, help="how many at once (default 3)")
    options = parser.parse_args()
    try:
        run_sessions(options.base_url, options.workflow, options.sessions, options.concurrency, options.model)
    except DemoExtraError as missing:
        print(missing, file=sys.stderr)
        return missing.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
