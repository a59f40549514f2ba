"""Which pools a call may go to: those whose rule it is the first to meet, else those without a rule."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

import numpy as np
import numpy.typing as npt

from tracekit.analyzers.kernels.layout import ANY_CALL, Bytes, CallRule, Pool, Role, Workload

Flags = npt.NDArray[np.bool_]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def in_turn(rules: Iterable[CallRule]) -> list[CallRule]:
    """Return the rules in the order in which they are tried, each once; that of every call is the last."""
    return sorted(dict.fromkeys(rules), key=lambda rule: rule == ANY_CALL)


def rules_of(pools: Sequence[Pool]) -> list[CallRule]:
    """Return the rules of the pools in the order in which they are tried."""
    return in_turn(pool.limits.calls for pool in pools)


def tiers_of(pools: Sequence[Pool]) -> list[int]:
    """Return each pool's tier: those that calls come to by rule, then those that decode, in the same order."""
    rules = rules_of(pools)
    splits = [
        rule for rule in rules if any(is_decoding(pool) and pool.limits.calls == rule for pool in pools)
    ]
    return [
        len(rules) + splits.index(pool.limits.calls) if is_decoding(pool) else rules.index(pool.limits.calls)
        for pool in pools
    ]


def is_decoding(pool: Pool) -> bool:
    return pool.limits.role == Role.DECODE


def check_rules(pools: Sequence[Pool]) -> None:
    """Raise ValueError if a call may come that no pool is for, or pools that share calls do not share them out."""
    for rule in rules_of(pools):
        roles = {Role(pool.limits.role) for pool in pools if pool.limits.calls == rule}
        if roles not in ({Role.BOTH}, {Role.PREFILL, Role.DECODE}):
            raise ValueError(
                "pools for the same calls either all do both, or some prefill and the others decode"
            )
    if pools and rules_of(pools)[-1] != ANY_CALL:
        raise ValueError("some pool has to take the calls that meet no rule")


def lanes_of(workload: Workload, rules: Sequence[CallRule], seed: int) -> Bytes:
    """Return which of the rules, as `in_turn`, each step is the first to meet, shape (n,); (0,) if there is but one."""
    if len(rules) == 1:
        return np.zeros(0, np.int8)
    lanes = np.full(len(workload.kind), len(rules) - 1, np.int8)
    for lane in reversed(range(len(rules) - 1)):
        lanes[meeting(workload, rules[lane], seed)] = lane
    return lanes


def meeting(workload: Workload, rule: CallRule, seed: int) -> Flags:
    """Return the steps that meet the rule, shape (n,)."""
    is_met = np.ones(len(workload.kind), np.bool_)
    for tokens, (least, most) in (
        (workload.input_tokens, rule.input_tokens),
        (workload.output_tokens, rule.output_tokens),
    ):
        is_met &= (tokens >= least) & (tokens <= most)
    if rule.models:
        is_met &= _is_of(workload, rule.models)
    if rule.share < 1.0:
        is_met &= luck(workload, seed) < rule.share
    return is_met


def luck(workload: Workload, seed: int) -> npt.NDArray[np.float64]:
    """Return a number from 0 to 1 for each step, shape (n,), that depends on the seed, its session and its place in it.

    By splitmix64 (Steele, Lea, Flood, OOPSLA 2014), so that no other change of a scenario moves it.
    """
    first = workload.session_step_start[workload.session]
    place = (np.arange(len(workload.kind)) - first).astype(np.uint64)
    bits = (
        place * np.uint64(0xD1B54A32D192ED03) + (workload.session.astype(np.uint64) + np.uint64(1)) * _GOLDEN
    )
    bits = bits + np.uint64(int(seed) * 0xDA942042E4DD58B5 % 2**64)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: npt.NDArray[np.float64] = (bits ^ (bits >> np.uint64(31))).astype(np.float64)
    return mixed / 2.0**64


def _is_of(workload: Workload, patterns: tuple[str, ...]) -> Flags:
    """Return the steps whose recorded model has a name of one of these forms, shape (n,)."""
    named = [any(fnmatchcase(name.lower(), pattern) for pattern in patterns) for name in workload.models]
    if not workload.model.size:
        return np.full(len(workload.kind), any(named[:1]))
    return np.array([*named, False])[workload.model]
