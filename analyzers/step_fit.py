"""Fits the five coefficients of a step's duration to an engine's log.

Least squares of *relative* errors, no coefficient below 0, robust against steps that no five coefficients can
tell. docs/background-vidur.md compares it with other weights, each judged on calls it had not seen.
"""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np

from tracekit.analyzers.batch_log import StepContents
from tracekit.analyzers.kernels.layout import Floats, StepCost

HUBER_SPREADS = 1.345
"""Errors beyond this many standard deviations count by size, not by square (95 % efficient if all is normal)."""

SPREADS_OF_MEDIAN = 1.4826
"""Standard deviations in a median absolute error, if errors are normal."""

ROUNDS = 30
EXACT = 1e-12  # errors of durations that fit up to rounding

TERMS = ("base_s", "prefill_token_s", "prefill_attention_s", "decode_s", "decode_context_s")


class StepErrors(NamedTuple):
    """How far modelled durations are from measured ones, as fractions."""

    step_mape: float  # mean of |modelled / measured - 1|
    total: float  # sum of modelled / sum of measured - 1


class StepFit(NamedTuple):
    """Coefficients, and their errors on the steps they were fitted to."""

    cost: StepCost
    errors: StepErrors


def fit_step_cost(contents: StepContents, duration_s: Floats, modelled: StepCost) -> StepFit:
    """The coefficients, none below 0, with the least sum of Huber's loss of (fitted / measured - 1).

    Huber, Robust Estimation of a Location Parameter (1964), by least squares that are weighted anew 30 times;
    the spread is the median absolute error's. Each is a non-negative least squares problem (Lawson & Hanson,
    Solving Least Squares Problems, 1974, ch. 23). With five unknowns its solution is found among the 2^5
    unconstrained ones: that with the least residual of those that are not negative anywhere.

    Parameters
    ----------
    contents : n steps.
    duration_s : measured, shape (n,), above 0.
    modelled : the cost whose energy shares are kept; a log of durations says nothing about them.

    Raises
    ------
    ValueError : a duration is not above 0, or the steps do not tell the five terms apart (too few, none with
        prefill, none that decodes, all alike).
    """
    if not (duration_s > 0.0).all():
        raise ValueError("durations of steps must be above 0 s")
    relative = _terms(contents) / duration_s[:, None]
    scale = np.linalg.norm(relative, axis=0)
    if not scale.all() or np.linalg.matrix_rank(relative / scale) < len(TERMS):
        raise ValueError("the log's steps do not tell the five terms of a step's duration apart")
    fitted = _robust(relative / scale) / scale
    cost = modelled._replace(**dict(zip(TERMS, fitted.tolist(), strict=True)))
    return StepFit(cost, step_errors(cost, contents, duration_s))


def step_errors(cost: StepCost, contents: StepContents, duration_s: Floats) -> StepErrors:
    """How well a cost tells the n measured durations of these steps."""
    modelled_s = step_seconds(cost, contents)
    return StepErrors(
        float(np.abs(modelled_s / duration_s - 1.0).mean()),
        float(modelled_s.sum() / duration_s.sum() - 1.0),
    )


def step_seconds(cost: StepCost, contents: StepContents) -> Floats:
    """Modelled durations, shape (n,), in seconds."""
    seconds: Floats = _terms(contents) @ np.array([getattr(cost, term) for term in TERMS])
    return seconds


def _terms(contents: StepContents) -> Floats:
    """What each coefficient is multiplied by, shape (n, 5)."""
    return np.column_stack([np.ones_like(contents.decodes), *contents])


def _robust(matrix: Floats) -> Floats:
    """The non-negative solution of matrix @ x = 1 under Huber's loss, shape (columns,)."""
    weights = np.ones(matrix.shape[0])
    for _ in range(ROUNDS):
        solution = _non_negative(matrix * weights[:, None], weights)
        error = np.abs(matrix @ solution - 1.0)
        bound = max(HUBER_SPREADS * SPREADS_OF_MEDIAN * float(np.median(error)), EXACT)
        weights = np.sqrt(bound / np.maximum(error, bound))
    return solution


def _non_negative(matrix: Floats, target: Floats) -> Floats:
    """The least squares solution among those not below 0, shape (columns,)."""
    columns = matrix.shape[1]
    q, square = np.linalg.qr(matrix)  # 5 rows say as much as n
    short = q.T @ target
    best, least = np.zeros(columns), float(short @ short)
    for size in range(1, columns + 1):
        for chosen in map(list, combinations(range(columns), size)):
            solution = np.linalg.lstsq(square[:, chosen], short, rcond=None)[0]
            residual = float(((square[:, chosen] @ solution - short) ** 2).sum())
            if solution.min() >= 0.0 and residual < least:
                best, least = np.zeros(columns), residual
                best[chosen] = solution
    return best
