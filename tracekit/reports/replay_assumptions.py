"""What replays take for granted, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.kernels.layout import StepKind
from tracekit.analyzers.replay import lanes_on
from tracekit.analyzers.scenario import Fleet
from tracekit.analyzers.workload import Compiled
from tracekit.reports.on_fleet import OnFleet

_SCHEDULERS = {
    "continuous": "scheduler: vLLM V1 (0.32), one step after the other; KV in blocks, preemption by recompute",
    "static": "scheduler: static batches: nobody joins one before it has ended as a whole; KV in blocks",
    "slots": "scheduler: llama.cpp's slots, an equal part of the memory and one text each",
}


def replay_assumptions(
    compiled: Compiled, replays: Sequence[OnFleet], *, open_loop: bool = False, is_drawn: bool = False
) -> list[str]:
    """What the replays take for granted, a sentence each."""
    notes = [
        "tools and lags keep their recorded length: they belong to the recorded environment",
        *sorted({_SCHEDULERS[pool.batching] for replay in replays for pool in replay.fleet.pools}),
        _prefix_words(compiled, replays, is_drawn=is_drawn),
        *_host_memory_words(replays),
        *_lane_words(compiled, replays),
        "token counts are the recorded tokenizer's",
    ]
    if compiled.calls_without_tokens:
        notes.append(
            f"{compiled.calls_without_tokens} answered call(s) without token counts stay gaps of their recorded length"
        )
    if compiled.calls_estimated:
        notes.append(
            f"the tokens of {compiled.calls_estimated} of {compiled.calls} call(s) are estimated by bytes, not counted"
        )
    if compiled.embedding_calls:
        notes.append(
            f"{compiled.embedding_calls} embedding call(s), of another model, stay gaps of their recorded length"
        )
    if compiled.unanswered_calls:
        notes.append(f"{compiled.unanswered_calls} unanswered call(s) stay gaps of their recorded length")
    if compiled.dropped_attempts:
        notes.append(f"{compiled.dropped_attempts} failed attempt(s) and the back-off after them are dropped")
    if open_loop:
        notes.append(
            "open loop: every step is released at its recorded time, whatever the steps before it did"
        )
    else:
        notes.extend(_start_words(compiled))
    if compiled.zero_token_calls:
        notes.append(f"{compiled.zero_token_calls} call(s) of zero tokens in or out are computed as one of 1")
    if compiled.steps_without_end:
        notes.append(f"{compiled.steps_without_end} tool(s) or gap(s) without a recorded end take no time")
    if compiled.steps_without_session:
        notes.append(f"{compiled.steps_without_session} row(s) that belong to no session are left out")
    prices = {replica.gpu.name: replica.gpu.price for replay in replays for replica in replay.replicas}
    words = [
        f"{name} ${price.typical:g}/h ({price.kind}, {price.date})" for name, price in sorted(prices.items())
    ]
    return [*notes, f"prices: {'; '.join(words)}"]


def _host_memory_words(replays: Sequence[OnFleet]) -> list[str]:
    told = {
        f"retention offload: copies of KV in {pool.offload_gb:g} GB of host memory a replica, "
        f"over {pool.offload_gb_s:g} GB/s a GPU and direction"
        for replay in replays
        for pool in replay.fleet.pools
        if pool.retention == "offload"
    }
    return sorted(told)


def _lane_words(compiled: Compiled, replays: Sequence[OnFleet]) -> list[str]:
    """Who answers which of the calls, where not all pools are for all of them."""
    told = (_lanes_of_fleet(compiled, replay.fleet) for replay in replays if replay.fleet.lanes[1:])
    return sorted({words for of_fleet in told for words in of_fleet})


def _lanes_of_fleet(compiled: Compiled, fleet: Fleet) -> Iterator[str]:
    lane_of_call = lanes_on(compiled.workload, fleet)[compiled.workload.kind == StepKind.CALL]
    for lane, pools in enumerate(fleet.lanes[:-1]):
        models = " and ".join(sorted({catalog.model(pool.model).name for pool in pools}))
        percent = 100 * np.count_nonzero(lane_of_call == lane) / compiled.calls
        yield (
            f"{percent:.0f} % of the recorded calls ({pools[0].calls}) go to {models}: whether it answers as well is "
            "not known, and its answers are as long as the recorded ones"
        )


def _start_words(compiled: Compiled) -> Iterator[str]:
    """How steps start that did not simply follow another one."""
    if compiled.inner_starts:
        yield (
            f"{compiled.inner_starts} step(s) began before a step they wait for had ended; they start at the same "
            "output token of that call, or after the same part of that tool"
        )
    if compiled.early_starts:
        yield f"{compiled.early_starts} step(s) began before their session; they are moved to its start"


def _prefix_words(compiled: Compiled, replays: Sequence[OnFleet], *, is_drawn: bool) -> str:
    if not any(limits.enable_prefix_cache for replay in replays for limits in replay.limits):
        return "prefix cache: off"
    if not compiled.workload.prefix_tokens.any():
        return "prefix cache: modelled, but the trace holds no prefix identity, and that means no hits"
    known = int(np.count_nonzero(compiled.workload.prefix_tokens))
    words = (
        f"prefix cache: modelled (LRU by block); {known} of {compiled.calls} call(s) begin as an earlier one"
    )
    if is_drawn:
        words += (
            "; drawn sessions share with each other what the recorded ones had in common with other sessions"
        )
    return words
