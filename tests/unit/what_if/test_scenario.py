"""Switches by name: how they are read, what they make of a fleet, and what cannot be."""

from dataclasses import replace

import pytest

from tests.oracle.workloads import Story, call, tool, workload_of
from tests.unit.what_if.second_a_step import same
from tracekit.analyzers.kernels.layout import Batching, QueueOrder, Retention, Role, Router
from tracekit.analyzers.scenario import Fleet, Pool
from tracekit.analyzers.what_if.asked import parse_what_if, what_if_of_file
from tracekit.analyzers.what_if.changes import Changes
from tracekit.analyzers.what_if.registry import SWITCHES
from tracekit.analyzers.what_if.replayed import Speculation, replay_scenario
from tracekit.analyzers.what_if.scenario import Scenario
from tracekit.analyzers.what_if.switch import Subject
from tracekit.errors import ModelDoesNotFit, ScenarioInvalid, TracekitError, UnknownName, WhatIfInvalid

ONE = Scenario(Fleet.of("H100", "Llama-3.1-8B", replicas=2).named())
TWO = Scenario(
    Fleet(
        (
            Pool("H100", "Llama-3.1-8B", role="prefill"),
            Pool("L40S", "Llama-3.1-8B", role="decode", replicas=2),
        )
    ).named()
)


def switched(**asked):
    return ONE.switched({name.replace("__", "."): value for name, value in asked.items()})


def limits(scenario, pool=0):
    return scenario.fleet.limits()[pool]


def present(scenario, name):
    switch = SWITCHES[name]
    subjects = {
        Subject.POOL: scenario.fleet.pools[0],
        Subject.FLEET: scenario.fleet,
        Subject.SESSIONS: scenario.changes,
    }
    value = switch.present(subjects[switch.subject])
    if value is None:
        return "engine" if name.startswith("max_num") else "off"
    return value


@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_at_its_present_value_changes_nothing(name):
    told = ONE.switched({name: present(ONE, name)})
    assert told == ONE
    assert told.fleet.limits() == ONE.fleet.limits()
    assert told.without_effect == {name}
    assert any(warning.startswith(f"{name}: changes nothing") for warning in told.warnings)
    assert not told.labels


@pytest.mark.parametrize("name", SWITCHES)
def test_every_switch_says_what_it_takes_and_means(name):
    switch = SWITCHES[name]
    assert switch.takes
    assert switch.meaning.endswith(".")
    with pytest.raises((WhatIfInvalid, UnknownName), match="nonsense"):
        ONE.switched({name: "nonsense"})


@pytest.mark.parametrize(
    ("asked", "field", "value"),
    [
        ({"prefix_cache": "off"}, "enable_prefix_cache", 0),
        ({"retention": "keep"}, "retention", Retention.KEEP),
        ({"retention": "ttl", "retention_s": 5}, "retention_s", 5.0),
        ({"batching": "static"}, "batching", Batching.STATIC),
        ({"max_num_seqs": 3}, "max_num_seqs", 3),
        ({"max_num_batched_tokens": 512}, "max_num_batched_tokens", 512),
        ({"queue_order": "session-fcfs"}, "queue_order", QueueOrder.SESSION_FCFS),
        ({"queue_order": "least_attained"}, "queue_order", QueueOrder.LEAST_ATTAINED),
        ({"router": "prefix-aware"}, "router", Router.PREFIX_AWARE),
        ({"replicas": 5}, "replicas", 5),
        ({"min_replicas": 1}, "min_replicas", 1),
        ({"min_replicas": 1, "startup_s": 7.5}, "startup_s", 7.5),
        ({"split": "1:3"}, "role", Role.PREFILL),
    ],
)
def test_switches_of_the_scheduler(asked, field, value):
    assert getattr(limits(ONE), field) != value
    assert getattr(limits(ONE.switched(asked)), field) == value


def test_half_the_bytes_hold_twice_the_tokens_and_are_read_and_sent_in_half_the_time():
    half = switched(kv_compression=0.5)
    block = limits(ONE).block_size
    assert abs(limits(half).kv_capacity_tokens - 2 * limits(ONE).kv_capacity_tokens) <= 2 * block
    assert limits(half).transfer_token_s == limits(ONE).transfer_token_s / 2
    assert limits(half).offload_token_s == limits(ONE).offload_token_s / 2
    assert abs(limits(half).offload_tokens - 2 * limits(ONE).offload_tokens) <= 1
    before, after = (one.fleet.pools[0].cost().step for one in (ONE, half))
    assert after.prompt_context_s == pytest.approx(before.prompt_context_s / 2)
    read_s = before.decode_context_s - before.attention_compute_share_s
    assert after.decode_context_s == pytest.approx(before.attention_compute_share_s + read_s / 2)
    assert after.base_s == before.base_s


def test_another_gpu_model_precision_tp_and_cap():
    assert switched(gpu="a100-40").fleet.pools[0].gpu == "A100-SXM-40GB"
    assert switched(model="Llama-3.1-70B", tp=4).fleet.pools[0] == replace(
        ONE.fleet.pools[0], model="Llama-3.1-70B", tp=4
    )
    assert switched(precision="fp8").fleet.pools[0].model == "Llama-3.1-8B@fp8"
    assert switched(precision="fp8", model="Llama-3.1-70B", tp=2).fleet.pools[0].model == "Llama-3.1-70B@fp8"
    capped = switched(power_cap_w=400).fleet.pools[0].cost().power
    assert capped.floor_w + capped.span_w == pytest.approx(400)


def test_what_a_switch_chooses_is_assumed_no_more():
    fleet = replace(ONE.fleet, assumed=("model Llama-3.1-8B", "one H100-SXM-80GB"))
    assert Scenario(fleet).switched({"gpu": "L40S"}).fleet.assumed == ("model Llama-3.1-8B",)
    assert Scenario(fleet).switched({"tp": 2}).fleet.assumed == fleet.assumed


def test_a_split_fleet_and_back():
    split = switched(split="1:3")
    assert [(pool.role, pool.replicas) for pool in split.fleet.pools] == [("prefill", 1), ("decode", 3)]
    assert [pool.replicas for pool in split.switched({"split": "2:2"}).fleet.pools] == [2, 2]
    back = split.switched({"split": "off", "replicas": 2})
    assert back == ONE
    assert switched(split="1:1", decode__gpu="L40S").fleet.pools[1].gpu == "L40S"


def test_one_of_several_pools_by_role_or_number():
    assert TWO.switched({"decode.replicas": 4}) == TWO.switched({"pool2.replicas": 4})
    assert [pool.replicas for pool in TWO.switched({"decode.replicas": 4}).fleet.pools] == [1, 4]
    assert [pool.replicas for pool in TWO.switched({"replicas": 4}).fleet.pools] == [4, 4]


def test_the_order_in_which_switches_are_given_does_not_matter():
    asked = {"decode.replicas": 3, "split": "1:1", "precision": "fp8", "model": "Llama-3.1-70B", "tp": 4}
    assert ONE.switched(asked) == ONE.switched(dict(reversed(asked.items())))
    assert ONE.switched(asked).switches == ONE.switched(dict(reversed(asked.items()))).switches


def test_a_fleet_has_to_be_possible_with_all_switches_not_after_each():
    offload = switched(retention="offload")
    assert offload.switched({"prefix_cache": "off", "retention": "lru"}).fleet.pools[0].retention == "lru"
    elastic = switched(min_replicas=2)
    assert elastic.switched({"replicas": 1, "min_replicas": 1}).fleet.pools[0].replicas == 1


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"prefx_cache": "off"}, UnknownName, "Did you mean prefix_cache"),
        ({"tools.speculatve": 0.5}, UnknownName, "Did you mean tools.speculative"),
        ({"router": "prefix-awre"}, UnknownName, "Did you mean prefix-aware"),
        ({"gpu": "H10O"}, UnknownName, "Did you mean"),
        ({"precision": "fp9"}, UnknownName, "Did you mean"),
        ({"tools.speculative": 1.5}, WhatIfInvalid, "takes off, or a number of 0 to 1"),
        ({"tools.time": -1}, WhatIfInvalid, "takes"),
        ({"tools.time": "nan"}, WhatIfInvalid, "takes"),
        ({"iterations": 0}, WhatIfInvalid, "takes"),
        ({"iterations": 2.5}, WhatIfInvalid, "takes"),
        ({"few_shot": [1]}, WhatIfInvalid, "takes"),
        ({"split": "1"}, WhatIfInvalid, "takes"),
        ({"split": "0:1"}, WhatIfInvalid, "takes"),
        ({"retention": "offload", "prefix_cache": "off"}, WhatIfInvalid, "prefix_cache = true"),
        ({"tp": 3}, WhatIfInvalid, "tp=3.*32 attention heads"),
        ({"power_cap_w": 50}, WhatIfInvalid, "power_cap_w=50"),
        ({"min_replicas": 3}, WhatIfInvalid, "more than replicas = 2"),
        ({"calls.parallel": "on", "calls.sequential": "on"}, WhatIfInvalid, "cannot be together"),
        ({"decode.tp": 1}, WhatIfInvalid, "no pool 'decode'.*pool1"),
        ({"pool3.tp": 1}, WhatIfInvalid, "no pool 'pool3'"),
        ({"model": "Llama-3.1-405B"}, ModelDoesNotFit, "does not fit"),
    ],
)
def test_what_cannot_be_is_said(asked, error, words):
    with pytest.raises(error, match=words):
        ONE.switched(asked)


def test_slots_hold_no_batches_and_pools_that_differ_are_no_one_pool():
    slots = Scenario(Fleet.of("H100", "Llama-3.1-8B", batching="slots", max_num_seqs=4))
    with pytest.raises(WhatIfInvalid, match="slots"):
        slots.switched({"batching": "static"})
    with pytest.raises(WhatIfInvalid, match="its pools differ"):
        TWO.switched({"split": "off"})


def test_what_a_switch_is_good_for_is_said():
    told = ONE.switched({"retention_s": 5, "tools.async": "on", "iterations": 3})
    assert told.labels == ("tools.async: upper bound",)
    assert "retention_s: does nothing, because no pool has retention=ttl" in told.warnings
    assert any("quality is unknown" in warning for warning in told.warnings)


def test_text():
    assert parse_what_if(" prefix_cache = off , tools.speculative=0.6", "tp=2") == {
        "prefix_cache": "off",
        "tools.speculative": "0.6",
        "tp": "2",
    }
    for text in ("", "prefix_cache", "prefix_cache=", "=off", "a=b,,c=d", "prefix_cache=off,"):
        with pytest.raises(TracekitError):
            parse_what_if(text)
    with pytest.raises(WhatIfInvalid, match="given twice"):
        parse_what_if("tp=2", "tp=4")


def test_a_table_of_the_fleet_file(tmp_path):
    file = tmp_path / "fleet.toml"
    file.write_text(
        '[fleet]\ngpu = "H100"\nmodel = "Llama-3.1-8B"\nreplicas = 2\n'
        "[what_if]\nprefix_cache = false\ntools.speculative = 0.6\niterations = 3\npool1.router_ = 1\n"
    )
    with pytest.raises(UnknownName, match="router_"):
        what_if_of_file(file)
    file.write_text(file.read_text().replace("pool1.router_ = 1", "pool1.tp = 2"))
    told = Scenario.from_toml(file)
    assert told.changes == Changes(speculative=0.6, iterations=3)
    assert (told.fleet.pools[0].tp, told.fleet.pools[0].prefix_cache) == (2, False)
    file.write_text('[what_ifs]\ntp = 2\n[fleet]\ngpu = "H100"\nmodel = "Llama-3.1-8B"\n')
    with pytest.raises(UnknownName, match="Did you mean what_if"):
        what_if_of_file(file)
    file.write_text('what_if = 3\n[fleet]\ngpu = "H100"\nmodel = "Llama-3.1-8B"\n')
    with pytest.raises(ScenarioInvalid, match="no table"):
        what_if_of_file(file)


def test_a_replay_under_a_scenario_says_what_guessing_did():
    nodes = [call(100, 20), tool(1.5, 0), call(100, 20, 1)]
    work = workload_of([Story(0.0, nodes), Story(1.0, nodes)])
    as_recorded = replay_scenario(work, ONE)
    assert as_recorded.replay.workload is work
    assert as_recorded.speculation is None
    wrong = replay_scenario(work, switched(tools__speculative=0))
    assert wrong.speculation == Speculation(hits=0, misses=2, wasted_tool_s=3.0)
    assert same(wrong.replay.workload, work)
    right = replay_scenario(work, switched(tools__speculative=1))
    assert (right.speculation.hits, right.speculation.misses, right.speculation.wasted_tool_s) == (2, 0, 0.0)
    none = replay_scenario(
        workload_of([Story(0.0, [call(5, 5)])]), switched(tools__speculative=1, iterations=9)
    )
    assert {"tools.speculative: no call asks for a tool, so nothing is guessed"} < set(none.warnings)
