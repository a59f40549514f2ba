"""The fit of a step's duration, on logs whose coefficients are known."""

import numpy as np
import pytest

from tracekit.analyzers.batch_log import BatchLog, StepContents, step_contents
from tracekit.analyzers.kernels.layout import StepCost
from tracekit.analyzers.step_fit import (
    HUBER_SPREADS,
    SPREADS_OF_MEDIAN,
    TERMS,
    fit_step_cost,
    step_errors,
    step_seconds,
)

KNOWN = StepCost(8e-3, 5e-5, 4e-9, 3e-5, 1e-7, 1.0, 2.0, 3.0, 4.0)
SHARES = StepCost(0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0)


def drawn_contents(seed: int, steps: int = 2_000) -> StepContents:
    draw = np.random.default_rng(seed)
    decodes = draw.integers(0, 60, steps).astype(float)
    prompts = np.where(draw.random(steps) < 0.3, draw.integers(1, 512, steps), 0).astype(float)
    return StepContents(
        prompts, prompts * draw.uniform(0, 4_000, steps), decodes, decodes * draw.uniform(100, 2_000, steps)
    )


def coefficients(cost: StepCost) -> list[float]:
    return [getattr(cost, term) for term in TERMS]


def test_exact_durations_give_the_coefficients_back_and_keep_the_shares():
    contents = drawn_contents(1)
    fit = fit_step_cost(contents, step_seconds(KNOWN, contents), SHARES)
    np.testing.assert_allclose(fit.cost, KNOWN, rtol=1e-9)
    assert fit.errors.step_mape < 1e-12
    assert abs(fit.errors.total) < 1e-12


def test_noise_moves_the_coefficients_as_little_as_it_must():
    """Relative noise of 5 %: the standard errors of a relative least squares, from its own matrix."""
    contents = drawn_contents(2)
    exact_s = step_seconds(KNOWN, contents)
    noise = 0.05
    terms = np.column_stack([np.ones(exact_s.size), *contents]) / exact_s[:, None]
    standard = noise * np.sqrt(np.diag(np.linalg.inv(terms.T @ terms)))
    for seed in range(10):
        measured_s = exact_s * (1.0 + noise * np.random.default_rng(seed).standard_normal(exact_s.size))
        fit = fit_step_cost(contents, measured_s, SHARES)
        off = np.abs(np.array(coefficients(fit.cost)) - coefficients(KNOWN))
        assert (off < 4.5 * standard).all()
        assert fit.errors.step_mape == pytest.approx(noise * np.sqrt(2 / np.pi), rel=0.1)
        assert step_errors(fit.cost, contents, exact_s).step_mape < 0.01


def test_long_steps_do_not_drown_short_ones():
    """Errors count by ratio: a constant that long steps lack is seen in the short ones."""
    contents = drawn_contents(3)
    exact_s = step_seconds(KNOWN, contents)
    is_long = exact_s > np.median(exact_s)
    fit = fit_step_cost(contents, np.where(is_long, exact_s + 2e-3, exact_s), SHARES)
    short = StepContents(*(term[~is_long] for term in contents))
    plain = np.linalg.lstsq(
        np.column_stack([np.ones(exact_s.size), *contents]), np.where(is_long, exact_s + 2e-3, exact_s)
    )[0]
    unweighted = StepCost(*plain, 0.0, 0.0, 0.0, 0.0)
    assert (
        step_errors(fit.cost, short, exact_s[~is_long]).step_mape
        < step_errors(unweighted, short, exact_s[~is_long]).step_mape
    )


def test_no_coefficient_is_below_zero_and_the_others_make_the_best_of_it():
    contents = drawn_contents(4)
    falling_s = step_seconds(KNOWN._replace(decode_s=-4e-5), contents)
    fit = fit_step_cost(contents, falling_s, SHARES)
    assert fit.cost.decode_s == 0.0
    assert min(coefficients(fit.cost)) >= 0.0
    relative = np.column_stack([np.ones(falling_s.size), *contents]) / falling_s[:, None]
    error = relative @ coefficients(fit.cost) - 1.0
    bound = HUBER_SPREADS * SPREADS_OF_MEDIAN * np.median(np.abs(error))
    slope = relative.T @ np.clip(error, -bound, bound)
    # Karush, Kuhn and Tucker: no slope where the coefficient is free, none downwards where it is held at 0
    free = np.array(coefficients(fit.cost)) > 0.0
    slope /= np.linalg.norm(relative, axis=0) * np.linalg.norm(np.clip(error, -bound, bound))
    np.testing.assert_allclose(slope[free], 0.0, atol=1e-4)
    assert (slope[~free] > 0.01).all()


def test_a_few_steps_that_hang_do_not_move_the_others():
    contents = drawn_contents(7)
    exact_s = step_seconds(KNOWN, contents)
    draw = np.random.default_rng(7)
    noisy_s = exact_s * (1.0 + 0.01 * draw.standard_normal(exact_s.size))
    hanging_s = np.where(draw.random(exact_s.size) < 0.02, noisy_s + 0.3, noisy_s)
    fit = fit_step_cost(contents, hanging_s, SHARES)
    assert step_errors(fit.cost, contents, exact_s).step_mape < 0.005


@pytest.mark.parametrize("missing", ["prefill_tokens", "decodes"])
def test_a_log_that_cannot_tell_is_refused(missing: str):
    contents = drawn_contents(5)._replace(**{missing: np.zeros(2_000)})
    with pytest.raises(ValueError, match="apart"):
        fit_step_cost(contents, np.full(2_000, 0.01), SHARES)


def test_a_step_without_length_is_refused():
    contents = drawn_contents(6)
    duration_s = step_seconds(KNOWN, contents)
    duration_s[7] = 0.0
    with pytest.raises(ValueError, match="above 0"):
        fit_step_cost(contents, duration_s, SHARES)


def test_contents_of_two_calls_step_by_step():
    """Call 0 has a prompt of 5 in chunks of 4 and 1, call 1 of 2; each then decodes."""
    parts = [(0, 0, 4), (1, 0, 1), (1, 1, 2), (2, 0, 1), (2, 1, 1), (3, 1, 1)]
    step, call, tokens = np.array(parts).T
    log = BatchLog(step, call, tokens, np.arange(4.0), np.ones(4))
    contents = step_contents(log, np.array([5, 2]))
    assert contents.prefill_tokens.tolist() == [4, 3, 0, 0]
    assert contents.prefill_attention.tolist() == [4 * 2, 1 * 4.5 + 2 * 1, 0, 0]
    assert contents.decodes.tolist() == [0, 0, 2, 1]
    assert contents.decode_contexts.tolist() == [0, 0, 6 + 3, 4]
    assert contents.between(1, 3).decodes.tolist() == [0, 2]


def test_an_empty_log_has_no_contents():
    none = np.zeros(0, np.int64)
    log = BatchLog(none, none, none, np.zeros(0), np.zeros(0))
    assert [term.size for term in step_contents(log, none)] == [0, 0, 0, 0]
