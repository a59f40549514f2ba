"""The process that reads the GPUs' power while an agent runs: NVML only, nulls for what it cannot know."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tracekit.collectors.inside.clock import Clock
from tracekit.collectors.inside.spool import Writer

SHORTEST_INTERVAL_S = 0.005
_VALUE_NAMES = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")  # by NVML_VALUE_TYPE_*


class Gpu:
    """One device, read value by value: each may be missing on its own, and says why once a sample.

    Parameters
    ----------
    nvml : the module `pynvml`.
    index : the device's number on this host.
    """

    def __init__(self, nvml: Any, index: int) -> None:
        self._nvml = nvml
        self._index = index
        self._handle = nvml.nvmlDeviceGetHandleByIndex(index)
        self._uuid = self._try(nvml.nvmlDeviceGetUUID)
        self._name = self._try(nvml.nvmlDeviceGetName)
        self._reason: str | None = None

    def sample(self) -> dict[str, Any]:
        """The keys of a `power` record."""
        nvml = self._nvml
        self._reason = None
        watts, source = self._power()
        power_reason = self._reason
        energy_mj = self._try(nvml.nvmlDeviceGetTotalEnergyConsumption)
        energy_reason = self._reason
        utilization = self._try(nvml.nvmlDeviceGetUtilizationRates)
        memory = self._try(nvml.nvmlDeviceGetMemoryInfo)
        limit_mw = self._try(nvml.nvmlDeviceGetEnforcedPowerLimit)
        return {
            "gpu_index": self._index,
            "gpu_uuid": self._uuid,
            "gpu_name": self._name,
            "power_w": watts,
            "power_average_w": _thousandth(self._field("NVML_FI_DEV_POWER_AVERAGE")),
            "power_source": source,
            "energy_counter_j": _thousandth(energy_mj),
            "utilization_gpu": None if utilization is None else utilization.gpu / 100,
            "utilization_memory": None if utilization is None else utilization.memory / 100,
            "memory_used_bytes": None if memory is None else memory.used,
            "memory_total_bytes": None if memory is None else memory.total,
            "sm_clock_mhz": self._try(nvml.nvmlDeviceGetClockInfo, nvml.NVML_CLOCK_SM),
            "memory_clock_mhz": self._try(nvml.nvmlDeviceGetClockInfo, nvml.NVML_CLOCK_MEM),
            "temperature_c": self._try(nvml.nvmlDeviceGetTemperature, nvml.NVML_TEMPERATURE_GPU),
            "throttle_reasons": self._try(nvml.nvmlDeviceGetCurrentClocksThrottleReasons),
            "power_limit_w": _thousandth(limit_mw),
            "reason": power_reason if watts is None else energy_reason if energy_mj is None else None,
        }

    def _power(self) -> tuple[float | None, str | None]:
        instant = _thousandth(self._field("NVML_FI_DEV_POWER_INSTANT"))
        if instant is not None:
            return instant, "instant"
        usage = _thousandth(self._try(self._nvml.nvmlDeviceGetPowerUsage))
        return usage, None if usage is None else "usage"

    def _field(self, name: str) -> Any:
        """One value of nvmlDeviceGetFieldValues, which succeeds as a whole while single values fail."""
        field = getattr(self._nvml, name, None)
        values = None if field is None else self._try(self._nvml.nvmlDeviceGetFieldValues, [field])
        if not values:
            return None
        value = values[0]
        if value.nvmlReturn != self._nvml.NVML_SUCCESS:
            self._reason = _code_name(self._nvml, value.nvmlReturn)
            return None
        if not 0 <= value.valueType < len(_VALUE_NAMES):
            return None
        return getattr(value.value, _VALUE_NAMES[value.valueType])

    def _try(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(self._handle, *arguments)
        except self._nvml.NVMLError as error:
            self._reason = error_name(self._nvml, error)
        except Exception as error:  # an old driver without the function, a value the binding cannot read
            self._reason = type(error).__name__
        return None


def error_name(nvml: Any, error: Any) -> str:
    """NVML's own name of an error, such as NVML_ERROR_NOT_SUPPORTED."""
    return _code_name(nvml, getattr(error, "value", None))


def _code_name(nvml: Any, code: Any) -> str:
    for name in dir(nvml):
        if name.startswith("NVML_ERROR_") and getattr(nvml, name) == code:
            return name
    return f"NVML_ERROR_{code}"


def _thousandth(value: Any) -> float | None:
    return None if value is None else value / 1000


def sample_until(writer: Writer, interval_s: float, is_over: Callable[[], bool]) -> bool:
    """Write a `power` record per GPU and interval until `is_over`.

    Returns
    -------
    whether there is power to read; if not, one note says why.
    """
    try:
        import pynvml as nvml  # noqa: PLC0415  (a host without it gets a note, not a traceback)
    except ImportError:
        writer.note("power_unavailable", "nvidia-ml-py is not installed")
        return False
    try:
        nvml.nvmlInit()
        gpus = [Gpu(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]
    except nvml.NVMLError as error:
        writer.note("power_unavailable", error_name(nvml, error))
        return False
    if not gpus:
        writer.note("power_unavailable", "NVML_ERROR_NOT_FOUND")
        return False
    _sample(writer, gpus, max(interval_s, SHORTEST_INTERVAL_S), is_over)
    return True


def _sample(writer: Writer, gpus: Sequence[Gpu], interval_s: float, is_over: Callable[[], bool]) -> None:
    host = platform.node()
    due = time.monotonic()
    while True:
        for gpu in gpus:
            ns = writer.clock.now_ns()
            writer.write("power", ns, {"host": host, **gpu.sample()})
        if is_over():
            return
        due = max(due + interval_s, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Sample until the process that started this one is gone, or SIGTERM."""
    parser = argparse.ArgumentParser(prog="power_sampler", description=__doc__)
    parser.add_argument("--spool", type=Path, required=True, help="directory that the records go to")
    parser.add_argument("--interval", type=float, default=0.05, help="seconds between samples")
    options = parser.parse_args(arguments)
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()
    writer = Writer(str(options.spool), Clock(os.environ.get("TRACEKIT_CLOCK")), is_agent=False)
    sample_until(writer, options.interval, lambda: bool(stopped) or os.getppid() != parent)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
