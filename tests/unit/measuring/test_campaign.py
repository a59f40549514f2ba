"""The measuring loop against a device whose every answer is known."""

import json
from dataclasses import replace

import pytest

from tests.unit.measuring.fake_device import Clock, FakeDevice, FakeMeter
from tracekit.analyzers.catalog import catalog
from tracekit.errors import MeasuringRefused
from tracekit.measuring.bench import Bench, Plan
from tracekit.measuring.campaign import measure
from tracekit.measuring.grid import Limits, grid_of
from tracekit.measuring.journal import Journal
from tracekit.measuring.meter import NoMeter
from tracekit.measuring.outcome import launch_of, measured_toml, steps_of
from tracekit.measuring.point import Point, work_of
from tracekit.measuring.shape import BlockKind, ModelShape

SHAPE = ModelShape.of(catalog.model("Llama-3.1-8B"))
LIMITS = Limits(batch=16, context=2048, chunk=512)
QUICK = Plan(power_s=20.0, idle_s=1.0, sample_interval_s=0.0005)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def device(clock):
    return FakeDevice(SHAPE, clock)


def bench_of(device, meter=None):
    return Bench(device, meter or NoMeter(), QUICK, device.clock, device.clock.sleep)


def run(device, path, budget_s=1e9, meter=None, shape=SHAPE, limits=LIMITS):
    journal = Journal(path / "out.toml.readings.jsonl", device.facts())
    grid = grid_of(shape, limits)
    return measure(grid, shape, bench_of(device, meter), journal, budget_s, clock=device.clock), journal, grid


def test_the_grid_begins_at_its_corners_and_has_no_point_twice():
    grid = grid_of(SHAPE, LIMITS)
    assert len(grid) == len(set(grid)) == 5 * 3 + 3 * 3 + 5
    decodes = [(point.batch, point.context) for point in grid if point.phase == "decode"]
    assert set(decodes[:4]) == {(1, 128), (1, 2048), (16, 128), (16, 2048)}
    chunks = [(point.chunk, point.context) for point in grid if point.phase == "prefill"]
    assert set(chunks[:4]) == {(64, 0), (64, 2048), (512, 0), (512, 2048)}
    assert [point.batch for point in grid if point.phase == "head"][:2] == [1, 16]


def test_a_reading_is_the_median_of_one_block(device):
    point = Point("decode", "full-dense", 4, 512, 0)
    graph, plain = bench_of(device).readings(point)
    assert graph.seconds == pytest.approx(device.seconds(point, "graph"))
    assert plain.seconds == pytest.approx(2 * graph.seconds)
    assert (graph.launch, graph.blocks, graph.spread) == ("graph", 2, 0.0)
    assert graph.repetitions >= QUICK.fewest_samples
    assert graph.watts is None
    assert device.closed == device.prepared == 2


@pytest.mark.parametrize(("counter", "instant"), [(True, True), (True, False), (False, True), (False, False)])
def test_watts_by_counter_and_by_instant_samples(device, clock, counter, instant):
    meter = FakeMeter(clock, 400.0, counter, instant)
    [graph, plain] = bench_of(device, meter).readings(Point("prefill", "full-dense", 1, 0, 512))
    assert graph.counter_w == (pytest.approx(400.0, rel=0.1) if counter else None)
    assert graph.instant_w == (405.0 if instant else None)
    assert graph.watts == (graph.counter_w if counter else graph.instant_w)
    assert plain.watts is None


@pytest.mark.parametrize("has_counter", [True, False])
def test_watts_of_a_group_are_of_all_its_gpus(clock, tmp_path, has_counter):
    shape = SHAPE.shard(2)
    device, meter = FakeDevice(shape, clock), FakeMeter(clock, (400.0, 300.0), has_counter)
    bench = Bench(device, meter, QUICK._replace(power_s=2.0, heat_up_s=0.1), clock, clock.sleep)
    journal = Journal(tmp_path / "out.toml.readings.jsonl", device.facts())
    grid = grid_of(shape, Limits(batch=2, context=128, chunk=64))
    measure(grid, shape, bench, journal, 1e9, clock=clock)
    measured = [reading for reading in journal.readings if reading.watts is not None]
    assert {reading.phase for reading in measured} == {"decode", "prefill"}
    for reading in measured:
        assert reading.watts == pytest.approx(700.0, rel=0.1)
    assert journal.idle["warm_idle_w"] == pytest.approx(700.0, rel=0.1)
    steps = steps_of(journal.readings, shape)
    assert len(steps) == len(measured)
    for step in steps:
        assert step.watts == pytest.approx(350.0, rel=0.1)


def test_what_does_not_fit_is_a_row_with_its_reason(device, tmp_path):
    device.refuses = lambda point: "out of memory" if point.batch > 4 and point.phase == "decode" else None
    course, journal, grid = run(device, tmp_path)
    failed = [reading for reading in journal.readings if reading.seconds is None]
    assert {reading.reason for reading in failed} == {"out of memory"}
    assert {reading.batch for reading in failed} == {8, 16}
    assert journal.done == set(grid)
    assert not course.left_out
    assert {step.sequences for step in steps_of(journal.readings, SHAPE)} == {1, 2, 4}


def test_a_budget_ends_it_and_the_same_command_goes_on(device, clock, tmp_path):
    course, journal, grid = run(device, tmp_path, budget_s=3.0)
    first = journal.done
    assert 0 < len(first) < len(grid)
    assert set(course.left_out) == set(grid) - first
    assert first == set(grid[: len(first)])
    course, journal, _grid = run(device, tmp_path)
    assert journal.done == set(grid)
    assert len(journal.readings) == 2 * len(grid)
    assert not course.left_out
    prepared = device.prepared
    course, journal, _grid = run(device, tmp_path)
    assert device.prepared == prepared


def test_points_that_would_take_longer_than_is_left_are_left_out(device, clock, tmp_path):
    device.flop_s, device.byte_s = 1e11, 1e10  # seconds for the larger points
    course, journal, _grid = run(device, tmp_path, budget_s=30.0)
    assert clock() - 100.0 < 60.0
    slow = Point("prefill", "full-dense", 1, 2048, 512)
    assert slow in course.left_out
    assert journal.done


def test_ctrl_c_keeps_what_is_done(device, tmp_path):
    device.interrupt_after = 7
    course, journal, grid = run(device, tmp_path)
    assert course.interrupted
    assert len(journal.readings) == 6  # three points under two launches; the fourth was half done
    assert set(course.left_out) == set(grid) - journal.done
    device.interrupt_after = None
    _course, journal, _grid = run(device, tmp_path)
    assert journal.done == set(grid)


def test_a_device_that_is_lost_ends_it_and_the_same_command_passes_that_point(device, tmp_path):
    device.lost_after = 7
    course, journal, grid = run(device, tmp_path)
    assert course.lost == "rank 1 of 2 was killed by signal 9"
    assert not course.interrupted
    assert [reading.reason for reading in journal.readings] == [None] * 6 + [course.lost]
    assert journal.done == set(grid[:4])
    assert set(course.left_out) == set(grid) - journal.done
    device.lost_after = None
    course, journal, _grid = run(device, tmp_path)
    assert (course.lost, journal.done) == (None, set(grid))
    assert sum(reading.reason is not None for reading in journal.readings) == 1


def test_a_device_that_is_lost_while_it_warms_up(device, clock, tmp_path):
    device.lost_after = 0
    course, journal, grid = run(device, tmp_path, meter=FakeMeter(clock))
    assert "signal 9" in course.lost
    assert (course.left_out, journal.readings) == (grid, [])


def test_idle_watts_are_read_once(device, clock, tmp_path):
    meter = FakeMeter(clock, 110.0, has_counter=False)
    _course, journal, _grid = run(device, tmp_path, 1.0, meter)
    assert journal.idle == {"warm_idle_w": 115.0}
    meter.watts = 300.0
    _course, journal, _grid = run(device, tmp_path, 1.0, meter)
    assert journal.idle == {"warm_idle_w": 115.0}


def test_steps_add_up_layers_and_head(device, tmp_path):
    _course, journal, _grid = run(device, tmp_path)
    assert launch_of(journal.readings) == "graph"
    steps = {
        (step.sequences, step.context, step.prompt_tokens): step for step in steps_of(journal.readings, SHAPE)
    }
    assert len(steps) == 15 + 9
    point, head = Point("decode", "full-dense", 16, 2048, 0), Point("head", "", 16, 0, 0)
    wanted = 32 * device.seconds(point, "graph") + device.seconds(head, "graph")
    assert steps[16, 2048, 0].on_gpu_s == pytest.approx(wanted)
    chunk, head = Point("prefill", "full-dense", 1, 2048, 512), Point("head", "", 1, 0, 0)
    wanted = 32 * device.seconds(chunk, "graph") + device.seconds(head, "graph")
    assert steps[1, 2048, 512].on_gpu_s == pytest.approx(wanted)


def test_kinds_of_blocks_are_weighed_by_their_layers(clock, tmp_path):
    kinds = (BlockKind("full-dense", 0, False, 8.0), BlockKind("window-dense", 256, False, 24.0))
    shape = replace(SHAPE, kinds=kinds)
    device = FakeDevice(shape, clock)
    _course, journal, grid = run(device, tmp_path, shape=shape)
    assert len(grid) == 2 * (15 + 9) + 5
    [step] = [
        step for step in steps_of(journal.readings, shape) if (step.sequences, step.context) == (16, 2048)
    ]
    parts = [device.seconds(Point("decode", kind.name, 16, 2048, 0), "graph") * kind.layers for kind in kinds]
    head = device.seconds(Point("head", "", 16, 0, 0), "graph")
    assert step.on_gpu_s == pytest.approx(sum(parts) + head)
    assert parts[1] < 3 * parts[0]  # the window reads less
    some = [reading for reading in journal.readings if reading.kind != "window-dense"]
    assert steps_of(some, shape) == []


def test_readings_of_another_device_are_not_mixed(device, tmp_path):
    run(device, tmp_path, 1.0)
    other = FakeDevice(SHAPE, device.clock)
    other.facts = lambda: device.facts() | {"device": "Tesla T4"}
    with pytest.raises(MeasuringRefused, match=r"device is NVIDIA H100.* there and Tesla T4 here"):
        run(other, tmp_path)


def test_a_journal_that_was_cut_short(device, tmp_path):
    _course, journal, _grid = run(device, tmp_path, 2.0)
    text = journal.path.read_text()
    journal.path.write_text(text + '{"t": "reading", "phase": "deco')
    assert Journal(journal.path, device.facts()).readings == journal.readings
    journal.path.write_text(text + '{"t": "reading", "phase": "decode"}\n[1]\n')
    assert Journal(journal.path, device.facts()).readings == journal.readings


def test_a_journal_that_cannot_be_kept(device, tmp_path):
    with pytest.raises(MeasuringRefused, match="cannot be kept"):
        Journal(tmp_path / "nowhere" / "x.jsonl", device.facts())


def test_the_file_has_every_reading(device, clock, tmp_path):
    import tomllib

    _course, journal, _grid = run(device, tmp_path, 100.0, FakeMeter(clock))
    text = measured_toml(
        {"device": 'a "b"', "cuda": ""}, {"idle_w": 70.0, "warm_idle_w": None}, journal.readings
    )
    measured = tomllib.loads(text)["measured"]
    assert (measured["device"], measured["idle_w"], measured["steps_from"]) == ('a "b"', 70.0, "graph")
    assert "cuda" not in measured
    assert "warm_idle_w" not in measured
    assert len(measured["readings"]) == len(journal.readings)
    first = measured["readings"][0]
    assert first["seconds"] == pytest.approx(journal.readings[0].seconds, rel=1e-5)
    assert json.dumps(first)


@pytest.mark.parametrize(
    ("name", "blocks_b", "tolerance"),
    [("Llama-3.1-8B", 8.03e9, 0.001), ("Qwen3-30B-A3B", 30.5e9, 0.001), ("Mixtral-8x7B", 46.7e9, 0.001),
     ("Qwen2.5-7B", 7.62e9, 0.001), ("gpt-oss-20b@bf16", 20.9e9, 0.002), ("GLM-4.5-Air", 110e9, 0.01)],
)  # fmt: skip
def test_blocks_and_head_have_the_models_parameters(name, blocks_b, tolerance):
    model = catalog.model(name)
    shape = ModelShape.of(model)
    built = sum(kind.layers * shape.block_bytes(kind) for kind in shape.kinds) / 2
    built += shape.vocabulary * shape.hidden * (1 if model.tied_embeddings else 2)
    assert built == pytest.approx(model.parameters, rel=tolerance)
    assert sum(kind.layers for kind in shape.kinds) == pytest.approx(model.layers)
    assert model.parameters == pytest.approx(blocks_b, rel=0.05)


@pytest.mark.parametrize(
    ("name", "says"),
    [("DeepSeek-V3@bf16", "latent attention"), ("Qwen3-Next-80B-A3B", "recurrent"),
     ("Llama-3.1-8B@fp8", "Llama-3.1-8B@bf16")],
)  # fmt: skip
def test_models_that_are_not_built(name, says):
    with pytest.raises(MeasuringRefused, match=says):
        ModelShape.of(catalog.model(name))


def test_what_a_point_asks_for():
    decode = work_of(Point("decode", "full-dense", 8, 1024, 0), SHAPE)
    assert decode.moved_bytes == pytest.approx(SHAPE.block_bytes(SHAPE.kinds[0]) + 8 * 1025 * 4096)
    assert decode.flops == pytest.approx(2 * 8 * SHAPE.token_parameters + 4 * 8 * 1024 * 4096)
    shape = ModelShape.of(catalog.model("Qwen3-30B-A3B"))
    few, many = (work_of(Point("decode", "full-experts", batch, 128, 0), shape) for batch in (1, 256))
    assert few.moved_bytes < 0.2 * many.moved_bytes
