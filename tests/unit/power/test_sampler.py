"""The sampler as a process beside a driver that fails, hangs and disappears: one note, nulls, and the others go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pynvml
import pytest

from tests.unit.power.conftest import ROOT
from tracekit.collectors.power.device import SourceMissing
from tracekit.collectors.power.sampler import Sampler
from tracekit.collectors.power.update_period import UpdatePeriod
from tracekit.demo.fake_gpu import FakeGpus, Fault, Hang, PowerStep, environment
from tracekit.spool import read_spool

LOST = pynvml.NVML_ERROR_GPU_IS_LOST
TWO = [PowerStep(0.1 * i, (200.0 + 100 * (i % 2), 90.0 + i % 3)) for i in range(600)]


def of(records, kind):
    return [record for record in records if record["t"] == kind]


def samples_of(records, device):
    return [record for record in of(records, "power") if record["id"] == device]


def test_what_it_writes(sampling):
    sampler = sampling(FakeGpus(TWO))
    sampler.wait_for(
        lambda records: sum("energy_update_ms" in device for device in of(records, "device")) == 2
    )
    records = sampler.stop().records
    assert {record["t"] for record in records} == {"device", "power", "clock"}
    last = {device["id"]: device for device in of(records, "device")}
    assert set(last) == {"gpu0", "gpu1"}
    for device in last.values():
        assert device["energy_update_ms"] == pytest.approx(100, abs=15)
        assert device["power_update_ms"] == pytest.approx(100, abs=15)
    for device in last:
        samples = samples_of(records, device)
        assert all(sample["power_w"] and sample["energy_counter_j"] for sample in samples)
        with_all = [sample for sample in samples if "temperature_c" in sample]
        assert samples[0] in with_all  # the first, the last, and some between
        assert samples[-1] in with_all
        assert 2 < len(with_all) < len(samples)
        assert with_all[0]["process_pids"] == []
        times = [sample["ns"] for sample in samples]
        assert times == sorted(times)


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        ([Fault("nvmlInitWithFlags", pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH)], "LIB_RM_VERSION_MISMATCH"),
        ([Fault("nvmlInitWithFlags", pynvml.NVML_ERROR_DRIVER_NOT_LOADED)], "DRIVER_NOT_LOADED"),
        ([Fault("nvmlInitWithFlags", pynvml.NVML_ERROR_NO_PERMISSION)], "NO_PERMISSION"),
        ([Fault("nvmlDeviceGetCount_v2", pynvml.NVML_ERROR_UNKNOWN)], "UNKNOWN"),
    ],
)
def test_a_driver_that_does_not_work_is_one_note(sampling, faults, reason):
    sampler = sampling(FakeGpus(TWO, events=faults))
    sampler.wait_for(lambda records: of(records, "note"))
    spool = read_spool(sampler.directory)
    [note] = of(spool.records, "note")
    assert (note["what"], note["detail"]) == ("power_unavailable", f"NVML_ERROR_{reason}")
    assert all(
        record["id"].startswith("package") for record in of(spool.records, "power")
    )  # a CPU's, at most


def test_no_library_is_one_note(tmp_path):
    """Its absence, told by a folder of our own where none is; on a host that has one this is about its first note."""
    surroundings = os.environ | {"PYTHONPATH": str(ROOT), "LD_LIBRARY_PATH": str(tmp_path)}
    hidden = "import ctypes, sys; from tracekit.collectors import power_sampler\n"
    hidden += "import pynvml; pynvml.CDLL = lambda name: ctypes.CDLL('/missing/' + name)\n"
    hidden += "sys.exit(power_sampler.main(sys.argv[1:]))"
    done = subprocess.Popen(
        [sys.executable, "-c", hidden, "--spool", str(tmp_path)],
        env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    end_s = time.monotonic() + 20
    while not list(tmp_path.glob("*.jsonl")) and time.monotonic() < end_s:
        time.sleep(0.02)
    done.terminate()
    assert done.communicate(timeout=20) == ("", "")
    [note] = of(read_spool(tmp_path).records, "note")
    assert (note["what"], note["detail"]) == ("power_unavailable", "NVML_ERROR_LIBRARY_NOT_FOUND")


def test_a_gpu_lost_in_the_middle(sampling):
    sampler = sampling(FakeGpus(TWO, events=[Fault("*", LOST, 0, 0.8)]))
    sampler.wait_for(
        lambda records: len([s for s in samples_of(records, "gpu0") if s["power_w"] is None]) > 1
    )
    records = sampler.stop().records
    assert [note["detail"] for note in of(records, "note")] == ["GPU 0: NVML_ERROR_GPU_IS_LOST"]
    lost = [sample for sample in samples_of(records, "gpu0") if sample["power_w"] is None]
    assert all(sample["energy_counter_j"] is None for sample in lost)
    assert {sample["reason"] for sample in lost} == {"NVML_ERROR_GPU_IS_LOST"}
    went_on = [sample for sample in samples_of(records, "gpu1") if sample["ns"] > lost[0]["ns"]]
    assert len(went_on) > 5 * len(lost)
    assert all(sample["power_w"] for sample in went_on)


@pytest.mark.parametrize("function", ["nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetUtilizationRates"])
def test_a_call_that_hangs_stops_neither_the_others_nor_the_end(sampling, function):
    sampler = sampling(FakeGpus(TWO, events=[Hang(function, 600, 0, 0.5)]))
    sampler.wait_for(lambda records: of(records, "note"))
    hung_ns = of(read_spool(sampler.directory).records, "note")[0]["ns"]
    sampler.wait_for(lambda records: len([s for s in samples_of(records, "gpu1") if s["ns"] > hung_ns]) > 5)
    records = sampler.stop().records
    assert [note["detail"] for note in of(records, "note")] == ["GPU 0: driver_hangs"]
    last = samples_of(records, "gpu0")[-1]
    assert (last["power_w"], last["energy_counter_j"], last["reason"]) == (None, None, "driver_hangs")


def test_a_gpu_that_answers_again_after_a_hang_goes_on(sampling):
    hang = Hang("nvmlDeviceGetTotalEnergyConsumption", 2.0, 0, 3.0, 4.9)  # who comes meanwhile ends later
    sampler = sampling(FakeGpus(TWO, events=[hang]))
    sampler.wait_for(lambda records: of(records, "note"))
    hung_ns = of(read_spool(sampler.directory).records, "note")[0]["ns"]
    again = lambda records: [s for s in samples_of(records, "gpu0") if s["ns"] > hung_ns and s["power_w"]]  # noqa: E731
    sampler.wait_for(lambda records: len(again(records)) > 5)
    records = sampler.stop().records
    assert len(of(records, "note")) == 1
    assert len(again(records)) > 5


@pytest.mark.parametrize("function", ["nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetMigMode"])
def test_a_gpu_that_hangs_when_it_is_opened_is_known_by_its_number(sampling, function):
    sampler = sampling(FakeGpus(TWO, events=[Hang(function, 600, 1)]))
    sampler.wait_for(lambda records: of(records, "note") and len(samples_of(records, "gpu0")) > 5)
    records = sampler.stop().records
    assert [note["detail"] for note in of(records, "note")] == ["GPU 1: driver_hangs"]
    known = {device["gpu_index"] for device in of(records, "device") if device["id"] == "gpu1"}
    assert known == {1}
    assert [sample["reason"] for sample in samples_of(records, "gpu1")] == ["driver_hangs"]


def test_a_gpu_that_is_lost_at_first_is_introduced_when_it_comes_back(sampling):
    sampler = sampling(FakeGpus(TWO, events=[Fault("*", LOST, 1, 0.0, 3.0)]))
    sampler.wait_for(lambda records: any(s["power_w"] for s in samples_of(records, "gpu1")))
    records = sampler.stop().records
    facts = [device for device in of(records, "device") if device["id"] == "gpu1"]
    assert "gpu_name" not in facts[0]
    assert facts[-1]["gpu_name"] == "tracekit fake GPU"


def test_what_a_call_that_hung_says_in_the_end_is_not_kept(sampling):
    """The counter is then of nobody knows which instant; the others' samples go on in their order."""
    hang = Hang("nvmlDeviceGetTotalEnergyConsumption", 2.0, 1, 3.0, 4.9)
    sampler = sampling(FakeGpus(TWO, events=[hang]))
    sampler.wait_for(lambda records: of(records, "note"))
    hung_ns = of(read_spool(sampler.directory).records, "note")[0]["ns"]
    sampler.wait_for(lambda records: [s for s in samples_of(records, "gpu1") if s["ns"] > hung_ns + 10**9])
    stopped = sampler.stop().directory
    records = [json.loads(line) for line in next(stopped.glob("*.jsonl")).read_text().splitlines()]
    for name in ("gpu0", "gpu1"):
        times = [record["ns"] for record in records if record["t"] == "power" and record["id"] == name]
        assert times == sorted(times)
    silent = [s for s in samples_of(records, "gpu1") if hung_ns - 0.9e9 < s["ns"] < hung_ns + 0.4e9]
    assert [sample["reason"] for sample in silent] == ["driver_hangs"]


def test_a_driver_that_hangs_from_the_start(sampling):
    sampler = sampling(FakeGpus(TWO, events=[Hang("nvmlInitWithFlags", 600)]))
    sampler.wait_for(lambda records: of(records, "note"))
    records = sampler.stop().records
    [note] = of(records, "note")
    assert (note["what"], note["detail"]) == ("power_unavailable", "driver_hangs")


def test_it_ends_with_the_process_that_started_it(library, tmp_path):
    surroundings = environment(library, FakeGpus(TWO).write(tmp_path / "play")) | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tracekit.collectors.power_sampler", "--spool", str(tmp_path)]
    program = f"import subprocess, time; p = subprocess.Popen({command!r}); print(p.pid); time.sleep(1.5)"
    parent = subprocess.run(
        [sys.executable, "-c", program],
        env=surroundings,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    pid, end_s = int(parent.stdout), time.monotonic() + 20
    while _is_running(pid) and time.monotonic() < end_s:
        time.sleep(0.02)
    assert not _is_running(pid)
    assert of(read_spool(tmp_path).records, "power")


def test_ctrl_c_is_not_for_it(sampling):
    """It belongs to the supervisor, which ends it when the agent has ended."""
    sampler = sampling(FakeGpus(TWO))
    sampler.wait_for(lambda records: of(records, "power"))
    sampler.process.send_signal(signal.SIGINT)
    count = len(of(read_spool(sampler.directory).records, "power"))
    sampler.wait_for(lambda records: len(of(records, "power")) > count + 5)
    sampler.stop()


class Missing:
    has_gpus = True

    def __init__(self, name="nowhere", reason="SOME_REASON"):
        self.name = name
        self._reason = reason

    def open(self, tell):
        raise SourceMissing(self._reason)


class Steady:
    """A source with one device that answers at once."""

    name = "steady"
    has_gpus = False
    id = "steady0"
    label = "steady"

    def __init__(self):
        self.samples = 0

    def open(self, tell):
        tell("steady", "odd")
        tell("steady", "odd")
        return [self]

    def identity(self):
        return {"device": "gpu", "gpu_index": 0}

    def facts(self):
        return self.identity() | {"mig": None}

    def sample(self, *, everything):
        self.samples += 1
        return {"power_w": 1.5, "everything": everything}

    def peek(self):
        return None, 1.5


def test_sources_are_independent(writer, tmp_path):
    device, rounds = Steady(), iter(range(3))
    assert Sampler(writer, 0.01, [Missing(), device]).run(
        lambda: next(rounds, None) is None, lambda _s: time.sleep(0.1)
    )
    records = read_spool(tmp_path / "spool").records
    assert [(note["what"], note["detail"]) for note in of(records, "note")] == [
        ("power_unavailable", "SOME_REASON"), ("power_fault", "steady: odd"),
    ]  # fmt: skip
    assert of(records, "device")[0].keys() == {"t", "ns", "id", "device", "gpu_index"}
    assert len(of(records, "power")) == device.samples > 2


@pytest.mark.parametrize("has_other_gpus", [True, False])
def test_a_missing_interface_is_told_only_where_no_other_has_gpus(writer, tmp_path, has_other_gpus):
    """A host of AMD's GPUs has no NVML, and no need of it."""
    device, looks = Steady(), iter(range(3))
    device.has_gpus = has_other_gpus
    sources = [Missing("NVML", "NO_NVML"), device, *([] if has_other_gpus else [Missing("amdsmi", "NO_AMD")])]
    Sampler(writer, 0.01, sources).run(lambda: next(looks, None) is None, lambda _s: time.sleep(0.05))
    told = [
        note["detail"]
        for note in of(read_spool(tmp_path / "spool").records, "note")
        if note["what"] == "power_unavailable"
    ]
    assert told == ([] if has_other_gpus else ["NO_NVML"])


def test_nothing_to_sample_ends_at_once(writer):
    assert not Sampler(writer, 0.01, [Missing()]).run(lambda: False, lambda _s: None)


def test_update_periods():
    period = UpdatePeriod()
    for step in range(1000):
        period.look(step * 0.002, float(step // 50))
        assert step > 0 or period.milliseconds is None
    assert period.milliseconds == pytest.approx(100)
    constant = UpdatePeriod()
    for step in range(1000):
        constant.look(step * 0.002, 70.0)
    assert constant.milliseconds is None


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False
