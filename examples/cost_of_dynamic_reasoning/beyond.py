"""What would change it: what-ifs on these workloads and on recorded Claude Code sessions."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from examples.cost_of_dynamic_reasoning.pair import Pair
from examples.cost_of_dynamic_reasoning.workspace import Result
from tracekit.analyzers.kernels.layout import Workload
from tracekit.analyzers.release import poisson_release
from tracekit.analyzers.scenario import Fleet
from tracekit.analyzers.timeline import NS_PER_S
from tracekit.analyzers.unloaded import unloaded_sessions_s
from tracekit.analyzers.what_if.replayed import replay_scenario
from tracekit.analyzers.what_if.scenario import Scenario
from tracekit.units import J_PER_WH

SEEDS = (1, 2, 3, 4, 5)
REPLICAS = 4

WHAT_IFS: MappingProxyType[str, dict[str, object]] = MappingProxyType(
    {
        "as it is": {},
        "no prefix cache": {"prefix_cache": "off"},
        "tools guessed, right for 60 %": {"tools.speculative": "0.6"},
        "tools beside calls (upper bound)": {"tools.async": "on"},
        "KV kept until the next call": {"retention": "keep"},
        "KV dropped after each call": {"retention": "evict"},
        "KV moved to host memory": {"retention": "offload"},
        "session first come first served": {"queue_order": "session-fcfs"},
        "least served first": {"queue_order": "least-attained"},
        "prefix-aware router": {"router": "prefix-aware"},
        "elastic, from 1 replica": {"min_replicas": "1"},
        "batches as a whole": {"batching": "static"},
        "H100": {"gpu": "H100"},
        "B200": {"gpu": "B200"},
    }
)
"""By name, as `tracekit replay --what-if` takes them."""


@dataclass(frozen=True)
class Setting:
    """A workload, the fleet that it runs on, and how many sessions are under way, were each alone; how many come."""

    name: str
    pair: Pair | None  # None: the recorded sessions
    fleet: Fleet
    at_once: float
    sessions: int


A100S = Fleet.of("A100-SXM-40GB", "Llama-3.1-8B", replicas=REPLICAS, router="session-affine")
H100S = Fleet.of(
    "H100-SXM-80GB", "Llama-3.1-70B", tp=8, replicas=2, router="session-affine", max_model_len=1_000_000
)  # fmt: skip
SETTINGS = (
    Setting("ReAct on HotpotQA", Pair("HotpotQA", "ReAct"), A100S, 200, 2000),
    Setting("ReAct on WebShop", Pair("WebShop", "ReAct"), A100S, 32, 2000),
    Setting("LATS on HotpotQA", Pair("HotpotQA", "LATS"), A100S, 16, 80),
)
RECORDED = Setting("Claude Code", None, H100S, 16, 300)


LONGEST_PAUSE_S = 300.0
"""Of people in the recorded sessions: some go home, and a fleet would wait for them alone."""


def without_long_pauses(workload: Workload) -> Workload:
    """No pause is longer than LONGEST_PAUSE_S."""
    return workload._replace(lag_s=np.minimum(workload.lag_s, LONGEST_PAUSE_S))


def rate_qps(workload: Workload, setting: Setting) -> float:
    """At which so many sessions are under way, each as long as alone."""
    return setting.at_once / float(unloaded_sessions_s(workload, setting.fleet).mean())


def tried(
    workload: Workload, setting: Setting, what_if: dict[str, object], sessions: int, seeds: tuple[int, ...]
) -> Result:
    """Dollars and Wh a session, p95 of sessions and of calls, by seed; the same arrivals whatever is switched."""
    qps = rate_qps(workload, setting)
    found: Result = {"usd": [], "wh": [], "session_p95_s": [], "call_p95_s": [], "refused": 0}
    for seed in seeds:
        released, _drawn = poisson_release(workload, qps, sessions, seed)
        told = replay_scenario(released, Scenario(setting.fleet, seed=seed).switched(what_if))
        timeline = told.replay.timeline
        found["usd"].append(timeline.total_usd / sessions)
        found["wh"].append(timeline.total_j / J_PER_WH / sessions)
        found["session_p95_s"].append(_p95_s(timeline.session_end_ns - timeline.session_start_ns))
        found["call_p95_s"].append(_p95_s(timeline.call_end_ns - timeline.call_queued_ns))
        found["refused"] += timeline.outcome.refused
    return found | {"qps": qps, "labels": list(told.labels)}


def _p95_s(lengths_ns: np.ndarray) -> float:
    return float(np.percentile(lengths_ns, 95, method="inverted_cdf")) / NS_PER_S
