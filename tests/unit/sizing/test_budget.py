"""Budgets for --fail-if."""

import pytest

from tracekit.analyzers.sizing.budget import Budget
from tracekit.errors import SizeBudgetInvalid

KNOWN = {"cost_per_month": 5000.0, "idle": 0.4, "headroom": None}


@pytest.mark.parametrize(
    ("text", "is_broken"),
    [
        ("cost_per_month>5000", False),
        ("cost_per_month>4999", True),
        ("idle > 50%", False),
        ("idle>=30 %", True),
        ("cost_per_month<6e3", True),
        ("headroom<1.2", True),  # unknown
        ("unmet", False),
    ],
)
def test_a_budget_is_broken_or_not(text, is_broken):
    assert (Budget.parse(text).broken(KNOWN, is_met=True) is not None) == is_broken


def test_unmet_is_broken_by_a_fleet_that_does_not_hold():
    assert "no fleet" in Budget.parse("unmet").broken(KNOWN, is_met=False)


@pytest.mark.parametrize(("text", "words"), [("cost", "no budget"), ("cost_per_moth>1", "cost_per_month")])
def test_what_is_no_budget_is_refused(text, words):
    with pytest.raises(SizeBudgetInvalid, match=words):
        Budget.parse(text)


@pytest.mark.parametrize("text", ["cost_per_month>5%", "headroom<20 %"])
def test_percents_are_of_shares(text):
    with pytest.raises(SizeBudgetInvalid, match=r"no share .*`tracekit diff"):
        Budget.parse(text)


def test_a_change_is_no_budget_of_a_sizing():
    with pytest.raises(SizeBudgetInvalid, match="no budget"):
        Budget.parse("cost_per_month>+5%")
