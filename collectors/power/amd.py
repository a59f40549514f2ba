"""AMD GPUs through amdsmi, where it is installed and finds its library."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tracekit.collectors.power.device import SourceMissing, TellFault, Values

_UNKNOWN = (0xFFFF, 0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF, "N/A", None)


class AmdSource:
    """The GPUs that amdsmi knows; none where the package or its library is missing."""

    name = "amdsmi"
    has_gpus = True

    def open(self, tell: TellFault) -> Sequence[AmdGpu]:
        try:
            import amdsmi  # noqa: PLC0415  (loads AMD's library, which few hosts have)

            amdsmi.amdsmi_init()
            handles = amdsmi.amdsmi_get_processor_handles()
        except Exception as error:  # it raises what its loader, or the library, comes up with
            raise SourceMissing(type(error).__name__) from error
        if not handles:
            raise SourceMissing("amdsmi finds no GPU")
        return [AmdGpu(amdsmi, index, handle, tell) for index, handle in enumerate(handles)]


class AmdGpu:
    """One device; a value that amdsmi calls N/A, or its type's greatest number, is unknown.

    Power is `current_socket_power` (MI300 and later), else `average_socket_power`. The energy counter is known to
    be wrong on some parts (ROCm/amdsmi issue 38): `analyze` holds it to the integrated watts.
    """

    def __init__(self, amdsmi: Any, index: int, handle: Any, tell: TellFault) -> None:
        self._amdsmi = amdsmi
        self._index = index
        self._handle = handle
        self._tell = tell
        self._reason: str | None = None

    @property
    def id(self) -> str:
        return f"amd{self._index}"

    @property
    def label(self) -> str:
        return f"AMD GPU {self._index}"

    def identity(self) -> Values:
        return {"device": "gpu", "gpu_index": self._index}

    def facts(self) -> Values:
        asic = self._try("amdsmi_get_gpu_asic_info") or {}
        return self.identity() | {
            "gpu_uuid": self._try("amdsmi_get_gpu_device_uuid"),
            "gpu_name": _known(asic, "market_name"),
            "memory_total_bytes": self._try("amdsmi_get_gpu_memory_total", "AmdSmiMemoryType.VRAM"),
        }

    def sample(self, *, everything: bool) -> Values | None:
        energy_j, watts, source = self._joules(), *self._power()
        values: Values = {"power_w": watts, "power_source": source, "energy_counter_j": energy_j}
        if watts is None or energy_j is None:
            values["reason"] = self._reason
            values["energy_reason"] = self._reason if energy_j is None else None
            self._tell(self.label, f"no {'power' if watts is None else 'energy counter'} ({self._reason})")
        return values | (self._other_values() if everything else {})

    def peek(self) -> tuple[float | None, float | None]:
        return self._joules(), self._power()[0]

    def _joules(self) -> float | None:
        count = self._try("amdsmi_get_energy_count") or {}
        ticks = _known(count, "energy_accumulator", "power")
        unit_uj = _known(count, "counter_resolution")
        if not ticks or not unit_uj:
            return None
        joules: float = ticks * unit_uj / 1e6
        return joules

    def _power(self) -> tuple[float | None, str | None]:
        info = self._try("amdsmi_get_power_info") or {}
        for key, source in (("current_socket_power", "instant"), ("average_socket_power", "average")):
            watts = _known(info, key)
            if watts:
                return float(watts), source
        return None, None

    def _other_values(self) -> Values:
        activity = self._try("amdsmi_get_gpu_activity") or {}
        busy, memory = _known(activity, "gfx_activity"), _known(activity, "umc_activity")
        clock = self._try("amdsmi_get_clock_info", "AmdSmiClkType.GFX") or {}
        celsius = self._try(
            "amdsmi_get_temp_metric", "AmdSmiTemperatureType.HOTSPOT", "AmdSmiTemperatureMetric.CURRENT"
        )
        return {
            "utilization_gpu": None if busy is None else busy / 100,
            "utilization_memory": None if memory is None else memory / 100,
            "memory_used_bytes": self._try("amdsmi_get_gpu_memory_usage", "AmdSmiMemoryType.VRAM"),
            "sm_clock_mhz": _known(clock, "clk", "cur_clk"),
            "temperature_c": celsius,
        }

    def _try(self, name: str, *constants: str) -> Any:
        """What the function answers, given names of amdsmi's constants."""
        try:
            function: Callable[..., Any] = getattr(self._amdsmi, name)
            return function(self._handle, *(_constant(self._amdsmi, text) for text in constants))
        except Exception as error:
            self._reason = str(getattr(error, "err_info", "") or type(error).__name__).split(" - ")[0]
            return None


def _constant(amdsmi: Any, text: str) -> Any:
    kind, _dot, name = text.partition(".")
    return getattr(getattr(amdsmi, kind), name)


def _known(answers: Mapping[str, Any], *keys: str) -> Any:
    """The first of the keys' values that amdsmi knows."""
    return next((answers[key] for key in keys if answers.get(key) not in _UNKNOWN), None)
