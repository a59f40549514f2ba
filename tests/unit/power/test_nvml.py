"""One GPU through nvidia-ml-py: each value in its unit, or null with the driver's reason; never a zero."""

import pynvml
import pytest

from tracekit.collectors.power.nvml import NvmlSource
from tracekit.demo.fake_gpu import CounterReset, FakeGpus, Fault, PowerStep

NOT_SUPPORTED, NO_PERMISSION, LOST = (
    pynvml.NVML_ERROR_NOT_SUPPORTED,
    pynvml.NVML_ERROR_NO_PERMISSION,
    pynvml.NVML_ERROR_GPU_IS_LOST,
)
COUNTER, USAGE = "nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetPowerUsage"
STEPS = [PowerStep(0, (250.5, 90.0)), PowerStep(10, (350.0, 90.0))]


@pytest.fixture
def opened(play):
    """The GPUs that a play has, what they told, and what sets the time."""

    def start(**words):
        told = []
        set_time = play(FakeGpus(**({"steps": STEPS} | words)))
        return NvmlSource().open(lambda label, what: told.append((label, what))), told, set_time

    return start


def test_everything_is_read_in_its_unit(opened):
    (gpu, _other), told, set_time = opened(processes=[(0, 42, 10**9), (1, 43, 5)], memory_bytes=(80, 10))
    set_time(5.0)
    assert gpu.facts() == {
        "device": "gpu", "gpu_index": 0, "gpu_uuid": "GPU-fake0000-0000-0000-0000-000000000000",
        "gpu_name": "tracekit fake GPU", "mig": False, "memory_total_bytes": 80,
    }  # fmt: skip
    assert gpu.sample(everything=True) == {
        "power_w": 250.5, "power_source": "instant", "power_average_w": 250.5, "energy_counter_j": 6252.5,
        "utilization_gpu": 1.0, "utilization_memory": 0.5, "utilization_reason": None, "memory_used_bytes": 10,
        "sm_clock_mhz": 1980, "memory_clock_mhz": 2619, "temperature_c": 48, "throttle_reasons": 0,
        "power_limit_w": 700.0, "process_pids": [42], "process_memory_bytes": [10**9],
    }  # fmt: skip
    assert gpu.sample(everything=False).keys() == {
        "power_w", "power_source", "power_average_w", "energy_counter_j",
    }  # fmt: skip
    assert told == []


def test_instant_and_average_are_told_apart(opened):
    (gpu, _other), _told, set_time = opened()
    set_time(10.5)
    values = gpu.sample(everything=False)
    assert (values["power_w"], values["power_average_w"]) == (350.0, pytest.approx((250.5 + 350) / 2))


def test_a_driver_without_the_fields_has_its_usage(opened):
    fields = [Fault("field:186", NOT_SUPPORTED), Fault("field:185", NOT_SUPPORTED)]
    (gpu, _other), told, set_time = opened(events=fields)
    set_time(10.5)
    for _ in range(3):
        values = gpu.sample(everything=False)
    assert (values["power_w"], values["power_source"]) == (pytest.approx((250.5 + 350) / 2), "usage")
    assert values["power_average_w"] is None
    assert (values.get("reason"), told) == (None, [])


@pytest.mark.parametrize("code", [NOT_SUPPORTED, pynvml.NVML_ERROR_FUNCTION_NOT_FOUND])
def test_an_old_driver_without_the_call_for_fields(opened, code):
    (gpu, _other), _told, _set_time = opened(events=[Fault("nvmlDeviceGetFieldValues", code)])
    assert [gpu.sample(everything=False)["power_source"] for _ in range(2)] == ["usage", "usage"]


def test_a_field_that_fails_once_is_asked_again(opened):
    fault = Fault("field:186", pynvml.NVML_ERROR_UNKNOWN, until_s=1.0)
    (gpu, _other), _told, set_time = opened(events=[fault])
    assert gpu.sample(everything=False)["power_source"] == "usage"
    set_time(1.0)
    assert gpu.sample(everything=False)["power_source"] == "instant"


def test_on_grace_hopper_the_module_answers(opened):
    (gpu, _other), _told, _set_time = opened(scope="module")
    values = [gpu.sample(everything=False) for _ in range(2)][-1]
    assert (values["power_w"], values["power_source"]) == (250.5, "module")


@pytest.mark.parametrize(
    ("code", "name"),
    [(NOT_SUPPORTED, "NVML_ERROR_NOT_SUPPORTED"), (NO_PERMISSION, "NVML_ERROR_NO_PERMISSION")],
)
def test_a_missing_counter_is_null_and_told_once(opened, code, name):
    """As on many virtual GPUs, and on those before Volta."""
    (gpu, other), told, _set_time = opened(events=[Fault(COUNTER, code, 0)])
    for _ in range(3):
        values = gpu.sample(everything=False)
    assert (values["power_w"], values["energy_counter_j"]) == (250.5, None)
    assert (values["reason"], values["energy_reason"]) == (name, name)
    assert set(told) == {("GPU 0", f"no energy counter ({name})")}
    assert other.sample(everything=False)["energy_counter_j"] is not None


def test_no_power_is_null_and_told(opened):
    events = [Fault(function, NO_PERMISSION) for function in (USAGE, "field:186", "field:185")]
    (gpu, _other), told, _set_time = opened(events=events)
    values = gpu.sample(everything=True)
    assert (values["power_w"], values["power_source"], values["reason"]) == (
        None,
        None,
        "NVML_ERROR_NO_PERMISSION",
    )
    assert values["energy_counter_j"] is not None
    assert values["utilization_gpu"] is not None
    assert ("GPU 0", "no power (NVML_ERROR_NO_PERMISSION)") in told


def test_a_zero_is_no_reading(opened):
    (gpu, _other), told, _set_time = opened(steps=[PowerStep(0, (0.0, 0.0))], counter_start_j=0.0)
    values = gpu.sample(everything=False)
    assert (values["power_w"], values["energy_counter_j"], values["reason"]) == (None, None, "reads_zero")
    assert told == [("GPU 0", "no power (reads_zero)")]


def test_every_function_may_fail_on_its_own(opened):
    """Whatever fails, the rest is read."""
    functions = {
        "nvmlDeviceGetUtilizationRates": {"utilization_gpu", "utilization_memory"},
        "nvmlDeviceGetMemoryInfo": {"memory_used_bytes"},
        "nvmlDeviceGetEnforcedPowerLimit": {"power_limit_w"},
        "nvmlDeviceGetClockInfo": {"sm_clock_mhz", "memory_clock_mhz"},
        "nvmlDeviceGetTemperature": {"temperature_c"},
        "nvmlDeviceGetCurrentClocksThrottleReasons": {"throttle_reasons"},
    }
    events = [Fault(name, 999, from_s=i, until_s=i + 1) for i, name in enumerate(functions)]
    (gpu, _other), told, set_time = opened(events=events)
    for at_s, unknown in enumerate(functions.values()):
        set_time(at_s + 0.5)
        values = gpu.sample(everything=True)
        assert {name for name, value in values.items() if value is None} - {"utilization_reason"} == unknown
        assert values["utilization_reason"] == ("NVML_ERROR_UNKNOWN" if at_s == 0 else None)
    assert told == []


def test_mig_is_told_and_its_utilization_unknown(opened):
    (gpu, other), told, _set_time = opened(mig=[0])
    assert (gpu.facts()["mig"], other.facts()["mig"]) == (True, False)
    values = gpu.sample(everything=True)
    assert (values["utilization_gpu"], values["utilization_reason"]) == (None, "NVML_ERROR_NOT_SUPPORTED")
    assert values["power_w"] == 250.5
    assert [label for label, what in told if "MIG" in what] == ["GPU 0"]


@pytest.mark.parametrize("code", [LOST, pynvml.NVML_ERROR_RESET_REQUIRED, pynvml.NVML_ERROR_GPU_NOT_FOUND])
def test_a_lost_gpu_is_null_and_comes_back(opened, monkeypatch, code):
    """Lost, to be reset, or unplugged: asked again once a second, by its identity."""
    now = [100.0]
    monkeypatch.setattr("tracekit.collectors.power.nvml.time.monotonic", lambda: now[0])
    (gpu, other), told, set_time = opened(events=[Fault("*", code, 0, 1.0, 2.0)])
    gpu.sample(everything=True)
    set_time(1.5)
    values = gpu.sample(everything=True)
    assert set(values) == {
        "power_w", "power_source", "power_average_w", "energy_counter_j", "reason", "energy_reason",
    }  # fmt: skip
    name = next(
        name for name in dir(pynvml) if name.startswith("NVML_ERROR_") and getattr(pynvml, name) == code
    )
    assert (values["reason"], values["power_w"], values["energy_counter_j"]) == (name, None, None)
    assert gpu.sample(everything=True) is None  # not now
    assert other.sample(everything=True)["power_w"] == 90.0
    now[0] += 1.0
    assert gpu.sample(everything=True)["reason"] == name
    set_time(2.0)
    now[0] += 1.0
    assert gpu.sample(everything=True)["power_w"] == 250.5
    assert set(told) == {("GPU 0", name)}


def test_a_gpu_that_is_lost_from_the_start(opened):
    (gpu, other), told, _set_time = opened(events=[Fault("*", LOST, 0)])
    assert gpu.facts()["gpu_uuid"] is None
    assert gpu.sample(everything=True) is None
    assert other.sample(everything=True)["power_w"] == 90.0
    assert told == [("GPU 0", "NVML_ERROR_GPU_IS_LOST")]


def test_a_counter_that_goes_back_is_told(opened):
    (gpu, _other), told, set_time = opened(events=[CounterReset(0, 2.0)])
    for at_s in (1.0, 1.9, 2.1, 2.5):
        set_time(at_s)
        values = gpu.sample(everything=False)
    assert values["energy_counter_j"] == pytest.approx(0.5 * 250.5)
    assert told == [("GPU 0", "the energy counter went back (reset, or driver reloaded)")]
