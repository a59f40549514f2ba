"""The pools of a fleet, their replicas by the calls they are for and their part of them, and which a router chooses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from tests.oracle import vllm_v1
from tests.oracle.replica import Power, Replica
from tests.oracle.session import Call, Step, Tier
from tests.oracle.vllm_scheduler.workload import BLOCK_TOKENS
from tracekit.analyzers.kernels.layout import ANY_CALL, CallRule, Pool, Role, Router
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
        on_admission: Callable[[Call, Tier], None],
    ) -> None:
        # with a block for everything, nothing is ever preempted or forgotten: no need for more than that
        self.router, self.seed = Router(router), seed
        self.rules: list[CallRule] = []  # in the order in which they are tried
        for pool in pools:
            if pool.limits.calls not in [*self.rules, ANY_CALL]:
                self.rules.append(pool.limits.calls)
        self.rules.append(ANY_CALL)
        self.pools = sorted(pools, key=self.order)
        for rule in self.rules:
            roles = {Role(pool.limits.role) for pool in self.pools if pool.limits.calls == rule}
            assert roles in ({Role.BOTH}, {Role.PREFILL, Role.DECODE}), roles
        self.replicas: list[Replica] = []
        for number, pool in enumerate(self.pools):
            limits = pool.limits
            assert limits.block_size == BLOCK_TOKENS
            tier = Tier(self.rules.index(limits.calls), limits.role == Role.DECODE)
            for place in range(limits.replicas):
                is_on = not limits.min_replicas or place < limits.min_replicas
                self.replicas.append(
                    Replica(
                        len(self.replicas),
                        pool,
                        number,
                        min(limits.num_blocks, blocks),
                        Power.ON if is_on else Power.OFF,
                        tier,
                        partial(on_admission, tier=tier),
                    )
                )
        self.turns: Counter[Tier] = Counter()  # of round-robin

    def order(self, pool: Pool) -> tuple[bool, int]:
        return pool.limits.role == Role.DECODE, self.rules.index(pool.limits.calls)

    def lane(self, call: Call) -> int:
        """Return which rule is the first that the call meets."""
        step, luck = call.step, luck_of(call.step, self.seed)
        for lane, rule in enumerate(self.rules):
            in_ranges = (
                rule.input_tokens[0] <= step.input_tokens <= rule.input_tokens[1]
                and rule.output_tokens[0] <= step.output_tokens <= rule.output_tokens[1]
            )
            is_of_model = not rule.models or step.model in rule.models
            if in_ranges and is_of_model and luck < rule.share:
                return lane
        raise AssertionError("the last rule is met by every call")

    def tiers(self, call: Call) -> list[Tier]:
        """Return the tiers that the call needs, in order."""
        first, second = Tier(call.lane, False), Tier(call.lane, True)
        return [first, second] if call.output >= 2 and self.tier(second) else [first]

    def tier(self, tier: Tier) -> list[Replica]:
        return [replica for replica in self.replicas if replica.tier == tier]

    def pool(self, number: int) -> list[Replica]:
        return [replica for replica in self.replicas if replica.pool_number == number]

    def can_serve(self, call: Call) -> bool:
        return all(
            any(can_hold(replica.pool, call) for replica in self.tier(tier)) for tier in self.tiers(call)
        )

    def choose(self, call: Call, tier: Tier) -> Replica:
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

    def next_in_turn(self, is_open: list[Replica], tier: Tier) -> Replica:
        everyone = self.tier(tier)
        while True:
            replica = everyone[self.turns[tier] % len(everyone)]
            self.turns[tier] += 1
            if replica in is_open:
                return replica

    def better_of_two(self, call: Call, is_open: list[Replica], tier: Tier) -> Replica:
        n = len(is_open)
        if n < 2:
            return is_open[0]
        with np.errstate(over="ignore"):
            bits = int(DRAWN_BITS(self.seed, 2 * call.number + tier.decodes))
        one, other = bits % n, (bits >> 31) % (n - 1)
        if other >= one:
            other += 1
        return least_outstanding([is_open[one], is_open[other]])


def luck_of(step: Step, seed: int) -> float:
    """Return a number from 0 to 1 by splitmix64 of the session, the step's place in it, and the seed."""
    session, place = step.session.number, step.session.steps.index(step)
    bits = 0x9E3779B97F4A7C15 * (session + 1) + 0xD1B54A32D192ED03 * place + 0xDA942042E4DD58B5 * seed
    bits %= 2**64
    bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB % 2**64
    return (bits ^ (bits >> 31)) / 2**64


def least_outstanding(replicas: list[Replica]) -> Replica:
    return min(replicas, key=lambda replica: (replica.outstanding, replica.number))


def load_with(call: Call, replica: Replica) -> int:
    """Return the tokens that the call's prompt would add to it or find before it."""
    new_tokens = call.prompt - replica.engine.prompt_tokens_found(call)
    return new_tokens + replica.backlog_tokens + replica.decoding_tokens
