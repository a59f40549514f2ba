"""The paper's machines, the engine of its year in several profiles, and the server in front of the engine."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from examples.cost_of_dynamic_reasoning.published import taken
from tracekit.analyzers.kernels.layout import Floats, Pool, StepKind, Workload
from tracekit.analyzers.replay import pools_of, replay_on
from tracekit.analyzers.scenario import Fleet
from tracekit.analyzers.timeline import Timeline

SMALL = Fleet.of("A100-SXM-40GB", "Llama-3.1-8B", engine="vllm-0.6")
LARGE = Fleet.of("A100-SXM-40GB", "Llama-3.1-70B", tp=8, engine="vllm-0.6")
FLEETS = {"8B": SMALL, "70B": LARGE}


@dataclass(frozen=True)
class Profile:
    """An engine profile: the catalog's, and what each prompt costs a step that decodes beside it.

    `prompts_apart`: prompts have steps of their own, as in vLLM's V0 scheduler without chunked prefill; every prompt
    then costs the others one step more, without its tokens. `blocking`: the API server stands in the way of steps.
    """

    key: str
    name: str
    engine: str = "vllm-0.6"
    prompts_apart: bool = False
    blocking: bool = False

    def on(self, fleet: Fleet) -> Fleet:
        """The fleet with this engine."""
        return replace(fleet, pools=tuple(replace(pool, engine=self.engine) for pool in fleet.pools))

    def slowed(self, pool: Pool) -> Pool:
        """The pool with what its prompts cost."""
        host_s = taken("front_end")["request_us"] * 1e-6 if self.blocking else 0.0
        step_s = pool.cost.base_s if self.prompts_apart else 0.0
        return pool._replace(
            cost=pool.cost._replace(prompt_s=pool.cost.prompt_s + host_s + step_s),
            power=pool.power._replace(host_prompt_s=pool.power.host_prompt_s + host_s),
        )


VLLM_2024 = Profile("chunked", "vLLM 0.6, chunked prefill")
NEWER = Profile("vllm-0.11", "vLLM 0.11 (2025)", engine="vllm-0.11")
PROMPTS_FIRST = Profile("apart", "vLLM 0.6, prompts in steps of their own", prompts_apart=True)
PROFILES = (
    PROMPTS_FIRST,
    VLLM_2024,
    Profile("apart-blocking", "the first, its front end in the way", prompts_apart=True, blocking=True),
    Profile("chunked-blocking", "the second, its front end in the way", blocking=True),
    NEWER,
)
"""Those of 2024 first, the one that is compared before all."""
OF_2024 = PROFILES[:4]


def replay_by(workload: Workload, fleet: Fleet, profile: Profile = VLLM_2024) -> Timeline:
    """The workload on the fleet under that profile, behind the API server."""
    fleet = profile.on(fleet)
    pools = tuple(profile.slowed(pool) for pool in pools_of(fleet))
    return replay_on(behind_front_end(workload), fleet, pools).timeline


def front_end_s(workload: Workload) -> Floats:
    """Seconds that the API server has each request, (n,); 0 where a step is no call."""
    by_tokens = front_end_of(workload.input_tokens.astype(np.float64))
    return np.where(workload.kind == StepKind.CALL, by_tokens, 0.0)


def front_end_of(input_tokens: Floats) -> Floats:
    """The same of prompts of so many tokens, (n,)."""
    cost = taken("front_end")
    seconds: Floats = 1e-6 * (cost["request_us"] + cost["input_token_us"] * input_tokens)
    return seconds


def behind_front_end(workload: Workload) -> Workload:
    """Calls come to the engine's queue as much later as the API server takes."""
    return workload._replace(lag_s=workload.lag_s + front_end_s(workload))
