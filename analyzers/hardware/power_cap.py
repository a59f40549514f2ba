"""What a power cap does to a replica's steps.

Dynamic power goes with the cube of the clock (CMOS: frequency x voltage squared, voltage with frequency), so a GPU
held to a share of its span runs at the cube root of that share; what computes takes longer by that, and the energy
of computing goes with the clock's square. Memory and links keep their clocks. The clock is taken as low as full load
needs, in every step: where a step draws less than the cap this is too slow. Assumed: no row of a capped GPU was fitted.
"""

from __future__ import annotations

from tracekit.analyzers.hardware.replica import Replica
from tracekit.analyzers.hardware.step_cost import ReplicaCost
from tracekit.errors import ScenarioInvalid


def capped_cost(cost: ReplicaCost, replica: Replica, cap_w: float) -> ReplicaCost:
    """The same steps with every GPU held to `cap_w` watts; as they were from the power limit on.

    Raises
    ------
    ScenarioInvalid : the cap is not above what a GPU draws while nothing runs on it.
    """
    if cap_w >= replica.gpu.tdp_w:
        return cost
    step, power = cost.step, cost.power
    span_w = replica.tp * cap_w - power.floor_w
    if span_w <= 0:
        raise ScenarioInvalid.cap_below_floor(cap_w, replica.gpu.name, power.floor_w / replica.tp)
    clock = (span_w / power.span_w) ** (1 / 3)
    longer = 1 / clock - 1
    token_s, attended_s = step.token_compute_share_s, step.attention_compute_share_s
    slower = step._replace(
        prefill_token_s=step.prefill_token_s + longer * token_s,
        prefill_attention_s=step.prefill_attention_s + longer * attended_s,
        decode_s=step.decode_s + longer * token_s,
        decode_context_s=step.decode_context_s + longer * attended_s,
        token_compute_share_s=token_s / clock,
        attention_compute_share_s=attended_s / clock,
    )
    # seconds at full power are now of a smaller span; those of computing also shrink with the clock's square
    squeeze = power.span_w / span_w
    saved = (1 - clock**2) * replica.engine.power.compute_level
    held = power._replace(
        span_w=span_w,
        driven_base_s=squeeze * power.driven_base_s,
        driven_prefill_token_s=squeeze * (power.driven_prefill_token_s - saved * token_s),
        driven_prefill_attention_s=squeeze * (power.driven_prefill_attention_s - saved * attended_s),
        driven_prompt_context_s=squeeze * power.driven_prompt_context_s,
        driven_decode_s=squeeze * (power.driven_decode_s - saved * token_s),
        driven_decode_context_s=squeeze * (power.driven_decode_context_s - saved * attended_s),
    )
    driven_s = tuple(squeeze * term for term in cost.table.driven_s)
    return ReplicaCost(slower, held, cost.table._replace(driven_s=driven_s))
