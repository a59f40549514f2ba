"""What `tracekit calibrate MODEL --tp N` asks for, writes, and what replays take of it."""

import tomllib
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.measuring.fake_device import Clock, FakeDevice, FakeMeter
from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.hardware.kernel_step import Contents, KernelSteps
from tracekit.analyzers.scenario import Pool
from tracekit.commands import measuring
from tracekit.commands.measuring import Wish
from tracekit.errors import MeasuringRefused
from tracekit.measuring import setup
from tracekit.measuring.bench import Bench, Plan
from tracekit.measuring.meter import NoMeter
from tracekit.measuring.setup import Setup, places_of
from tracekit.measuring.shape import ModelShape

MODEL = catalog.model("Llama-3.1-8B")
QUICK = Plan(power_s=2.0, idle_s=1.0, cool_down_s=0.1, heat_up_s=0.1, sample_interval_s=0.0005)
WISH = Wish(None, 1e9, 4, 512, 64, None, None, 2)


@pytest.fixture
def bench(monkeypatch):
    """A bench of two GPUs, one of 400 W and one of 300, that `set_up` finds."""
    clock = Clock()
    device = FakeDevice(ModelShape.of(MODEL, 2), clock)
    made = Bench(device, FakeMeter(clock, (400.0, 300.0)), QUICK, clock, clock.sleep)

    def found(where, model, tp, budget_s):
        assert (where, model, tp, budget_s) == (None, MODEL, 2, 1e9)
        return Setup(made, device.shape, {**device.facts(), **made.meter.facts()}, 150.0)

    monkeypatch.setattr(setup, "set_up", found)
    return made


def written(path, force=True):
    done = measuring.measured(MODEL, WISH, path, force=force)
    path.write_text(done.text)
    return done


def test_the_file_says_how_many_gpus_measured(bench, tmp_path):
    done = written(tmp_path / "two.toml")
    assert done.code == 0
    assert bench.device.is_closed
    document = tomllib.loads(done.text)
    [calibration], measured = document["calibration"], document["measured"]
    assert (calibration["tp"], calibration["gpu"], measured["tp"]) == (2, "H100-SXM-80GB", "2")
    assert calibration["source"] == (
        "torch 0.0 blocks on 2 x NVIDIA H100 80GB HBM3 (tensor parallel by nccl 2.0, graph launches)"
    )
    assert "Tensor parallel" in measured["method"]


def test_watts_in_the_file_are_of_the_group_and_corrections_of_one_gpu(bench, tmp_path):
    bench.meter.has_instant = False
    document = tomllib.loads(written(tmp_path / "two.toml").text)
    [calibration], measured = document["calibration"], document["measured"]
    assert measured["idle_w"] == 150.0
    assert measured["warm_idle_w"] == pytest.approx(700.0, rel=0.1)
    assert calibration["warm_idle_w"] == pytest.approx(measured["warm_idle_w"] / 2, rel=1e-3)
    watts = [reading["counter_w"] for reading in measured["readings"] if "counter_w" in reading]
    assert watts
    assert all(watt == pytest.approx(700.0, rel=0.1) for watt in watts)


@pytest.mark.parametrize(("tp", "takes"), [(1, False), (2, True), (4, False)])
def test_replays_of_another_tensor_parallel_size_do_not_take_it(bench, tmp_path, tp, takes):
    path = tmp_path / "two.toml"
    written(path)
    pool = Pool("H100", MODEL.name, tp=tp, calibration=str(path))
    assert (pool.calibrated() is not None) == takes
    two = Contents.decoding(np.array([2.0]), 512)
    corrected, analytic = (
        KernelSteps.of(one.cost(), two).seconds[0] for one in (pool, replace(pool, calibration=None))
    )
    assert (corrected != analytic) == takes


def test_a_group_that_is_lost_writes_what_it_has(bench, tmp_path):
    bench.device.lost_after = 10
    done = written(tmp_path / "two.toml")
    assert done.code == 1
    assert bench.device.is_closed
    assert any("because rank 1 of 2 was killed by signal 9" in note for note in done.notes)
    assert tomllib.loads(done.text)["measured"]["readings"]
    bench.device.lost_after = None
    again = written(tmp_path / "two.toml", force=False)
    assert again.code == 0
    assert len(tomllib.loads(again.text)["measured"]["readings"]) > 10


def test_the_device_is_closed_whatever_happens(bench, tmp_path):
    (tmp_path / "two.toml.readings.jsonl").write_text('{"t": "device", "device": "another"}\n')
    with pytest.raises(MeasuringRefused, match="another"):
        measuring.measured(MODEL, WISH, tmp_path / "two.toml", force=False)
    assert bench.device.is_closed


@pytest.mark.parametrize(
    ("where", "tp", "gpus", "places"),
    [
        (None, 1, 0, ["cpu"]), (None, 1, 2, ["cuda:0"]), ("cuda:3", 1, 1, ["cuda:3"]), ("cpu", 1, 2, ["cpu"]),
        (None, 2, 2, ["cuda:0", "cuda:1"]), ("cuda", 2, 8, ["cuda:0", "cuda:1"]),
        ("cuda:2", 4, 8, ["cuda:2", "cuda:3", "cuda:4", "cuda:5"]), ("cpu", 3, 0, ["cpu"] * 3),
    ],
)  # fmt: skip
def test_places_of_ranks(where, tp, gpus, places):
    assert places_of(where, tp, gpus) == places


@pytest.mark.parametrize(
    ("where", "tp", "gpus", "says"),
    [
        (None, 2, 0, "--tp 2 needs 2 GPUs, cuda:0 to cuda:1, and PyTorch sees 0"),
        (None, 8, 4, "--tp 8 needs 8 GPUs, cuda:0 to cuda:7, and PyTorch sees 4"),
        ("cuda:1", 2, 2, "cuda:1 to cuda:2, and PyTorch sees 2"), ("tpu", 2, 2, "'tpu' cannot be used"),
        ("cuda:x", 2, 2, "'cuda:x' cannot be used"),
    ],
)  # fmt: skip
def test_places_that_are_not_there(where, tp, gpus, says):
    with pytest.raises(MeasuringRefused, match=says):
        places_of(where, tp, gpus)


def test_every_gpu_of_the_group_is_metered(monkeypatch):
    asked = []

    class Group:
        def __init__(self, places, whole, patience_s):
            assert (places, whole, patience_s) == (["cuda:1", "cuda:2"], ModelShape.of(MODEL), 25.0)
            self.uuids = ["GPU-a", "GPU-b"]

        def facts(self):
            return {"device": "x"}

    def meter_of(uuids):
        asked.append(uuids)
        return NoMeter()

    monkeypatch.setattr(setup, "gpu_count", lambda: 4)
    monkeypatch.setattr(setup, "GroupDevice", Group)
    monkeypatch.setattr(setup, "meter_of", meter_of)
    monkeypatch.setattr(setup, "visible_uuid", lambda place: f"GPU-{place}")
    found = setup.set_up("cuda:1", MODEL, 2, 100.0)
    assert asked == [["GPU-cuda:1", "GPU-cuda:2"], ["GPU-a", "GPU-b"]]
    assert (found.shape, found.facts) == (ModelShape.of(MODEL, 2), {"device": "x"})
