"""A sizing held against a new recording: the fleet comes back whole, and the rule says what to do."""

import json

import pytest

from tracekit.analyzers.scenario import Fleet, Pool
from tracekit.analyzers.sizing.candidate import kind_of
from tracekit.analyzers.sizing.forecast import Advice, Forecast, advice, fleet_of, is_off, spec_of
from tracekit.errors import ForecastInvalid

FLEETS = (
    Fleet.of("H100-SXM-80GB", "Llama-3.1-8B", replicas=3, router="prefix-aware"),
    Fleet(
        (
            Pool("H100-SXM-80GB", "Llama-3.1-8B", tp=2, replicas=2, role="prefill"),
            Pool("A100-SXM-80GB", "Llama-3.1-8B", replicas=5, role="decode", max_num_seqs=64),
        ),
        "round-robin",
        "session-fcfs",
    ),
    Fleet.of("L40S", "Llama-3.1-8B", replicas=9, min_replicas=2, startup_s=30.0),
)


@pytest.mark.parametrize("fleet", FLEETS)
def test_a_fleet_comes_back_as_it_was(fleet):
    assert fleet_of(json.loads(json.dumps(spec_of(fleet)))) == fleet


@pytest.mark.parametrize("fleet", FLEETS)
def test_its_kind_has_it_among_its_sizes(fleet):
    kind = kind_of(fleet)
    assert kind.fleet(fleet.replicas) == fleet
    for size in range(kind.least_replicas, 20):
        counts = kind.counts(size)
        assert sum(counts) == size
        assert min(counts) >= 1


@pytest.mark.parametrize(
    ("passes", "needed_usd_per_h", "told"),
    [
        (False, 12.0, Advice.GROW),
        (False, None, Advice.GROW),
        (True, 10.0, Advice.KEEP),
        (True, 9.5, Advice.KEEP),
        (True, 9.0, Advice.SHRINK),
    ],
)
def test_the_rule(passes, needed_usd_per_h, told):
    assert advice(passes=passes, usd_per_h=10.0, needed_usd_per_h=needed_usd_per_h) is told


def test_outside_what_was_foreseen():
    foreseen = {"median": 2.0, "low": 1.0, "high": 3.0}
    assert is_off(0.5, foreseen)
    assert not is_off(3.0, foreseen)
    assert is_off(None, foreseen) is None
    assert is_off(1.0, None) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read"),
        ('{"a": 1}', "no question"),
        ('{"question": {}, "answer": null}', "names no fleet"),
        ('{"question": {}, "answer": {"slos": []}}', "cannot be read"),
    ],
)
def test_what_is_no_sizing_is_refused(tmp_path, text, words):
    (tmp_path / "size.json").write_text(text)
    with pytest.raises(ForecastInvalid, match=words):
        Forecast.from_json(tmp_path / "size.json")
