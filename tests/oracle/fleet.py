"""The pools of a fleet, their replicas in two tiers, and which replica a router chooses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from tests.oracle import vllm_v1
from tests.oracle.replica import Power, Replica
from tests.oracle.session import Call
from tests.oracle.vllm_scheduler.workload import BLOCK_TOKENS
from tracekit.analyzers.kernels.layout import Pool, Role, Router
from tracekit.analyzers.kernels.routing import drawn_bits

DRAWN_BITS: Callable[[int, int], int] = getattr(drawn_bits, "py_func", drawn_bits)
"""In plain Python: numba gives kernels no way to be called from there, and the process would end."""


def can_hold(pool: Pool, call: Call) -> bool:
    limits = pool.limits
    return (
        call.prompt + call.output <= limits.max_model_len
        and vllm_v1.blocks_for(call.prompt + call.output - 1) <= limits.num_blocks
    )


class Fleet:
    def __init__(
        self,
        pools: Sequence[Pool],
        router: int,
        seed: int,
        blocks: int,
        on_admission: Callable[[Call, int], None],
    ) -> None:
        # with a block for everything, nothing is ever preempted or forgotten: no need for more than that
        self.router, self.seed = Router(router), seed
        self.pools = sorted(pools, key=lambda pool: pool.limits.role == Role.DECODE)
        roles = {Role(pool.limits.role) for pool in self.pools}
        assert roles in ({Role.BOTH}, {Role.PREFILL, Role.DECODE}), roles
        self.is_split = Role.DECODE in roles
        self.replicas: list[Replica] = []
        for number, pool in enumerate(self.pools):
            limits = pool.limits
            assert limits.block_size == BLOCK_TOKENS
            for place in range(limits.replicas):
                is_on = not limits.min_replicas or place < limits.min_replicas
                self.replicas.append(
                    Replica(
                        len(self.replicas),
                        pool,
                        number,
                        min(limits.num_blocks, blocks),
                        Power.ON if is_on else Power.OFF,
                        partial(on_admission, tier=int(limits.role == Role.DECODE)),
                    )
                )
        self.turns = [0, 0]  # of round-robin, by tier

    def tier(self, tier: int) -> list[Replica]:
        return [replica for replica in self.replicas if replica.tier == tier]

    def pool(self, number: int) -> list[Replica]:
        return [replica for replica in self.replicas if replica.pool_number == number]

    def can_serve(self, call: Call) -> bool:
        tiers = [0, 1] if self.is_split and call.output >= 2 else [0]
        return all(any(can_hold(replica.pool, call) for replica in self.tier(tier)) for tier in tiers)

    def choose(self, call: Call, tier: int) -> Replica:
        is_open = [
            replica
            for replica in self.tier(tier)
            if replica.power is Power.ON and can_hold(replica.pool, call)
        ]
        match self.router:
            case Router.ROUND_ROBIN:
                return self.next_in_turn(is_open, tier)
            case Router.SESSION_AFFINE:
                latest = call.step.session.latest_place(tier)
                return next((r for r in is_open if r.number == latest), least_outstanding(is_open))
            case Router.POWER_OF_TWO:
                return self.better_of_two(call, is_open, tier)
            case Router.PREFIX_AWARE:
                return min(is_open, key=lambda r: (load_with(call, r), r.outstanding, r.number))
            case _:
                return least_outstanding(is_open)

    def next_in_turn(self, is_open: list[Replica], tier: int) -> Replica:
        everyone = self.tier(tier)
        while True:
            replica = everyone[self.turns[tier] % len(everyone)]
            self.turns[tier] += 1
            if replica in is_open:
                return replica

    def better_of_two(self, call: Call, is_open: list[Replica], tier: int) -> Replica:
        n = len(is_open)
        if n < 2:
            return is_open[0]
        with np.errstate(over="ignore"):
            bits = int(DRAWN_BITS(self.seed, 2 * call.number + tier))
        one, other = bits % n, (bits >> 31) % (n - 1)
        if other >= one:
            other += 1
        return least_outstanding([is_open[one], is_open[other]])


def least_outstanding(replicas: list[Replica]) -> Replica:
    return min(replicas, key=lambda replica: (replica.outstanding, replica.number))


def load_with(call: Call, replica: Replica) -> int:
    """Return the tokens that the call's prompt would add to it or find before it."""
    new_tokens = call.prompt - replica.engine.prompt_tokens_found(call)
    return new_tokens + replica.backlog_tokens + replica.decoding_tokens
