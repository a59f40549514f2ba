"""One request at a time, the prefix cache warm from those before: what Figs 5, 6 and 9 show."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from examples.cost_of_dynamic_reasoning.hardware import Profile, front_end_s, replay_by
from tracekit.analyzers.kernels.layout import NOBODY, Floats, Ints, State, StepKind, Workload
from tracekit.analyzers.scenario import Fleet
from tracekit.analyzers.share import shares
from tracekit.analyzers.timeline import NS_PER_S, Timeline, to_ns

WINDOW_S = 0.1
"""Of a utilisation meter: a gap shows only where it spans whole windows."""


@dataclass(frozen=True)
class Alone:
    """Means over sessions, each alone on the machine; seconds a session unless said.

    llm_s, tool_s, overlap_s : calls only, tools only, both; the API server's time is a call's
    prefill_s, decode_s, idle_s : of the GPUs between a session's start and end
    idle_windowed_s : idle if every gap loses WINDOW_S to a meter that averages over such windows
    call_s, call_prefill_s : of one LLM call (all answers sampled in it)
    energy_j : of all GPUs between a session's start and end
    kv_tokens : tokens of KV that the session's running calls hold, mean over the time in which the GPUs are busy
    """

    sessions: int
    e2e_s: float
    e2e_p95_s: float
    llm_s: float
    tool_s: float
    overlap_s: float
    prefill_s: float
    decode_s: float
    idle_s: float
    idle_windowed_s: float
    call_s: float
    call_prefill_s: float
    energy_j: float
    kv_tokens: float
    kv_peak_tokens: int

    def to_json(self) -> dict[str, float]:
        """As the results keep it."""
        return asdict(self)


def replay_alone(workload: Workload, choices: int, fleet: Fleet, profile: Profile) -> Alone:
    """The workload, whose sessions are hours apart, and what of each falls between its start and its end."""
    timeline = replay_by(workload, fleet, profile)
    start_ns, end_ns = timeline.session_start_ns, timeline.session_end_ns
    sessions = len(start_ns)
    is_call = workload.kind == StepKind.CALL
    front_ns = to_ns(front_end_s(workload))
    step_start_ns = timeline.step_start_ns - front_ns
    where = shares(
        workload.session.astype(np.int64),
        (~is_call).astype(np.int64),
        step_start_ns,
        timeline.step_end_ns,
        start_ns,
        end_ns,
    )
    session_s = (end_ns - start_ns) / NS_PER_S
    idle_ns, idle_j, gaps_ns = _idle_inside(timeline)
    calls = _calls(workload, timeline, front_ns, choices)
    state_s = {state: ns / NS_PER_S / sessions for state, ns in timeline.state_ns.items()}
    front_s = float(front_ns.sum()) / choices / NS_PER_S / sessions
    idle_s = float(idle_ns) / NS_PER_S / sessions
    short = np.minimum(gaps_ns, WINDOW_S * NS_PER_S).sum() / NS_PER_S / sessions
    busy_s = float(timeline.busy_ns) / NS_PER_S
    return Alone(
        sessions=sessions,
        e2e_s=float(session_s.mean()),
        e2e_p95_s=float(np.percentile(session_s, 95, method="inverted_cdf")),
        llm_s=float(where.llm_ns.mean()) / NS_PER_S,
        tool_s=float(where.tool_ns.mean()) / NS_PER_S,
        overlap_s=float(where.overlap_ns.mean()) / NS_PER_S,
        prefill_s=state_s[State.PREFILL] + state_s[State.MIXED] + front_s,
        decode_s=state_s[State.DECODE],
        idle_s=max(0.0, idle_s - front_s),
        idle_windowed_s=max(0.0, idle_s - short),
        call_s=float(calls[0].mean()),
        call_prefill_s=float(calls[1].mean()),
        energy_j=(float(timeline.busy_j) + idle_j) / sessions,
        kv_tokens=timeline.outcome.kv_token_s / busy_s,
        kv_peak_tokens=timeline.outcome.kv_peak_tokens,
    )


def without_sharing(workload: Workload, choices: int) -> Workload:
    """No prefix cache: a call finds nothing of other calls, but answers sampled in one call share its prompt."""
    if choices == 1:
        return workload._replace(prefix_parent=np.full_like(workload.prefix_parent, NOBODY))
    first = _first_answers(workload, choices)
    parent = np.where(first == np.arange(len(first)), NOBODY, first)
    return workload._replace(
        prefix_parent=parent.astype(np.int32),
        prefix_tokens=np.where(parent == NOBODY, 0, workload.input_tokens).astype(np.int32),
    )


def _first_answers(workload: Workload, choices: int) -> Ints:
    """Of each step: the first answer of its call, itself if it is no call. Answers of a call stand in a row."""
    first = np.arange(len(workload.kind))
    calls = np.flatnonzero(workload.kind == StepKind.CALL)
    first[calls] = np.repeat(calls[::choices], choices)
    return first


def _calls(workload: Workload, timeline: Timeline, front_ns: Ints, choices: int) -> tuple[Floats, Floats]:
    """Seconds of each call until its last answer ends, and until its first answer begins."""
    step = timeline.outcome.calls["step"]
    sent_ns = timeline.call_queued_ns - front_ns[step]
    until_end = (timeline.call_end_ns - sent_ns).reshape(-1, choices).max(axis=1)
    until_first = (timeline.call_first_token_ns - sent_ns).reshape(-1, choices).min(axis=1)
    return until_end / NS_PER_S, until_first / NS_PER_S


def _idle_inside(timeline: Timeline) -> tuple[int, float, Ints]:
    """Idle ns and joules between starts and ends of sessions, and the length of each such gap."""
    segments = timeline.outcome.segments
    idle = segments["state"] == State.IDLE
    start_ns, end_ns = timeline.segment_start_ns[idle], timeline.segment_end_ns[idle]
    energy_j = segments["energy_j"][idle]
    # sessions do not overlap, so time inside them up to an instant is a broken line
    edges = np.stack([timeline.session_start_ns, timeline.session_end_ns], axis=1).ravel()
    inside = np.repeat(np.cumsum(timeline.session_end_ns - timeline.session_start_ns), 2)
    inside[0::2] -= timeline.session_end_ns - timeline.session_start_ns
    part_ns = np.interp(end_ns, edges, inside) - np.interp(start_ns, edges, inside)
    watts = np.divide(energy_j, end_ns - start_ns, out=np.zeros(len(energy_j)), where=end_ns > start_ns)
    gaps_ns = part_ns[part_ns > 0].astype(np.int64)
    return int(gaps_ns.sum()), float((watts * part_ns).sum()), gaps_ns
