"""A workload with changes made to its sessions, and what they did to it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tracekit.analyzers.columns import Flags
from tracekit.analyzers.kernels.layout import Ints, StepKind, Workload
from tracekit.analyzers.what_if.asynchrony import let_tools_run_on
from tracekit.analyzers.what_if.call_order import calls_side_by_side, one_call_at_a_time
from tracekit.analyzers.what_if.changes import Changes
from tracekit.analyzers.what_if.edges import with_columns
from tracekit.analyzers.what_if.iteration_budget import within_budget
from tracekit.analyzers.what_if.speculation import luck_of, speculate


class Changed(NamedTuple):
    """The changed workload of n steps, and where it comes from.

    `step` (n,) is the original step of each; `is_hit` and `is_miss` (n,) are tools guessed right and wrong, None
    where nothing is guessed; `sessions_cut` is how many lost rounds.
    """

    workload: Workload
    step: Ints
    is_hit: Flags | None = None
    is_miss: Flags | None = None
    sessions_cut: int = 0


def changed(workload: Workload, changes: Changes, seed: int) -> Changed:
    """Make the changes, in this order: rounds, tokens, lengths of tools, who waits for whom, and guesses last.

    What is drawn depends on the seed and on a tool's place in the original workload alone, so that changes beside it
    leave it as it is.
    """
    told, step, sessions_cut = workload, np.arange(len(workload.kind)), 0
    if changes.iterations is not None:
        told, step, sessions_cut = within_budget(told, changes.iterations)
    if changes.few_shot_tokens:
        told = with_longer_prompts(told, changes.few_shot_tokens)
    if changes.tool_time != 1.0:
        told = with_tool_time(told, changes.tool_time)
    if changes.parallel_calls:
        told = calls_side_by_side(told)
    if changes.sequential_calls:
        told = one_call_at_a_time(told)
    if changes.asynchronous:
        told = let_tools_run_on(told)
    if changes.speculative is None:
        return Changed(told, step, sessions_cut=sessions_cut)
    session = workload.session[step].astype(np.int64)
    luck = luck_of(session, step - workload.session_step_start[session], seed)
    guessed = speculate(told, changes.speculative, luck)
    return Changed(guessed.workload, step, guessed.is_hit, guessed.is_miss, sessions_cut)


def with_longer_prompts(workload: Workload, tokens: int) -> Workload:
    """Every prompt with so many tokens more at its beginning, shared where the rest was; at least 1 stays."""
    is_call = workload.kind == StepKind.CALL
    prompt = np.where(is_call, np.maximum(1, workload.input_tokens + tokens), 0)
    shared = np.where(workload.prefix_tokens > 0, np.maximum(0, workload.prefix_tokens + tokens), 0)
    return with_columns(
        workload, {"input_tokens": np.where(is_call, prompt, workload.input_tokens), "prefix_tokens": shared}
    )


def with_tool_time(workload: Workload, factor: float) -> Workload:
    """Every tool at so many times its length."""
    is_tool = workload.kind == StepKind.TOOL
    return with_columns(
        workload, {"duration_s": np.where(is_tool, workload.duration_s * factor, workload.duration_s)}
    )
