"""The sampler against a driver that lies, fails and disappears; nulls and names, never zeros."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from tracekit.collectors.inside.clock import Clock
from tracekit.collectors.inside.spool import Writer
from tracekit.collectors.power_sampler import sample_until
from tracekit.spool import read_spool

ROOT = Path(__file__).parents[3]
INSTANT, AVERAGE = pynvml.NVML_FI_DEV_POWER_INSTANT, pynvml.NVML_FI_DEV_POWER_AVERAGE


class Driver:
    """What the functions of `pynvml` answer; a missing answer is NVML_ERROR_NOT_SUPPORTED."""

    def __init__(self) -> None:
        self.gpus = 1
        self.fields: dict[int, tuple[int, int]] = {INSTANT: (0, 250_500), AVERAGE: (0, 240_000)}
        self.answers: dict[str, Any] = {
            "nvmlDeviceGetUUID": "GPU-1",
            "nvmlDeviceGetName": "NVIDIA Test",
            "nvmlDeviceGetTotalEnergyConsumption": 1_234_567,
            "nvmlDeviceGetPowerUsage": 199_000,
            "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=50, memory=25),
            "nvmlDeviceGetMemoryInfo": SimpleNamespace(used=10, total=80),
            "nvmlDeviceGetEnforcedPowerLimit": 700_000,
            "nvmlDeviceGetClockInfo": 1980,
            "nvmlDeviceGetTemperature": 40,
            "nvmlDeviceGetCurrentClocksThrottleReasons": 4,
        }

    def answer(self, name: str) -> Any:
        def function(*arguments: Any) -> Any:
            value = self.answers.get(name)
            if isinstance(value, int) and value < 0:
                raise pynvml.NVMLError(-value)
            if value is None:
                raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
            return value

        return function

    def field_values(self, handle: Any, fields: list[int]) -> Any:
        values = []
        for field in fields:
            code, value = self.fields.get(field, (pynvml.NVML_ERROR_NOT_SUPPORTED, 0))
            result = pynvml.c_nvmlFieldValue_t()
            result.nvmlReturn, result.valueType = code, pynvml.NVML_VALUE_TYPE_UNSIGNED_INT
            result.value.uiVal = value
            values.append(result)
        return values


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    driver = Driver()
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: driver.gpus)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda index: index)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetFieldValues", driver.field_values)
    for name in driver.answers:
        monkeypatch.setattr(pynvml, name, driver.answer(name))
    return driver


def samples(directory: Path, count: int = 1, kind: str = "power") -> list[dict[str, Any]]:
    """Sample so many rounds; the records."""
    left = iter(range(count - 1))
    sample_until(Writer(str(directory), Clock(), is_agent=False), 0.005, lambda: next(left, None) is None)
    return [record for record in read_spool(directory).records if record["t"] == kind]


def test_everything_is_read_in_its_unit(driver: Driver, tmp_path: Path) -> None:
    [sample] = samples(tmp_path)
    del sample["ns"], sample["host"]
    assert sample == {
        "t": "power", "gpu_index": 0, "gpu_uuid": "GPU-1", "gpu_name": "NVIDIA Test", "power_w": 250.5,
        "power_average_w": 240.0, "power_source": "instant", "energy_counter_j": 1234.567,
        "utilization_gpu": 0.5, "utilization_memory": 0.25, "memory_used_bytes": 10, "memory_total_bytes": 80,
        "sm_clock_mhz": 1980,
        "memory_clock_mhz": 1980, "temperature_c": 40, "throttle_reasons": 4, "power_limit_w": 700.0,
        "reason": None,
    }  # fmt: skip


def test_a_driver_without_instant_power(driver: Driver, tmp_path: Path) -> None:
    """The call succeeds as a whole and the one value says that it failed."""
    driver.fields = {}
    [sample] = samples(tmp_path)
    assert (sample["power_w"], sample["power_source"], sample["power_average_w"]) == (199.0, "usage", None)
    assert sample["reason"] is None


def test_unknown_is_null_with_a_reason(driver: Driver, tmp_path: Path) -> None:
    driver.fields = {}
    driver.answers = {"nvmlDeviceGetPowerUsage": -pynvml.NVML_ERROR_GPU_IS_LOST}
    [sample] = samples(tmp_path)
    assert sample["reason"] == "NVML_ERROR_GPU_IS_LOST"
    unknown = {name for name, value in sample.items() if value is None}
    assert unknown == set(sample) - {"t", "ns", "host", "gpu_index", "reason"}


def test_a_missing_counter_is_named(driver: Driver, tmp_path: Path) -> None:
    del driver.answers["nvmlDeviceGetTotalEnergyConsumption"]
    [sample] = samples(tmp_path)
    assert (sample["power_w"], sample["energy_counter_j"], sample["reason"]) == (
        250.5,
        None,
        "NVML_ERROR_NOT_SUPPORTED",
    )


def test_every_gpu_every_interval(driver: Driver, tmp_path: Path) -> None:
    driver.gpus = 3
    found = samples(tmp_path, count=4)
    assert [sample["gpu_index"] for sample in found] == [0, 1, 2] * 4
    assert [sample["ns"] for sample in found] == sorted(sample["ns"] for sample in found)


def test_no_power_is_one_note(driver: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver.gpus = 0
    [note] = samples(tmp_path, kind="note")
    assert (note["what"], note["detail"]) == ("power_unavailable", "NVML_ERROR_NOT_FOUND")

    def no_driver() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_DRIVER_NOT_LOADED)

    monkeypatch.setattr(pynvml, "nvmlInit", no_driver)
    notes = samples(tmp_path, kind="note")
    assert notes[1]["detail"] == "NVML_ERROR_DRIVER_NOT_LOADED"


def test_the_process_without_a_driver(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LD_LIBRARY_PATH": str(tmp_path)}
    command = [sys.executable, "-m", "tracekit.collectors.power_sampler", "--spool", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    spool = read_spool(tmp_path)
    kinds = [record["t"] for record in spool.records]
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    if kinds != ["note"]:
        assert set(kinds) == {"power"}  # a machine that has one


FOREVER = """
import sys, time
sys.path.insert(0, {root!r})
import pynvml
from tracekit.collectors import power_sampler
pynvml.nvmlInit = lambda: None
pynvml.nvmlDeviceGetCount = lambda: 1
pynvml.nvmlDeviceGetHandleByIndex = lambda index: index
def missing(*arguments):
    raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
for name in dir(pynvml):
    if name.startswith("nvmlDeviceGet") and name not in ("nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex"):
        setattr(pynvml, name, missing)
sys.exit(power_sampler.main(["--spool", sys.argv[1], "--interval", "0.01"]))
"""


@pytest.mark.parametrize("way", ["term", "orphaned"])
def test_the_process_ends(way: str, tmp_path: Path) -> None:
    program = tmp_path / "sampler.py"
    program.write_text(FOREVER.format(root=str(ROOT)))
    command = [sys.executable, str(program), str(tmp_path)]
    if way == "orphaned":
        command = [
            sys.executable,
            "-c",
            f"import subprocess, time; p = subprocess.Popen({command!r}); print(p.pid); time.sleep(0.6)",
        ]
    process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE)
    assert process.stdout is not None
    pid = process.pid if way == "term" else int(process.stdout.readline())
    end = time.monotonic() + 20
    while not list(tmp_path.glob("*.jsonl")) and time.monotonic() < end:
        time.sleep(0.01)
    if way == "term":
        process.terminate()
        assert process.wait(timeout=10) == 0
    else:
        process.wait(timeout=10)
        while _is_running(pid) and time.monotonic() < end:
            time.sleep(0.01)
        assert not _is_running(pid)
    process.stdout.close()
    records = read_spool(tmp_path).records
    assert {record["t"] for record in records} == {"power"}
    assert {record["reason"] for record in records} == {"NVML_ERROR_NOT_SUPPORTED"}


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def test_field_union() -> None:
    """The binding's union is read by the type the driver names."""
    from tracekit.collectors.power_sampler import _VALUE_NAMES

    value = pynvml.c_nvmlFieldValue_t()
    value.value.ullVal = 2**40
    assert getattr(value.value, _VALUE_NAMES[pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG]) == 2**40
