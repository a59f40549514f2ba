"""The product of the axes, in order, each scenario once, and those that cannot be with their error."""

import pytest

from tracekit.analyzers.scenario import Fleet
from tracekit.analyzers.sweep.axis import Axis, axes_of_texts
from tracekit.analyzers.sweep.grid import grid
from tracekit.analyzers.what_if.scenario import Scenario
from tracekit.errors import SweepInvalid, UnknownName

BASE = Scenario(Fleet.of("H100", "Llama-3.1-8B").named())


def swept(*texts, fixed=None):
    return grid(BASE, axes_of_texts(texts), fixed)


def test_the_last_axis_turns_fastest():
    found = swept("replicas=2,1", "prefix_cache=on,off")
    assert [(point.combination, *point.switches.values()) for point in found.points] == [
        (0, "2", "on"),
        (1, "2", "off"),
        (2, "1", "on"),
        (3, "1", "off"),
    ]
    pool = found.points[1].scenario.fleet.pools[0]
    assert (pool.replicas, pool.prefix_cache) == (2, False)
    assert found.repeated == 0


def test_the_same_scenario_is_told_once():
    found = swept("gpu=H100,H100-SXM-80GB,L40S", "prefix_cache=on,yes")
    assert [tuple(point.switches.values()) for point in found.points] == [("H100", "on"), ("L40S", "on")]
    assert found.repeated == 4


def test_what_cannot_be_is_a_point_with_its_error():
    found = swept("model=Llama-3.1-8B,Llama-3.1-70B", "tp=1,4")
    assert [point.scenario is None for point in found.points] == [False, False, True, False]
    assert "Llama-3.1-70B" in found.points[2].error
    found = swept("calls.parallel=on,off", "calls.sequential=on,off")
    assert [point.scenario is None for point in found.points] == [True, False, False, False]
    found = swept("split=off,1:3", "decode.replicas=2,3")
    assert ["no pool 'decode'" in (point.error or "") for point in found.points] == [True, True, False, False]


def test_a_misspelt_name_is_no_combination():
    with pytest.raises(UnknownName, match="H100"):
        swept("gpu=H100,H1000")


def test_fixed_switches_hold_in_every_point_that_does_not_vary_them():
    found = swept("replicas=1,2", fixed={"prefix_cache": "off", "replicas": "9"})
    assert [point.scenario.fleet.pools[0].replicas for point in found.points] == [1, 2]
    assert not any(point.scenario.fleet.pools[0].prefix_cache for point in found.points)
    assert [point.switches for point in found.points] == [{"replicas": "1"}, {"replicas": "2"}]


def test_sweeps_that_cannot_be():
    with pytest.raises(SweepInvalid, match="nothing to sweep over"):
        grid(BASE, [])
    with pytest.raises(SweepInvalid, match="None of the sweep's 2 combinations"):
        swept("model=Llama-3.1-70B", "prefix_cache=on,off")
    with pytest.raises(SweepInvalid, match="1,000,000 are the most"):
        grid(BASE, [Axis("replicas", tuple(range(1, 1002))), Axis("max_num_seqs", tuple(range(1, 1002)))])
