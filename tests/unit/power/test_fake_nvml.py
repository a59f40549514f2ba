"""The fake library against arithmetic: energy to the millijoule, readings by window and update, faults by time."""

import pynvml
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracekit.demo.fake_gpu import CounterJump, CounterReset, FakeGpus, Fault, PowerStep

STEPS = [PowerStep(0, (70.0, 90.0)), PowerStep(1.5, (350.0, 90.0)), PowerStep(2.25, (100.0, 90.0))]


def watts(field):
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    (value,) = pynvml.nvmlDeviceGetFieldValues(handle, [field])
    assert value.nvmlReturn == pynvml.NVML_SUCCESS
    return value.value.uiVal / 1000


def counter_j(index=0):
    return pynvml.nvmlDeviceGetTotalEnergyConsumption(pynvml.nvmlDeviceGetHandleByIndex(index)) / 1000


def test_energy_is_watts_times_seconds():
    assert FakeGpus(STEPS).energy_j(0, 1.0, 3.0) == pytest.approx(0.5 * 70 + 0.75 * 350 + 0.75 * 100)
    assert FakeGpus(STEPS).energy_j(1, 1.0, 3.0) == pytest.approx(180)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.floats(0.01, 2), st.floats(20, 700)), min_size=1, max_size=30), st.floats(0, 30))
def test_the_counter_is_exact_between_updates(play, pieces, at_s):
    steps, start_s = [], 0.0
    for length_s, level_w in pieces:
        steps.append(PowerStep(start_s, (level_w,)))
        start_s += length_s
    gpus = FakeGpus(steps, update_ms=0, counter_start_j=123.0)
    play(gpus)(at_s)
    assert counter_j() - 123.0 == pytest.approx(gpus.energy_j(0, 0, at_s), abs=0.0011)


def test_readings_are_means_over_their_windows(play):
    set_time = play(FakeGpus(STEPS, update_ms=100, window_ms=50, average_ms=1000))
    set_time(1.54)
    assert watts(pynvml.NVML_FI_DEV_POWER_INSTANT) == 70  # renewed at 1.5 s, over what was before
    set_time(1.6)
    assert watts(pynvml.NVML_FI_DEV_POWER_INSTANT) == 350
    assert watts(pynvml.NVML_FI_DEV_POWER_AVERAGE) == pytest.approx(0.9 * 70 + 0.1 * 350)
    set_time(2.3)
    assert watts(pynvml.NVML_FI_DEV_POWER_INSTANT) == pytest.approx(100)
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    assert pynvml.nvmlDeviceGetPowerUsage(handle) / 1000 == pytest.approx(0.2 * 70 + 0.75 * 350 + 0.05 * 100)


def test_the_counter_can_be_reset_jump_and_be_wrong(play):
    events = [CounterReset(0, 1.0), CounterJump(0, 2.0, -10.0)]
    set_time = play(
        FakeGpus([PowerStep(0, (100.0, 100.0))], counter_gain=0.5, counter_start_j=7, events=events)
    )
    expected = {0.9: 7 + 45, 1.0: 0, 1.9: 45, 2.0: 40}
    for at_s, joules in expected.items():
        set_time(at_s)
        assert counter_j() == pytest.approx(joules, abs=0.0011)
        assert counter_j(1) == pytest.approx(7 + 50 * at_s, abs=0.0011)


def test_a_sampled_counter_sums_windows(play):
    """A load that the driver's windows never meet: half of the time 300 W, and none of it is counted."""
    steps = [PowerStep(0.1 * i / 2, (300.0 if i % 2 == 0 else 100.0,)) for i in range(40)]
    set_time = play(FakeGpus(steps, window_ms=25, counter_is_sampled=True, counter_start_j=0))
    set_time(2.0)
    assert counter_j() == pytest.approx(200, abs=0.0011)


def test_faults_hold_for_their_gpu_and_time(play):
    set_time = play(
        FakeGpus(
            STEPS, events=[Fault("nvmlDeviceGetPowerUsage", pynvml.NVML_ERROR_NOT_SUPPORTED, 1, 1.0, 2.0)]
        )
    )
    first, second = (pynvml.nvmlDeviceGetHandleByIndex(index) for index in (0, 1))
    for at_s, fails in ((0.9, False), (1.0, True), (2.0, False)):
        set_time(at_s)
        assert pynvml.nvmlDeviceGetPowerUsage(first) > 0
        if fails:
            with pytest.raises(pynvml.NVMLError_NotSupported):
                pynvml.nvmlDeviceGetPowerUsage(second)
        else:
            assert pynvml.nvmlDeviceGetPowerUsage(second) > 0


def test_it_says_that_it_is_a_fake(play):
    play(FakeGpus(STEPS))
    assert "fake" in pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(0))
    assert "fake" in pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetHandleByIndex(0))
    assert "fake" in pynvml.nvmlSystemGetDriverVersion()
