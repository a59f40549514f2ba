"""NVML as a meter: milliwatts to watts, and nothing where the driver says nothing."""

from types import SimpleNamespace

import pynvml
import pytest

from tracekit.measuring.meter import NoMeter, NvmlMeter, meter_of, visible_uuid


class Driver:
    """The functions of pynvml that a meter calls, for two GPUs."""

    NVMLError, NVML_SUCCESS, NVML_CLOCK_SM = pynvml.NVMLError, pynvml.NVML_SUCCESS, pynvml.NVML_CLOCK_SM
    NVML_FI_DEV_POWER_INSTANT = pynvml.NVML_FI_DEV_POWER_INSTANT

    READ = (
        "nvmlDeviceGetTotalEnergyConsumption",
        "nvmlDeviceGetFieldValues",
        "nvmlDeviceGetPowerUsage",
        "nvmlDeviceGetClockInfo",
        "nvmlDeviceGetEnforcedPowerLimit",
    )

    def __init__(self, **missing):
        self.missing = missing

    def _refuse(self, *arguments):
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    def __getattr__(self, name):
        answers = {
            "nvmlDeviceGetHandleByUUID": lambda uuid: int(uuid[-1]),
            "nvmlSystemGetDriverVersion": lambda: "570.1",
            "nvmlDeviceGetTotalEnergyConsumption": lambda gpu: 1000 * (gpu + 1),
            "nvmlDeviceGetPowerUsage": lambda gpu: 200_000,
            "nvmlDeviceGetEnforcedPowerLimit": lambda gpu: 700_000,
            "nvmlDeviceGetClockInfo": lambda gpu, kind: 1980,
            "nvmlDeviceGetFieldValues": lambda gpu, fields: [
                SimpleNamespace(nvmlReturn=0, value=SimpleNamespace(uiVal=300_000 + 100_000 * gpu))
            ],
        }
        if name in self.missing:
            return self._refuse
        return answers[name]


def test_all_its_gpus():
    meter = NvmlMeter(Driver(), ["GPU-0", "GPU-1"])
    assert (meter.energy_j(), meter.power_w(), meter.clock_mhz()) == ((1.0, 2.0), 700.0, 1980.0)
    assert meter.facts() == {"driver": "570.1", "power_limit_w": "1400", "power_source": "energy counter"}


def test_one_gpu_that_says_nothing_leaves_no_sum():
    driver = Driver()

    def of_the_first_alone(gpu):
        if gpu == 1:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return 1000

    driver.nvmlDeviceGetTotalEnergyConsumption = of_the_first_alone
    assert NvmlMeter(driver, ["GPU-0", "GPU-1"]).energy_j() is None
    assert NvmlMeter(driver, ["GPU-0"]).energy_j() == (1.0,)


def test_without_a_counter_or_an_instant_field():
    meter = NvmlMeter(Driver(nvmlDeviceGetTotalEnergyConsumption=1, nvmlDeviceGetFieldValues=1), ["GPU-0"])
    assert (meter.energy_j(), meter.power_w()) == (None, 200.0)
    assert meter.facts()["power_source"] == "instant power"


def test_a_driver_that_says_nothing():
    silent = dict.fromkeys(Driver.READ, 1)
    meter = NvmlMeter(Driver(**silent), ["GPU-0"])
    assert (meter.energy_j(), meter.power_w(), meter.clock_mhz()) == (None, None, None)
    assert meter.facts() == {"driver": "570.1"}


def test_no_gpu_no_meter():
    assert isinstance(meter_of([]), NoMeter)
    assert (NoMeter().energy_j(), NoMeter().power_w(), NoMeter().clock_mhz(), NoMeter().facts()) == (
        None,
        None,
        None,
        {},
    )


@pytest.mark.parametrize(
    ("where", "visible", "index"),
    [("cuda", None, 0), ("cuda:1", None, 1), ("cuda:1", "3,2", 2), ("cuda:0", "GPU-x", "GPU-x"), ("cuda:2", "0", None),
     ("cpu", None, None), ("cuda:0", "MIG-1", None)],
)  # fmt: skip
def test_ids_of_visible_devices(monkeypatch, where, visible, index):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda number: number)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetUUID", lambda handle: f"GPU-{handle}")
    wanted = f"GPU-{index}" if isinstance(index, int) else index
    assert visible_uuid(where) == wanted
