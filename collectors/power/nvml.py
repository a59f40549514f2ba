"""NVIDIA GPUs through NVML: every value on its own, null with the driver's name of the reason where it fails."""

from __future__ import annotations

import ctypes
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from tracekit.collectors.power.device import SourceMissing, TellFault, Values
from tracekit.collectors.power.nvml_fields import Numbers, PowerFields

GPU_SCOPE, MODULE_SCOPE = 0, 1
READS_ZERO = "reads_zero"
"""Our reason where a driver says 0 W or 0 J and means that it does not know."""
RETRY_SECONDS = 1.0
PROCESS_SECONDS = 1.0
_USED = 2
"""The place in nvmlMemory_t: total, free, used."""
_LOST = ("GPU_IS_LOST", "RESET_REQUIRED", "GPU_NOT_FOUND", "UNINITIALIZED")
_FOR_GOOD = ("NVML_ERROR_NOT_SUPPORTED", "NVML_ERROR_FUNCTION_NOT_FOUND", "NVML_ERROR_INVALID_ARGUMENT")


class NvmlSource:
    """The GPUs that the NVIDIA driver of this host knows."""

    name = "NVML"
    has_gpus = True

    def open(self, tell: TellFault) -> Sequence[NvmlGpu]:
        """Every GPU, whatever CUDA_VISIBLE_DEVICES says; each is opened when it is asked first, and may hang there."""
        try:
            import pynvml  # noqa: PLC0415  (a host without it gets a note, not a traceback)
        except ImportError as error:
            raise SourceMissing("nvidia-ml-py is not installed") from error
        try:
            pynvml.nvmlInit()
            count = pynvml.nvmlDeviceGetCount()
        except pynvml.NVMLError as error:
            raise SourceMissing(error_name(pynvml, error)) from error
        if not count:
            raise SourceMissing("NVML_ERROR_NOT_FOUND")
        return [NvmlGpu(pynvml, index, tell) for index in range(count)]


class NvmlGpu:
    """One device; each value may be missing on its own.

    Parameters
    ----------
    nvml : the module `pynvml`.
    index : the device's number on this host.
    tell : called once for each thing that is wrong.
    """

    def __init__(self, nvml: Any, index: int, tell: TellFault) -> None:
        self._nvml = nvml
        self._index = index
        self._tell = tell
        self._handle: Any = None
        self._uuid: str | None = None
        self._scope: int | None = GPU_SCOPE
        self._reason: str | None = None
        self._last_counter_j = 0.0
        self._retry_at = 0.0
        self._processes_at = 0.0
        self._is_lost = False
        self._is_opened = False
        self._codes = _names(nvml)
        self._lost_codes = {getattr(nvml, f"NVML_ERROR_{name}", None) for name in _LOST}
        self._power_fields = PowerFields(nvml)
        long, short = ctypes.c_ulonglong, ctypes.c_uint
        self._energy = Numbers(nvml, "nvmlDeviceGetTotalEnergyConsumption", long)
        self._utilization = Numbers(nvml, "nvmlDeviceGetUtilizationRates", short, count=2)
        self._memory = Numbers(nvml, "nvmlDeviceGetMemoryInfo", long, count=3)
        self._sm_clock = Numbers(nvml, "nvmlDeviceGetClockInfo", short, nvml.NVML_CLOCK_SM)
        self._memory_clock = Numbers(nvml, "nvmlDeviceGetClockInfo", short, nvml.NVML_CLOCK_MEM)
        self._temperature = Numbers(nvml, "nvmlDeviceGetTemperature", short, nvml.NVML_TEMPERATURE_GPU)
        self._throttling = Numbers(nvml, "nvmlDeviceGetCurrentClocksThrottleReasons", long)
        self._power_limit = Numbers(nvml, "nvmlDeviceGetEnforcedPowerLimit", short)

    @property
    def id(self) -> str:
        return f"gpu{self._index}"

    @property
    def label(self) -> str:
        return f"GPU {self._index}"

    def identity(self) -> Values:
        return {"device": "gpu", "gpu_index": self._index}

    def facts(self) -> Values:
        nvml = self._nvml
        if not self._is_opened:
            self._open()
        mig = self._try(nvml.nvmlDeviceGetMigMode)
        is_mig = None if mig is None else bool(mig[0])
        if is_mig:
            self._tell(self.label, "MIG is on: power and counter are the whole GPU's, utilization is unknown")
        memory = self._try(nvml.nvmlDeviceGetMemoryInfo)
        return self.identity() | {
            "gpu_uuid": self._uuid,
            "gpu_name": self._try(nvml.nvmlDeviceGetName),
            "mig": is_mig,
            "memory_total_bytes": None if memory is None else memory.total,
        }

    def sample(self, *, everything: bool) -> Values | None:
        if self._is_lost and time.monotonic() < self._retry_at:
            return None
        if self._is_lost or not self._is_opened:
            self._open()
        energy_j = self._counter_j()
        energy_reason = self._reason
        watts, source, average_w = self._power()
        values: Values = {
            "power_w": watts,
            "power_source": source,
            "power_average_w": average_w,
            "energy_counter_j": energy_j,
        }
        if watts is None or energy_j is None:
            values["reason"] = self._reason if watts is None else energy_reason
            values["energy_reason"] = energy_reason
            self._tell_missing(watts, energy_j, values["reason"], energy_reason)
        if everything and not self._is_lost:
            values |= self._other_values()
        return values

    def peek(self) -> tuple[float | None, float | None]:
        return self._counter_j(), self._power()[0]

    def _open(self) -> None:
        """Take hold of the device, by its identity once that is known: indices shift when another is unplugged."""
        nvml = self._nvml
        self._reason = None
        self._is_lost = False
        self._is_opened = True
        try:
            if self._uuid is None:
                self._handle = nvml.nvmlDeviceGetHandleByIndex(self._index)
                self._uuid = self._try(nvml.nvmlDeviceGetUUID)
            else:
                self._handle = nvml.nvmlDeviceGetHandleByUUID(self._uuid.encode())
        except nvml.NVMLError as error:
            self._failed(error)
            self._lose(self._reason)

    def _lose(self, reason: str | None) -> None:
        self._is_lost = True
        self._retry_at = time.monotonic() + RETRY_SECONDS
        self._tell(self.label, reason or "lost")

    def _tell_missing(
        self, watts: float | None, energy_j: float | None, reason: str | None, energy_reason: str | None
    ) -> None:
        if self._is_lost:
            return
        if watts is None:
            self._tell(self.label, f"no power ({reason})")
        if energy_j is None and energy_reason != READS_ZERO:
            self._tell(self.label, f"no energy counter ({energy_reason})")

    def _counter_j(self) -> float | None:
        counter_mj = self._try(self._energy.read)
        if counter_mj is None:
            return None
        counter_j: float = counter_mj[0] / 1000
        if not counter_j:
            self._reason = READS_ZERO
            return None
        if counter_j < self._last_counter_j:
            self._tell(self.label, "the energy counter went back (reset, or driver reloaded)")
        self._last_counter_j = counter_j
        return counter_j

    def _power(self) -> tuple[float | None, str | None, float | None]:
        """Watts, what they are, and the driver's average: from one call where the fields are known."""
        average_w = None
        if self._scope is not None:
            instant_w, average_w = self._fields()
            if instant_w:
                return instant_w, "instant" if self._scope == GPU_SCOPE else "module", average_w
        usage_mw = self._try(self._nvml.nvmlDeviceGetPowerUsage)
        if not usage_mw:
            self._reason = READS_ZERO if usage_mw == 0 else self._reason
            return None, None, average_w
        return usage_mw / 1000, "usage", average_w

    def _fields(self) -> tuple[float | None, float | None]:
        """Instant and average watts of nvmlDeviceGetFieldValues, which succeeds while single values fail."""
        fields = self._try(self._power_fields.read_mw, self._scope)
        if fields is None:
            if self._reason in _FOR_GOOD:
                self._scope = None
            return None, None
        code, instant_mw, average_code, average_mw = fields
        average_w = self._watts(average_code, average_mw)
        instant_w = self._watts(code, instant_mw)
        if code and self._reason in _FOR_GOOD:
            # on Grace Hopper the module's power is what there is, with the CPU in it
            self._scope = MODULE_SCOPE if self._scope == GPU_SCOPE else None
        return instant_w, average_w

    def _watts(self, code: int, milliwatts: float | None) -> float | None:
        if code:
            self._reason = self._codes.get(code, f"NVML_ERROR_{code}")
            return None
        return milliwatts / 1000 if milliwatts is not None and 0 < milliwatts < math.inf else None

    def _other_values(self) -> Values:
        utilization = self._try(self._utilization.read)
        why = None if utilization is not None else self._reason
        memory_bytes, limit_mw = self._try(self._memory.read), self._try(self._power_limit.read)
        values: Values = {
            "utilization_gpu": None if utilization is None else utilization[0] / 100,
            "utilization_memory": None if utilization is None else utilization[1] / 100,
            "utilization_reason": why,
            "memory_used_bytes": None if memory_bytes is None else memory_bytes[_USED],
            "sm_clock_mhz": self._number(self._sm_clock),
            "memory_clock_mhz": self._number(self._memory_clock),
            "temperature_c": self._number(self._temperature),
            "throttle_reasons": self._number(self._throttling),
            "power_limit_w": None if limit_mw is None else limit_mw[0] / 1000,
        }
        return values | self._process_values()

    def _number(self, numbers: Numbers) -> int | None:
        held = self._try(numbers.read)
        return None if held is None else held[0]

    def _process_values(self) -> Values:
        """The processes on the GPU and their memory, once a second: the list is costly."""
        now = time.monotonic()
        if now < self._processes_at:
            return {}
        self._processes_at = now + PROCESS_SECONDS
        found = self._try(self._nvml.nvmlDeviceGetComputeRunningProcesses)
        if found is None:
            return {}
        return {
            "process_pids": [process.pid for process in found],
            "process_memory_bytes": [process.usedGpuMemory for process in found],
        }

    def _try(self, function: Callable[..., Any], *arguments: Any) -> Any:
        if self._handle is None or self._is_lost:
            return None
        try:
            return function(self._handle, *arguments)
        except self._nvml.NVMLError as error:
            self._failed(error)
            if getattr(error, "value", None) in self._lost_codes:
                self._lose(self._reason)
        except Exception as error:  # an old driver without the function, a value the binding cannot read
            self._reason = type(error).__name__
        return None

    def _failed(self, error: Any) -> None:
        code = getattr(error, "value", None)
        self._reason = self._codes.get(code, f"NVML_ERROR_{code}")


def error_name(nvml: Any, error: Any) -> str:
    """NVML's own name of an error, such as NVML_ERROR_NOT_SUPPORTED."""
    code = getattr(error, "value", None)
    return _names(nvml).get(code, f"NVML_ERROR_{code}")


def _names(nvml: Any) -> dict[Any, str]:
    return {getattr(nvml, name): name for name in dir(nvml) if name.startswith("NVML_ERROR_")}
