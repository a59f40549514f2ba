"""Seconds and joules of an engine step, and each call's part of them (DESIGN: attribution)."""

from typing import NamedTuple

import numpy as np

from tracekit.analyzers.kernels.jit import kernel
from tracekit.analyzers.kernels.layout import TABLE_NODES, Floats, Record


class Batch(NamedTuple):
    """What one engine step computes, summed over its calls."""

    chunks: int
    prompt_tokens: int
    prompt_attention: float  # sum(chunk * (context + chunk / 2))
    prompt_kv: int  # sum(context + chunk)
    decodes: int
    contexts: float


class Split(NamedTuple):
    """Fractions of a step's energy: per sequence, token, token of context in memory, token x context."""

    sequence: float
    token: float
    kv_token: float
    attended: float


@kernel
def at_tokens(terms: Floats, tokens: int) -> float:
    """Return a TokenTable's term (TABLE_NODES,) for a step of so many tokens."""
    node = 0
    start = 1
    while node < TABLE_NODES - 2 and 2 * start <= tokens:
        node += 1
        start *= 2
    on = min(1.0, max(0.0, (tokens - start) / start))
    return float(terms[node] + on * (terms[node + 1] - terms[node]))


@kernel
def step_seconds(pool: Record, batch: Batch) -> float:
    seconds = (
        pool["base_s"]
        + pool["prefill_token_s"] * batch.prompt_tokens
        + pool["prefill_attention_s"] * batch.prompt_attention
        + pool["decode_s"] * batch.decodes
        + pool["decode_context_s"] * batch.contexts
    )
    if batch.chunks > 0:
        seconds += pool["prompt_s"] * batch.chunks + pool["prompt_context_s"] * batch.prompt_kv
    if pool["has_table"] > 0:
        seconds += at_tokens(pool["table_step_s"], batch.prompt_tokens + batch.decodes)
    return float(seconds)


@kernel
def roofline_seconds(pool: Record, batch: Batch) -> tuple[float, float, float]:
    """t_W, t_K and t_C of the step."""
    weight_s = pool["weight_share_s"]
    if pool["has_table"] > 0:
        weight_s += at_tokens(pool["table_weight_share_s"], batch.prompt_tokens + batch.decodes)
    return (
        weight_s,
        pool["kv_token_share_s"] * (batch.prompt_kv + batch.contexts),
        pool["token_compute_share_s"] * (batch.prompt_tokens + batch.decodes)
        + pool["attention_compute_share_s"] * (batch.prompt_attention + batch.contexts),
    )


@kernel
def driven_seconds(pool: Record, batch: Batch) -> float:
    """Seconds at full power that the step's parts come to."""
    seconds = (
        pool["driven_base_s"]
        + pool["driven_prefill_token_s"] * batch.prompt_tokens
        + pool["driven_prefill_attention_s"] * batch.prompt_attention
        + pool["driven_prompt_context_s"] * batch.prompt_kv
        + pool["driven_decode_s"] * batch.decodes
        + pool["driven_decode_context_s"] * batch.contexts
    )
    if pool["has_table"] > 0:
        seconds += at_tokens(pool["table_driven_s"], batch.prompt_tokens + batch.decodes)
    return float(seconds)


@kernel
def host_seconds(pool: Record, batch: Batch) -> float:
    """Seconds in which the GPU has nothing to do."""
    return float(
        pool["host_base_s"] + pool["host_prompt_s"] * batch.chunks + pool["host_decode_s"] * batch.decodes
    )


@kernel
def step_watts(pool: Record, batch: Batch, seconds: float) -> float:
    if seconds <= 0.0:
        return float(pool["idle_w"])
    on_gpu_s = seconds - host_seconds(pool, batch)
    reach = pool["level"]
    if on_gpu_s > 0.0:
        reach += driven_seconds(pool, batch) / on_gpu_s
    if reach <= 0.0 or on_gpu_s <= 0.0:
        return float(pool["floor_w"])
    busy = on_gpu_s / seconds * (1.0 + reach**-3.0) ** (-1.0 / 3.0)
    return float(pool["floor_w"] + pool["span_w"] * busy)


@kernel
def split_of_step(pool: Record, batch: Batch, roofline: tuple[float, float, float]) -> Split:
    """[t_W / n + t_K K_i / sum K + t_C F_i / sum F] / (t_W + t_K + t_C), per unit of K_i and F_i."""
    sequences = batch.chunks + batch.decodes
    weight_s, kv_s, compute_s = roofline
    total = weight_s + kv_s + compute_s
    if total <= 0.0:
        return Split(1.0 / sequences, 0.0, 0.0, 0.0)
    return Split(
        weight_s / (total * sequences),
        pool["token_compute_share_s"] / total,
        pool["kv_token_share_s"] / total,
        pool["attention_compute_share_s"] / total,
    )


@kernel
def book_decodes(engine: Record, split: Split, step: float, seconds: float, joules: float) -> None:
    """Add decode step `step` to the prefix sums of a decoding call's share, or so much of several.

    A call with anchor a has context a + D in decode step D, so its fraction of the step is
    flat + slope * (a + D): sums of flat, slope and slope * D (`ramp`) give every call its share at its end.
    """
    flat = split.sequence + split.token
    slope = split.kv_token + split.attended
    ramp = slope * step
    engine["flat_j"] += joules * flat
    engine["slope_j"] += joules * slope
    engine["ramp_j"] += joules * ramp
    engine["flat_s"] += seconds * flat
    engine["slope_s"] += seconds * slope
    engine["ramp_s"] += seconds * ramp


@kernel
def credit_decodes(engine: Record, row: Record, anchor: int, sign: float, usd_per_s: float) -> None:
    """Credit a call with the prefix sums: minus at its first decode step, plus at its end."""
    seconds = sign * (engine["flat_s"] + anchor * engine["slope_s"] + engine["ramp_s"])
    row["energy_j"] += sign * (engine["flat_j"] + anchor * engine["slope_j"] + engine["ramp_j"])
    row["busy_s"] += seconds
    row["busy_usd"] += seconds * usd_per_s


@kernel
def reset_decodes(engine: Record) -> None:
    engine["flat_j"] = 0.0
    engine["slope_j"] = 0.0
    engine["ramp_j"] = 0.0
    engine["flat_s"] = 0.0
    engine["slope_s"] = 0.0
    engine["ramp_s"] = 0.0


# --- a run of decode steps of the same calls ---


@kernel
def decode_step(pool: Record, decodes: int, contexts: float) -> tuple[float, float, Split]:
    """Return the step's seconds, its watts, and how it is split."""
    batch = Batch(0, 0, 0.0, 0, decodes, contexts)
    seconds = step_seconds(pool, batch)
    watts = step_watts(pool, batch, seconds)
    return seconds, watts, split_of_step(pool, batch, roofline_seconds(pool, batch))


@kernel
def book_share(engine: Record, watts: float, split: Split, step: float, seconds: float) -> float:
    """Book so many seconds at these watts around decode step `step`, and return their joules."""
    joules = watts * seconds
    book_decodes(engine, split, step, seconds, joules)
    return float(joules)


@kernel
def book_one_by_one(
    pool: Record, engine: Record, decodes: int, contexts: int, first: int, steps: int
) -> float:
    joules = 0.0
    for step in range(steps):
        seconds, watts, split = decode_step(pool, decodes, contexts + decodes * step)
        joules += book_share(engine, watts, split, float(first + step), seconds)
    return joules


@kernel
def book_run(pool: Record, engine: Record, decodes: int, contexts: int, first: int, steps: int) -> float:
    """Book `steps` decode steps from step `first` on and return their joules.

    Contexts grow by `decodes` a step. Up to 2 steps each is computed; else their sums by a Gauss rule of equally
    weighted integers 0..k-1 around c = (k - 1) / 2: nodes c +- h with h^2 = (k^2 - 1) / 12, exact for polynomials
    of degree 3, or c and c +- h with h^2 = (3 k^2 - 7) / 20, exact for degree 5. Shares add up to the whole at each
    node, so they do in the sum.
    """
    if steps <= 2:
        return float(book_one_by_one(pool, engine, decodes, contexts, first, steps))
    middle = 0.5 * (steps - 1)
    side = 0.5 * steps
    reach = np.sqrt((steps * steps - 1.0) / 12.0)
    is_short = steps * SHORT <= smooth_steps(pool, decodes, contexts)
    if not is_short:
        reach = np.sqrt((3.0 * steps * steps - 7.0) / 20.0)
        side = steps * (steps * steps - 1.0) / (24.0 * reach * reach)
    early_s, early_w, early = decode_step(pool, decodes, contexts + decodes * (middle - reach))
    late_s, late_w, late = decode_step(pool, decodes, contexts + decodes * (middle + reach))
    start = first + middle
    joules = book_share(engine, early_w, early, start - reach, side * early_s)
    joules += book_share(engine, late_w, late, start + reach, side * late_s)
    if not is_short:
        middle_s, middle_w, halfway = decode_step(pool, decodes, contexts + decodes * middle)
        joules += book_share(engine, middle_w, halfway, start, (steps - 2.0 * side) * middle_s)
    return float(joules)


SMOOTH = 16.0
"""Part of the distance to where a step's share of energy is no smooth function of its contexts, in one run."""
SHORT = 6.0
"""Times shorter still, for two nodes: error (1 / 96)^4 / 4320 of the part that is not straight."""


@kernel
def smooth_steps(pool: Record, decodes: int, contexts: int) -> float:
    """Return over how many steps the rule of `book_run` keeps ten digits.

    Seconds, watts and shares are functions of four numbers that are affine in the contexts: seconds of the step and
    on the GPU, driven ones, and t_W + t_K + t_C. They are smooth but where one of the first two or the last is 0, or
    1 + y^3 is: there driven = on GPU x exp(i pi / 3), at contexts that are no real number. A run is to be short
    against the distance to the nearest.
    """
    batch = Batch(0, 0, 0.0, 0, decodes, float(contexts))
    weight_s, kv_s, compute_s = roofline_seconds(pool, batch)
    share_growth = pool["kv_token_share_s"] + pool["attention_compute_share_s"]
    seconds = step_seconds(pool, batch)
    on_gpu_s = max(0.0, seconds - host_seconds(pool, batch))
    growth = pool["decode_context_s"]
    steps = np.inf
    if growth > 0.0:
        steps = min(steps, on_gpu_s / growth)
    if share_growth > 0.0:
        steps = min(steps, (weight_s + kv_s + compute_s) / share_growth)
    if np.isfinite(pool["level"]):
        driven_s = pool["level"] * on_gpu_s + driven_seconds(pool, batch)
        apart = between(pool["level"] * growth + pool["driven_decode_context_s"], growth)
        if apart > 0.0:
            steps = min(steps, np.sqrt(between(driven_s, on_gpu_s) / apart))
    return steps / (SMOOTH * decodes)


@kernel
def between(driven: float, on_gpu: float) -> float:
    """|driven - on_gpu exp(i pi / 3)|^2."""
    return driven * driven - driven * on_gpu + on_gpu * on_gpu
