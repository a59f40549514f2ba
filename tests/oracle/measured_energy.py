"""The attribution of measured joules, instant by instant: slow, obvious, the definition (DESIGN: measured traces).

Samples, calls and tools are rows as a trace has them. Times are ns, unknown values None.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from tracekit.analyzers.kernels.layout import TABLE_NODES

Row = dict[str, Any]
Joules = Callable[[int, int], float]

LOST = ("NVML_ERROR_GPU_IS_LOST", "NVML_ERROR_RESET_REQUIRED")
PROMPT_STEP_TOKENS = 8192


@dataclass
class Stretch:
    """Constant power from one instant to another; None: not known."""

    start_ns: int
    end_ns: int
    joules: float | None


@dataclass
class Charged:
    """Joules by whom and what they are charged to."""

    phases: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    causes: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    calls: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    sessions: dict[int | None, float] = field(default_factory=lambda: defaultdict(float))
    tools: dict[int, float] = field(default_factory=lambda: defaultdict(float))


def stretches(samples: list[Row]) -> list[Stretch]:
    """What is known between each sample and the next."""
    between = list(itertools.pairwise(samples))
    usual_s = median((b["start_ns"] - a["start_ns"]) / 1e9 for a, b in between) if between else 0.0
    longest_s = max(3.0, 3 * usual_s)
    counter_reads = [place for place, sample in enumerate(samples) if sample["energy_counter_j"] is not None]
    moved = [
        place
        for before, place in itertools.pairwise(counter_reads)
        if samples[place]["energy_counter_j"] != samples[before]["energy_counter_j"]
    ]
    reads = sorted({counter_reads[0], *moved, counter_reads[-1]}) if moved else []
    watt_reads = [place for place, sample in enumerate(samples) if sample["power_w"] is not None]
    return [
        _stretch(samples, place, _around(reads, place), _around(watt_reads, place), longest_s)
        for place in range(len(between))
    ]


def _around(reads: list[int], place: int) -> tuple[int, int] | None:
    """The reads before and after the interval from sample `place` to the next."""
    before = [read for read in reads if read <= place]
    after = [read for read in reads if read > place]
    return (before[-1], after[0]) if before and after else None


def _stretch(
    samples: list[Row],
    place: int,
    counter: tuple[int, int] | None,
    watts: tuple[int, int] | None,
    longest_s: float,
) -> Stretch:
    start_ns, end_ns = samples[place]["start_ns"], samples[place + 1]["start_ns"]

    def seconds(pair: tuple[int, int]) -> float:
        return (samples[pair[1]]["start_ns"] - samples[pair[0]]["start_ns"]) / 1e9

    def is_lost(pair: tuple[int, int]) -> bool:
        return any(sample["reason"] in LOST for sample in samples[pair[0] : pair[1]])

    part_s = (end_ns - start_ns) / 1e9
    if counter is not None:
        advance_j = samples[counter[1]]["energy_counter_j"] - samples[counter[0]]["energy_counter_j"]
        if is_lost(counter) or advance_j < 0:
            return Stretch(start_ns, end_ns, None)
        if seconds(counter) <= longest_s:
            return Stretch(start_ns, end_ns, advance_j * part_s / seconds(counter))
    if watts is not None and seconds(watts) <= longest_s and not is_lost(watts):
        middle_w = (samples[watts[0]]["power_w"] + samples[watts[1]]["power_w"]) / 2
        return Stretch(start_ns, end_ns, middle_w * part_s)
    return Stretch(start_ns, end_ns, None)


def joules_of(known: list[Stretch]) -> Joules:
    """Joules between two instants, what is not known left out."""

    def joules(start_ns: int, end_ns: int) -> float:
        total = []
        for stretch in known:
            both_ns = min(end_ns, stretch.end_ns) - max(start_ns, stretch.start_ns)
            if both_ns > 0 and stretch.joules is not None:
                total.append(stretch.joules * both_ns / (stretch.end_ns - stretch.start_ns))
        return math.fsum(total)

    return joules


def attribute(
    charged: Charged,
    joules: Joules,
    span_ns: tuple[int, int],
    calls: list[Row],
    tools: list[Row],
    costs: dict[str, Any],
) -> None:
    """Charge the joules of one GPU, which `span_ns` holds, to `calls` (those it serves are marked `served`).

    `costs` are StepCost and TokenTable by model, of those that the catalog knows on this GPU.
    """
    begin_ns = min(row["start_ns"] for row in [*calls, *tools])
    end_ns = max(row["end_ns"] for row in [*calls, *tools])
    instants = {begin_ns, end_ns, *span_ns}
    for row in [*calls, *tools]:
        instants |= {row["start_ns"], row["end_ns"]}
        if row.get("first_token_ns") is not None:
            instants.add(row["first_token_ns"])
    ordered = sorted(instants)
    for start_ns, stop_ns in itertools.pairwise(ordered):
        energy_j = joules(start_ns, stop_ns)
        if start_ns < begin_ns or stop_ns > end_ns:
            charged.phases["outside"] += energy_j
            continue
        open_calls = [call for call in calls if _is_open(call, start_ns, stop_ns)]
        served = [call for call in open_calls if call["served"]]
        if served:
            charged.phases[_phase(served, start_ns)] += energy_j
            for call, share in zip(served, _shares(served, start_ns, costs), strict=True):
                charged.calls[call["row_id"]] += energy_j * share
                charged.sessions[call["session_id"]] += energy_j * share
        else:
            charged.phases["idle"] += energy_j
            _charge_idle(charged, energy_j, start_ns, stop_ns, calls, tools)


def _is_open(row: Row, start_ns: int, stop_ns: int) -> bool:
    return row["start_ns"] <= start_ns and stop_ns <= row["end_ns"]


def _phase(calls: list[Row], at_ns: int) -> str:
    if any(call["first_token_ns"] is None for call in calls):
        return "unphased"
    prefilling = [call["first_token_ns"] > at_ns for call in calls]
    return "prefill" if all(prefilling) else "mixed" if any(prefilling) else "decode"


def _charge_idle(
    charged: Charged, energy_j: float, start_ns: int, stop_ns: int, calls: list[Row], tools: list[Row]
) -> None:
    attached = []
    for session in {call["session_id"] for call in calls if call["served"]} - {None}:
        begins = [call["start_ns"] for call in calls if call["served"] and call["session_id"] == session]
        if min(begins) <= start_ns and stop_ns <= max(begins):
            attached.append(session)
    busy = {call["session_id"] for call in calls if _is_open(call, start_ns, stop_ns)}
    quiet = [session for session in attached if session not in busy]
    at_work = {
        session: [
            tool for tool in tools if tool["session_id"] == session and _is_open(tool, start_ns, stop_ns)
        ]
        for session in quiet
    }
    in_tools = [session for session in quiet if at_work[session]]
    cause, blamed = (
        ("tool_wait", in_tools)
        if in_tools
        else ("client_wait", quiet)
        if quiet
        else ("peer_call", attached)
        if attached
        else ("no_demand", [None])
    )
    charged.causes[cause] += energy_j
    for session in blamed:
        charged.sessions[session] += energy_j / len(blamed)
        for tool in at_work.get(session, []) if cause == "tool_wait" else []:
            charged.tools[tool["row_id"]] += energy_j / len(blamed) / len(at_work[session])


# --- the split over the calls in flight ---


@dataclass
class Asked:
    """What a call in one of its phases asks for in a second."""

    passes: float
    prompt_tokens: float
    own_s: float
    decodes: bool


def _shares(calls: list[Row], at_ns: int, costs: dict[str, Any]) -> list[float]:
    equal = [1 / len(calls)] * len(calls)
    if any(
        call["model"] not in costs or None in (call["input_tokens"], call["output_tokens"]) for call in calls
    ):
        return equal
    asked = [_asked(call, at_ns, costs[call["model"]][0]) for call in calls]
    weight_s = {}
    for model in {call["model"] for call in calls}:
        of_model = [ask for ask, call in zip(asked, calls, strict=True) if call["model"] == model]
        weight_s[model] = _weight_s(of_model, *costs[model])
    whole_s = sum(weight_s.values()) + sum(ask.own_s for ask in asked)
    if whole_s <= 0.0:
        return equal
    count = {model: sum(call["model"] == model for call in calls) for model in weight_s}
    return [
        (weight_s[call["model"]] / count[call["model"]] + ask.own_s) / whole_s
        for call, ask in zip(calls, asked, strict=True)
    ]


def _asked(call: Row, at_ns: int, step: Any) -> Asked:
    token_ns = call["first_token_ns"]
    prefills = token_ns is None or at_ns < token_ns
    decodes = token_ns is None or at_ns >= token_ns
    start_ns = call["start_ns"] if prefills else token_ns
    end_ns = call["end_ns"] if decodes else token_ns
    seconds = (end_ns - start_ns) / 1e9
    cached = min(call["cached_tokens"] or 0, call["input_tokens"])
    kv = computed = attended = passes = new = 0.0
    if prefills:
        new = call["input_tokens"] - cached
        passes = math.ceil(new / PROMPT_STEP_TOKENS)
        kv += passes * cached + new * (passes + 1) / 2
        computed += new
        attended += new * (cached + new / 2)
    if decodes:
        tokens = max(call["output_tokens"] - 1, 0)
        context = call["input_tokens"] + tokens / 2
        passes += tokens
        kv += tokens * context
        computed += tokens
        attended += tokens * context
    own_s = (
        step.kv_token_share_s * kv
        + step.token_compute_share_s * computed
        + step.attention_compute_share_s * attended
    )
    return Asked(passes / seconds, new / seconds, own_s / seconds, decodes)


def _weight_s(asked: list[Asked], step: Any, table: Any) -> float:
    decoding = [ask for ask in asked if ask.decodes]
    prompts = [ask for ask in asked if not ask.decodes]
    passes = sum(ask.passes for ask in decoding) / len(decoding) if decoding else 0.0
    if passes <= 0.0:
        passes = sum(ask.passes for ask in prompts)
    tokens: float = len(decoding)
    if passes > 0.0:
        tokens += sum(ask.prompt_tokens for ask in prompts) / passes
    return passes * (step.weight_share_s + _at_tokens(table.weight_share_s, tokens))


def _at_tokens(terms: tuple[float, ...], tokens: float) -> float:
    """Straight lines between powers of two."""
    if tokens <= 1:
        return terms[0]
    node = min(int(math.log2(tokens)), TABLE_NODES - 1)
    if node >= TABLE_NODES - 1:
        return terms[-1]
    return terms[node] + (terms[node + 1] - terms[node]) * (tokens / 2**node - 1)
