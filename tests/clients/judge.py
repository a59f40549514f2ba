"""Holds a recorded run to what the server did and to what the client printed without the recorder.

What a case may promise: `unread` (the client did not read to the end, so usage may be unknown, but not wrong),
`sessions` (how many its calls make), `tools` ("serial" or "parallel": how its tools ran), `branches` (its calls run
side by side), `late` (it reads a stream some time after asking for it), `unseen` (modes that cannot see it, with the
reason), `told` (what is missed must be named in the trace), `varies` (its output is not the same each time), `races`
(its requests are not: results of tools go out in the order in which the tools end), `exit`, `calls`, `status`, `alone`
(a process of its own), `model`, `base` ("argument": no base URL in the environment).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tests.clients.programs import casebook
from tests.clients.server_truth import Served
from tests.clients.session_of_cases import HANGS, Run

CLOCK_SLACK_NS = 1_000_000
TOOL_WINDOW_NS = 50_000_000
FAULTS = {"stall-headers", "reset", "reset-first", "stream-error", "stall"}


@dataclass
class Call:
    """A call as the server saw it: its attempts, the last of which was the answer."""

    attempts: list[Served]

    @property
    def last(self) -> Served:
        """The attempt that was answered, or the last that failed."""
        return self.attempts[-1]


@dataclass
class Verdict:
    """What was found about one case. `faults` are by aspect; none of an aspect means it held."""

    case: str
    mode: str
    expected_calls: int = 0
    recorded_calls: int = 0
    told_calls: int = 0  # calls whose tokens the client was told
    true_tokens: int = 0
    unseen_reason: str | None = None
    faults: list[tuple[str, str]] = field(default_factory=list)
    first_token_errors_ms: list[float] = field(default_factory=list)
    tool_errors_ms: list[float] = field(default_factory=list)
    tool_sources: list[str] = field(default_factory=list)

    def fault(self, aspect: str, what: str) -> None:
        """Note that an aspect did not hold."""
        self.faults.append((aspect, what))

    def expect(self, aspect: str, name: str, wanted: Any, seen: Any) -> None:
        """Note a difference."""
        if wanted != seen:
            self.fault(aspect, f"{name}: wanted {wanted!r}, saw {seen!r}")


def calls_of(served: list[Served]) -> list[Call]:
    """Attempts put together: the same body again after an error is the same call."""
    open_calls: dict[str, Call] = {}
    calls: list[Call] = []
    for request in served:
        if request.retried and request.body_digest in open_calls:
            open_calls[request.body_digest].attempts.append(request)
        else:
            open_calls[request.body_digest] = Call([request])
            calls.append(open_calls[request.body_digest])
    return calls


def judge(case: str, promise: dict[str, Any], mode: str, plain: Run, recorded: Run) -> Verdict:
    """One case's verdict."""
    verdict = Verdict(case, mode, unseen_reason=(promise.get("unseen") or {}).get(mode))
    model = promise.get("model") or casebook.PREFIX + case
    served = [request for request in recorded.served if belongs(request.model, model)]
    rows = [row for row in recorded.rows if row["kind"] == "llm_call" and belongs(row["model"], model)]
    rows.sort(key=lambda row: row["start_ns"])
    calls = calls_of(served)
    wanted = promise.get("calls", len(calls))
    verdict.expected_calls, verdict.recorded_calls = wanted, min(len(rows), wanted)
    judge_output(verdict, case, promise, plain, recorded)
    judge_requests(verdict, mode, promise, [r for r in plain.served if belongs(r.model, model)], served)
    if not recorded.provenance:
        verdict.fault("recorded", "no trace was written")
        return verdict
    if len(rows) != wanted and not (verdict.unseen_reason and len(rows) < wanted):
        verdict.fault("recorded", f"{wanted} calls made, {len(rows)} recorded")
    if promise.get("told") and len(rows) < wanted and not processes_not_followed(recorded):
        verdict.fault("honesty", "calls were missed in a process that the trace does not name")
    pairs = paired(calls, rows)
    asked_alone = {r.response_id: r.asks_usage for r in plain.served}
    for call, row in pairs:
        judge_call(verdict, promise, mode, call, row, recorded.rows, asked_alone)
    judge_sessions(verdict, promise, rows)
    judge_tools(verdict, case, promise, recorded, served, rows)
    return verdict


def processes_not_followed(recorded: Run) -> dict[str, int]:
    """What the trace says of processes it could not look into."""
    named: dict[str, int] = recorded.provenance.get("not_seen", {}).get("processes_not_followed", {})
    return named


def belongs(seen: str | None, model: str) -> bool:
    """Whether a model's name is the case's; frameworks put a provider before it or a place behind it."""
    return seen is not None and (seen == model or seen.endswith("/" + model) or seen.startswith(model + "--"))


def judge_output(verdict: Verdict, case: str, promise: dict[str, Any], plain: Run, recorded: Run) -> None:
    """The client must have printed the same, and ended the same."""
    before, after = plain.stdout.get(case), recorded.stdout.get(case)
    if before is None:
        verdict.fault("case", f"the case did not run without the recorder: {plain.stderr[-300:]}")
    elif before != after and not promise.get("varies"):
        verdict.fault("broken", difference(before, after or "nothing"))
    codes = [128 - run.code if -64 <= run.code < 0 else run.code for run in (plain, recorded)]
    verdict.expect("broken", "exit code", codes[0], codes[1])
    if HANGS in codes:
        verdict.fault("broken", f"it hung: {plain.stderr[-3000:]} {recorded.stderr[-3000:]}")
    verdict.expect("case", "exit code without the recorder", promise.get("exit", 0), codes[0])
    for line in recorded.stderr.splitlines():
        if "sitecustomize" in line or "tracekit/collectors" in line:
            verdict.fault("broken", f"stderr: {line[:200]}")


def difference(before: str, after: str) -> str:
    """The first line that is another."""
    old, new = before.splitlines(), after.splitlines()
    for one, other in zip(old, new, strict=False):
        if one != other:
            return f"printed {other[:200]!r} instead of {one[:200]!r}"
    return f"printed {len(new)} lines instead of {len(old)}: {after[-200:]!r}"


def judge_requests(
    verdict: Verdict, mode: str, promise: dict[str, Any], before: list[Served], after: list[Served]
) -> None:
    """Without --usage inject and without a proxy the server gets what it always got."""
    if mode != "default" or promise.get("varies"):
        return
    if not promise.get("races") and sorted(r.body_digest for r in before) != sorted(
        r.body_digest for r in after
    ):
        verdict.fault("broken", f"other request bodies: {len(before)} before, {len(after)} recorded")
    names = [
        sorted({name for request in requests for name in request.header_names})
        for requests in (before, after)
    ]
    verdict.expect("broken", "names of request headers", names[0], names[1])


def paired(calls: list[Call], rows: list[dict[str, Any]]) -> list[tuple[Call, dict[str, Any]]]:
    """Each call with its row: by the response's id where there is one, else in order."""
    left, pairs = list(rows), []
    for call in sorted(calls, key=lambda call: call.last.response_id is None):
        same = [row for row in left if row["response_id"] and row["response_id"] == call.last.response_id]
        without_id = [row for row in left if not row["response_id"] and row["api"] == call.last.api]
        likely = same or without_id or (left if len(rows) >= len(calls) else [])
        if likely:
            row = likely[0]
            left.remove(row)
            pairs.append((call, row))
    return pairs


def judge_call(
    verdict: Verdict,
    promise: dict[str, Any],
    mode: str,
    call: Call,
    row: dict[str, Any],
    rows: list[dict[str, Any]],
    asked_alone: dict[str | None, bool],
) -> None:
    """One call: what it was, its attempts, status, tokens and times."""
    truth = call.last
    for name, wanted in {"api": truth.api, "stream": truth.stream}.items():
        verdict.expect("fields", name, wanted, row[name])
    attempts = [r for r in rows if r["kind"] == "http_attempt" and r["call_id"] == row["row_id"]]
    if truth.status != 101:
        verdict.expect("attempts", "attempt_count", len(call.attempts), row["attempt_count"])
        verdict.expect("attempts", "rows", len(call.attempts), len(attempts))
        statuses = [a.status for a in call.attempts if a.status]
        seen = [a["http_status"] for a in sorted(attempts, key=lambda a: a["start_ns"]) if a["http_status"]]
        if FAULTS.isdisjoint(truth.directives) and row["status"] != "interrupted":
            verdict.expect("attempts", "statuses", statuses, seen)
    fine = truth.status in (200, 101) and truth.complete and FAULTS.isdisjoint(truth.directives)
    if promise.get("unread"):
        verdict.expect("status", "one of ok, cancelled, interrupted, error", True, row["status"] is not None)
    else:
        wanted = promise.get("status") or ("ok" if fine or retried_well(call) else "error")
        verdict.expect("status", "status", wanted, row["status"])
    if fine and not promise.get("unread") and truth.api != "embeddings":
        verdict.expect("fields", "response_id", truth.response_id, row["response_id"])
        verdict.expect("fields", "tool_call_ids", truth.tool_ids, row["tool_call_ids"] or [])
        verdict.expect("fields", "tool_call_names", truth.tool_names, row["tool_call_names"] or [])
        verdict.expect("fields", "finish_reason known", True, row["finish_reason"] is not None)
    judge_tokens(verdict, promise, mode, call, row, asked_alone)
    judge_times(verdict, promise, truth, row, fine)


def retried_well(call: Call) -> bool:
    """Whether the last attempt was answered in full."""
    return len(call.attempts) > 1 and call.last.status == 200 and call.last.complete


def judge_tokens(
    verdict: Verdict,
    promise: dict[str, Any],
    mode: str,
    call: Call,
    row: dict[str, Any],
    asked_alone: dict[str | None, bool],
) -> None:
    """The server's numbers, or none; an estimate only where there is no number, and labelled."""
    truth = None if "stall-headers" in call.last.directives else call.last.usage
    source = row["usage_source"]
    if truth is None:
        told_early = call.last.api == "messages"  # input tokens come first in its streams
        if (
            call.last.usage is None
            and call.last.complete
            and not told_early
            and source not in ("missing", "estimated")
        ):
            verdict.fault("tokens", f"the server told none, usage_source is {source}")
        if source in (None, "missing") and row["input_tokens"] is not None:
            verdict.fault("tokens", f"input_tokens {row['input_tokens']} from nowhere")
        return
    if promise.get("unread") and row["input_tokens"] is None:
        return  # the server sent them, the client did not read so far
    verdict.told_calls += 1
    seen = {
        "input_tokens": row["input_tokens"],
        "output_tokens": row["output_tokens"] or 0,
        "cached_tokens": row["cached_tokens"],
        "cache_write_tokens": row["cache_write_tokens"],
        "reasoning_tokens": row["reasoning_tokens"],
    }
    wanted = dict(
        zip(seen, (truth.input, truth.output, truth.cached, truth.cache_write, truth.reasoning), strict=True)
    )
    if promise.get("unread") and source in ("missing", "estimated"):
        return
    injected = mode == "inject" and call.last.asks_usage and asked_alone.get(call.last.response_id) is False
    sources = ("injected",) if injected else ("server", "injected") if mode == "proxy" else ("server",)
    if seen == wanted and source in sources:
        verdict.true_tokens += 1
    else:
        verdict.fault(
            "tokens", f"wanted {list(wanted.values())} {sources}, saw {list(seen.values())} {source}"
        )


def judge_times(
    verdict: Verdict, promise: dict[str, Any], truth: Served, row: dict[str, Any], fine: bool
) -> None:
    """Nothing before its cause; the first token measured against the server's."""
    if row["start_ns"] > truth.received_ns + CLOCK_SLACK_NS and not truth.retried:
        verdict.fault(
            "times", f"starts {(row['start_ns'] - truth.received_ns) / 1e6:.1f} ms after the server had it"
        )
    for name, cause in {
        "first_byte_ns": truth.first_byte_ns,
        "first_token_ns": truth.first_content_ns,
    }.items():
        if row[name] and cause and row[name] < cause - CLOCK_SLACK_NS:
            verdict.fault("times", f"{name} is {(cause - row[name]) / 1e6:.1f} ms before the server sent it")
    if not truth.stream or not truth.first_content_ns or not (fine or promise.get("unread")):
        return
    if row["first_token_ns"] is None:
        if fine and not promise.get("unread"):
            verdict.fault("times", "a stream without first_token_ns")
        return
    if not promise.get("late"):
        verdict.first_token_errors_ms.append((row["first_token_ns"] - truth.first_content_ns) / 1e6)
    if row["end_ns"] is not None and row["end_ns"] < row["first_token_ns"]:
        verdict.fault("times", "ends before its first token")
    if fine and not promise.get("unread"):
        verdict.expect("times", "chunk_count", truth.output_events, row["chunk_count"])
        verdict.expect("times", "gaps", truth.output_events - 1, len(row["chunk_gap_us"] or []))


def judge_sessions(verdict: Verdict, promise: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """Every call is in a session; a conversation in one, separate ones in separate ones."""
    if any(row["session_id"] is None for row in rows):
        verdict.fault("sessions", "calls without a session")
    ids = {row["row_id"] for row in rows}
    if promise.get("branches") and any(ids & set(row["parents"] or []) for row in rows):
        verdict.fault("edges", "a call made beside another has it as its parent")
    if "sessions" in promise and rows:
        verdict.expect("sessions", "sessions", promise["sessions"], len({row["session_id"] for row in rows}))
        if promise["sessions"] == 1 and (loose := [r["row_id"] for r in rows[1:] if not r["parents"]]):
            verdict.fault("edges", f"{len(loose)} of {len(rows)} calls have no parent")


def judge_tools(
    verdict: Verdict,
    case: str,
    promise: dict[str, Any],
    recorded: Run,
    served: list[Served],
    rows: list[dict[str, Any]],
) -> None:
    """One row for each tool that ran, and windows that are the tools'."""
    if "tools" not in promise or not rows:
        return
    truth = sorted(
        (note for note in recorded.tools if note["case"] == case), key=lambda note: note["start_ns"]
    )
    if not truth:
        verdict.fault("case", "no tool ran")
        return
    ids = {row["row_id"] for row in rows}
    spans = [r for r in recorded.rows if r["kind"] == "tool_span" and r["call_id"] in ids]
    called = {identity for request in served for identity in request.tool_ids}
    verdict.expect(
        "tools", "names of tool rows", sorted(n["name"] for n in truth), sorted(str(s["name"]) for s in spans)
    )
    if promise.get("tool_ids", True) and not {span["tool_call_id"] for span in spans} <= called:
        verdict.fault(
            "tools", f"tool_call_id {[span['tool_call_id'] for span in spans]}, not {sorted(called)}"
        )
    for asker in {span["call_id"] for span in spans}:
        group = [span for span in spans if span["call_id"] == asker]
        names = {span["name"] for span in group}
        row = next(row for row in rows if row["row_id"] == asker)
        ran = [note for note in truth if note["name"] in names and note["start_ns"] >= row["start_ns"]][
            : len(group)
        ]
        if not ran or any(span["end_ns"] is None for span in group):
            verdict.fault("tools", "a tool row without its end")
            continue
        errors = [
            min(span["start_ns"] for span in group) - min(note["start_ns"] for note in ran),
            max(span["end_ns"] for span in group) - max(note["end_ns"] for note in ran),
        ]
        verdict.tool_errors_ms.append(max(abs(error) for error in errors) / 1e6)
        if promise["tools"] == "serial" and all(span["tool_source"] == "framework" for span in group):
            pairs = zip(sorted(group, key=lambda s: s["start_ns"]), ran, strict=False)
            worst = max(
                max(abs(s["start_ns"] - n["start_ns"]), abs(s["end_ns"] - n["end_ns"])) for s, n in pairs
            )
            verdict.tool_errors_ms[-1] = max(verdict.tool_errors_ms[-1], worst / 1e6)
    verdict.tool_sources = sorted({str(span["tool_source"]) for span in spans})


def judge_run(recorded: Run) -> list[str]:
    """Faults of a whole run: content or keys in the file, its mode, the recorder's own failures."""
    faults = []
    stored = json.dumps(recorded.rows, default=str) + json.dumps(recorded.provenance, default=str)
    for what, text in {
        "a prompt": casebook.SECRET,
        "an API key": casebook.KEY,
        "an answer": "sunny in",
    }.items():
        if text in stored:
            place = stored.index(text)
            faults.append(f"{what} is in the trace: ...{stored[max(0, place - 80) : place + 40]}...")
    not_seen = recorded.provenance.get("not_seen", {})
    counted = ("hook_errors", "lost_records", "unreadable_lines", "unfit_values")
    faults += [f"{name}: {not_seen[name]}" for name in counted if not_seen.get(name)]
    if recorded.trace_mode not in (None, 0o600):
        faults.append(f"the trace's mode is {recorded.trace_mode:o}")
    return faults
