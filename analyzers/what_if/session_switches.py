"""Switches of the sessions: what agents would do otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tracekit.analyzers.what_if.changes import Changes
from tracekit.analyzers.what_if.domain import Domain, Value, flag, number, whole
from tracekit.analyzers.what_if.switch import Subject, Switch

UPPER_BOUND = "upper bound"


def _of_sessions(name: str, key: str, domain: Domain, meaning: str, **words: str) -> Switch:
    def turned(changes: Changes, value: Value) -> Changes:
        changed: dict[str, Any] = {key: value}
        return replace(changes, **changed)

    return Switch(
        name, Subject.SESSIONS, domain, meaning, lambda changes: getattr(changes, key), turned, **words
    )


SESSION_SWITCHES = (
    _of_sessions(
        "tools.speculative",
        "speculative",
        number(0, 1, "off"),
        "Tools start with the call that asks for them, guessed; the guess is right with this probability.",
        unit="(a probability)",
        warning="a wrong guess is taken to do no harm, and to run for as long as the tool; what it costs is not priced",
    ),
    _of_sessions(
        "tools.async",
        "asynchronous",
        flag(),
        "Calls do not wait for tools; the session's last call waits for all of them.",
        label=UPPER_BOUND,
        warning="agents mostly need what a tool answered for their next call: this is the most that could be gained",
    ),
    _of_sessions(
        "tools.time", "tool_time", number(0, 1e6), "Length of every tool, in parts of the recorded one."
    ),
    _of_sessions(
        "calls.parallel",
        "parallel_calls",
        flag(),
        "A call does not wait for another whose answer its prompt does not continue.",
        label=UPPER_BOUND,
        warning="an answer may be used elsewhere than at a prompt's beginning; calls of no known prefix stay",
    ),
    _of_sessions(
        "calls.sequential", "sequential_calls", flag(), "A session's calls run one after the other, in order of start."
    ),
    _of_sessions(
        "iterations",
        "iterations",
        whole(1, 1_000_000, "off"),
        "Rounds of a session: all but the last of them from its beginning, then the recorded last call.",
        unit="rounds",
        warning="quality is unknown without scores by budget; the last prompt still holds the rounds left out",
    ),
    _of_sessions(
        "few_shot",
        "few_shot_tokens",
        whole(-10_000_000, 10_000_000),
        "Tokens of examples added to every prompt, or taken out.",
        unit="tokens",
        warning="only tokens change; without examples agents took more steps (arXiv 2506.04301, Fig 15)",
    ),
)  # fmt: skip
