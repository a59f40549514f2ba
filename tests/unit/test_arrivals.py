"""Arrivals by the statistics that define them, and profiles by what is in the file."""

import numpy as np
import pytest

from tracekit.analyzers.arrivals import bursty_arrivals_s, daily_arrivals_s, poisson_arrivals_s
from tracekit.analyzers.daily_profile import DailyProfile
from tracekit.errors import ProfileInvalid, ScenarioInvalid

DAY_S = 86400.0


def random(seed=1):
    return np.random.default_rng(seed)


def profile_of(tmp_path, text):
    path = tmp_path / "day.csv"
    path.write_text(text)
    return DailyProfile.from_csv(path)


@pytest.mark.parametrize("burstiness", [0.5, 1.0, 2.0, 4.0])
def test_bursty_waits_have_the_mean_and_the_variation_asked_for(burstiness):
    arrival_s = bursty_arrivals_s(random(), 5.0, burstiness, 200_000)
    waits_s = np.diff(arrival_s)
    assert arrival_s[0] == 0
    assert waits_s.mean() == pytest.approx(0.2, rel=0.05)
    assert waits_s.std() / waits_s.mean() == pytest.approx(burstiness, rel=0.05)


def test_the_same_seed_gives_the_same_arrivals():
    for draw in (
        lambda seed: poisson_arrivals_s(random(seed), 2.0, 50),
        lambda seed: bursty_arrivals_s(random(seed), 2.0, 3.0, 50),
    ):
        assert np.array_equal(draw(4), draw(4))
        assert not np.array_equal(draw(4), draw(5))


def test_one_session_arrives_at_once():
    assert poisson_arrivals_s(random(), 1.0, 1).tolist() == [0.0]
    assert bursty_arrivals_s(random(), 1.0, 2.0, 1).tolist() == [0.0]


def test_a_day_follows_its_profile(tmp_path):
    """Weights 1 from 22 h past midnight to 6 h, 3 to 12 h, 0 to 22 h: 8 and 18 of 26 parts."""
    profile = profile_of(tmp_path, "hour,weight\n6,3\n12,0\n22,1\n")
    arrival_s = daily_arrivals_s(random(), profile, 1.0, days=2)
    assert len(arrival_s) == pytest.approx(2 * DAY_S, rel=0.02)
    assert np.all(np.diff(arrival_s) >= 0)
    assert arrival_s[0] >= 0
    assert arrival_s[-1] > DAY_S
    hour = arrival_s % DAY_S / 3600
    assert not np.any((hour > 12) & (hour < 22))
    assert np.mean((hour >= 6) & (hour <= 12)) == pytest.approx(18 / 26, rel=0.02)
    assert np.mean(hour >= 22) == pytest.approx(2 / 26, rel=0.05)
    assert np.mean(hour[arrival_s < DAY_S] < 1) == pytest.approx(1 / 26, rel=0.1)


def test_rates_of_a_profile_hold_unless_a_mean_is_given(tmp_path):
    profile = profile_of(tmp_path, "hour,rate\n0,0.5\n12.5,1.5\n")
    expected_of_a_day = 12.5 * 3600 * 0.5 + 11.5 * 3600 * 1.5
    assert profile.expected_sessions(None, 1)[1][-1] == pytest.approx(expected_of_a_day)
    assert profile.expected_sessions(2.0, 3)[1][-1] == pytest.approx(6 * DAY_S)


def test_rows_may_be_in_any_order_and_columns_may_be_more(tmp_path):
    profile = profile_of(tmp_path, "\ufeffWeight, Hour ,note\n2,13.5,noon\n\n1,0,night\n")
    assert profile.hour.tolist() == [0, 13.5]
    assert profile.level.tolist() == [1, 2]
    assert not profile.is_rate


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column hour"),
        ("hour,weight\n", "it has no rows"),
        ("hour,weight\n0,0\n12,0\n", "nobody arrives at any hour"),
        ("hours,weight\n0,1\n", "is 'hours' meant to be it"),
        ("hour,wieght\n0,1\n", "is 'wieght' meant to be it"),
        ("hour,weight,rate\n0,1,1\n", "both a column"),
        ("hour,weight\n0,1\n24,1\n", "line 3: hour '24' is not from 0 to below 24"),
        ("hour,weight\n0,1\n\n1,-2\n", "line 4: weight '-2' is below 0"),
        ("hour,rate\n0,1\n0,2\n", "line 3: hour '0' is there twice"),
        ("hour,weight\n0,many\n", "line 2: weight 'many' is not a number"),
        ("hour,weight\n0\n", "line 2: weight '' is not a number"),
        ("hour,weight\n0,inf\n", "line 2: weight 'inf' is not finite"),
    ],
)
def test_profiles_that_cannot_be(tmp_path, text, words):
    with pytest.raises(ProfileInvalid) as caught:
        profile_of(tmp_path, text)
    assert words in str(caught.value)
    assert "day.csv" in str(caught.value)


def test_a_profile_that_is_not_there(tmp_path):
    with pytest.raises(ProfileInvalid, match="No such file"):
        DailyProfile.from_csv(tmp_path / "none.csv")


def test_days_on_which_too_many_or_none_arrive(tmp_path):
    profile = profile_of(tmp_path, "hour,weight\n0,1\n")
    with pytest.raises(ScenarioInvalid, match="up to 10,000,000"):
        daily_arrivals_s(random(), profile, 1e6, days=1)
    with pytest.raises(ScenarioInvalid, match="Raise --rate or --days"):
        daily_arrivals_s(random(), profile, 1e-12, days=1)
