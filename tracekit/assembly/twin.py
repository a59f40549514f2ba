"""Twins: one attempt that both a hook in the agent and the recorder's proxy have seen, made one again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from tracekit.assembly.attempt import Attempt
from tracekit.schema import Status
from tracekit.spool import Record

_TIMES = ("first_byte_ns", "first_token_ns", "last_token_ns", "chunk_count", "chunk_gap_us", "response_bytes")


def join_twins(attempts: Iterable[Attempt]) -> list[Attempt]:
    """The attempts in order of start, each seen once.

    What the agent was doing, what it asked and how that went for it is the hook's to say; when bytes and tokens
    came is the proxy's. A record whose twin is missing stands for itself. A transport may send what it was given
    once more by itself: the proxy has then seen several where the hook saw one, and those before the last are
    attempts of their own, in the hook's place.
    """
    known = {attempt.key: attempt for attempt in attempts}
    for key, seen in _twins(sorted(known.values(), key=_order)).items():
        hook, last = known[key], seen.pop()
        del known[last.key]
        known[key] = _joined(hook, last)
        if seen:
            known[key].start_ns = last.start_ns
            seen[0].start_ns = hook.start_ns
        for attempt in seen:
            attempt.record = _place(hook.record, attempt.record)
    return sorted(known.values(), key=_order)


def _twins(attempts: Sequence[Attempt]) -> dict[str, list[Attempt]]:
    """What the proxy saw of each hook's attempt: told by the header that the hook added, or by the same body."""
    twins: dict[str, list[Attempt]] = defaultdict(list)
    keys = {attempt.key for attempt in attempts}
    unmarked: dict[object, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        if attempt.record.get("twin") in keys:
            twins[attempt.record["twin"]].append(attempt)
        elif attempt.record.get("transport") == "proxy":
            unmarked[_wording(attempt)].append(attempt)
    for hook in attempts:
        if hook.record.get("by_proxy") and hook.key not in twins:
            waiting = unmarked[_wording(hook)]
            seen = next((attempt for attempt in waiting if _contains(hook, attempt)), None)
            if seen is not None:
                waiting.remove(seen)
                twins[hook.key].append(seen)
    return twins


def _wording(attempt: Attempt) -> object:
    record = attempt.record
    return record.get("host"), record.get("port"), record.get("path"), attempt.request.get("body_hash")


def _contains(hook: Attempt, seen: Attempt) -> bool:
    return hook.start_ns <= seen.start_ns and (hook.end_ns is None or seen.start_ns <= hook.end_ns)


def _order(attempt: Attempt) -> tuple[int, str]:
    return attempt.start_ns, attempt.key


def _joined(hook: Attempt, seen: Attempt) -> Attempt:
    record = {**hook.record, "clock_point": seen.record.get("clock_point")}
    if seen.end_ns is None:  # the proxy died
        return hook
    if hook.end_ns is None or not _was_answered(seen):
        return Attempt(hook.key, hook.start_ns, record, seen.end_ns, seen.status, seen.outcome)
    outcome: dict[str, Any] = {**hook.outcome, **{name: seen.outcome.get(name) for name in _TIMES}}
    if not hook.response:
        outcome["response"] = seen.outcome.get("response")
    return Attempt(hook.key, hook.start_ns, record, seen.end_ns, hook.status, outcome)


def _was_answered(seen: Attempt) -> bool:
    """Whether the server said something; if not, what the hook saw was the proxy's own answer."""
    return seen.status is not Status.ERROR or seen.http_status is not None


def _place(hook: Record, seen: Record) -> Record:
    names = ("pid", "thread", "task", "scope", "session", "tool", "retry_count")
    return {**seen, **{name: hook.get(name) for name in names}}
