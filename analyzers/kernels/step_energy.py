"""Seconds and joules of an engine step, and each call's part of them (DESIGN: attribution)."""

from typing import NamedTuple

import numpy as np

from tracekit.analyzers.kernels.jit import kernel
from tracekit.analyzers.kernels.layout import Record


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
def step_seconds(pool: Record, batch: Batch) -> float:
    return float(
        pool["base_s"]
        + pool["prefill_token_s"] * batch.prompt_tokens
        + pool["prefill_attention_s"] * batch.prompt_attention
        + pool["decode_s"] * batch.decodes
        + pool["decode_context_s"] * batch.contexts
    )


@kernel
def roofline_seconds(pool: Record, batch: Batch) -> tuple[float, float, float]:
    """t_W, t_K and t_C of the step."""
    return (
        pool["weight_share_s"],
        pool["kv_token_share_s"] * (batch.prompt_kv + batch.contexts),
        pool["token_compute_share_s"] * (batch.prompt_tokens + batch.decodes)
        + pool["attention_compute_share_s"] * (batch.prompt_attention + batch.contexts),
    )


@kernel
def saturation(pool: Record, roofline: tuple[float, float, float], seconds: float) -> float:
    """How much of the way from idle to full watts the step goes, before the cap."""
    weight_s, kv_s, compute_s = roofline
    bandwidth_use = (pool["weight_efficiency"] * weight_s + pool["kv_efficiency"] * kv_s) / seconds
    compute_use = pool["compute_efficiency"] * compute_s / seconds
    reach = pool["q0"] + pool["q1"] * bandwidth_use + pool["q2"] * compute_use ** pool["exponent"]
    return float(1.0 - np.exp(-reach))


@kernel
def step_watts(pool: Record, roofline: tuple[float, float, float], seconds: float) -> float:
    if seconds <= 0.0:
        return float(pool["idle_w"])
    return float(pool["idle_w"] + pool["span_w"] * min(pool["cap"], saturation(pool, roofline, seconds)))


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
    """Return the step's seconds, its saturation before the cap, and how it is split."""
    batch = Batch(0, 0, 0.0, 0, decodes, contexts)
    seconds = step_seconds(pool, batch)
    roofline = roofline_seconds(pool, batch)
    use = 0.0
    if seconds > 0.0:
        use = saturation(pool, roofline, seconds)
    return seconds, use, split_of_step(pool, batch, roofline)


@kernel
def book_share(pool: Record, engine: Record, use: float, split: Split, step: float, seconds: float) -> float:
    """Book so many seconds at this saturation around decode step `step`, and return their joules."""
    joules = (pool["idle_w"] + pool["span_w"] * min(pool["cap"], use)) * seconds
    book_decodes(engine, split, step, seconds, joules)
    return float(joules)


@kernel
def book_one_by_one(
    pool: Record, engine: Record, decodes: int, contexts: int, first: int, steps: int
) -> float:
    joules = 0.0
    for step in range(steps):
        seconds, use, split = decode_step(pool, decodes, contexts + decodes * step)
        joules += book_share(pool, engine, use, split, float(first + step), seconds)
    return joules


@kernel
def book_run(pool: Record, engine: Record, decodes: int, contexts: int, first: int, steps: int) -> float:
    """Book `steps` decode steps from step `first` on and return their joules.

    Contexts grow by `decodes` a step. Up to 2 steps, or where the cap on watts begins or ends to bind, each is
    computed; else their sums by a Gauss rule of equally weighted integers 0..k-1 around c = (k - 1) / 2: nodes
    c +- h with h^2 = (k^2 - 1) / 12, exact for polynomials of degree 3, or c and c +- h with
    h^2 = (3 k^2 - 7) / 20, exact for degree 5. Shares add up to the whole at each node, so they do in the sum.
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
    early_s, early_use, early = decode_step(pool, decodes, contexts + decodes * (middle - reach))
    late_s, late_use, late = decode_step(pool, decodes, contexts + decodes * (middle + reach))
    margin = abs(late_use - early_use)
    if max(early_use, late_use) + margin >= pool["cap"] > min(early_use, late_use) - margin:
        return float(book_one_by_one(pool, engine, decodes, contexts, first, steps))
    start = first + middle
    joules = book_share(pool, engine, early_use, early, start - reach, side * early_s)
    joules += book_share(pool, engine, late_use, late, start + reach, side * late_s)
    if not is_short:
        middle_s, middle_use, halfway = decode_step(pool, decodes, contexts + decodes * middle)
        joules += book_share(pool, engine, middle_use, halfway, start, (steps - 2.0 * side) * middle_s)
    return float(joules)


SMOOTH = 16.0
"""Part of the distance to where a step's share of energy is no smooth function of its contexts, in one run."""
SHORT = 6.0
"""Times shorter still, for two nodes: error (1 / 96)^4 / 4320 of the part that is not straight."""


@kernel
def smooth_steps(pool: Record, decodes: int, contexts: int) -> float:
    """Return over how many steps the rule of `book_run` keeps ten digits.

    Seconds, watts and shares are quotients and powers of seconds, t_C and t_W + t_K + t_C, each affine in the
    contexts; a run is to be short against the contexts that would make one of them 0.
    """
    seconds = pool["base_s"] + pool["decode_s"] * decodes + pool["decode_context_s"] * contexts
    kv = pool["kv_token_share_s"]
    attention = pool["attention_compute_share_s"]
    compute = pool["token_compute_share_s"] * decodes + attention * contexts
    total = pool["weight_share_s"] + kv * contexts + compute
    steps = np.inf
    if pool["decode_context_s"] > 0.0:
        steps = min(steps, seconds / (pool["decode_context_s"] * decodes))
    if attention > 0.0:
        steps = min(steps, compute / (attention * decodes))
    if kv + attention > 0.0:
        steps = min(steps, total / ((kv + attention) * decodes))
    return steps / SMOOTH
