"""NVML as a meter of the GPUs that measure."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any


class NoMeter:
    """Where there is nothing to read."""

    def facts(self) -> Mapping[str, str]:
        return {}

    def energy_j(self) -> tuple[float, ...] | None:
        return None

    def power_w(self) -> float | None:
        return None

    def clock_mhz(self) -> float | None:
        return None


class NvmlMeter:
    """The GPUs of these ids. Raises NVMLError where the driver does not know one."""

    def __init__(self, nvml: Any, uuids: Sequence[str]) -> None:
        self._nvml = nvml
        self._handles = [nvml.nvmlDeviceGetHandleByUUID(uuid) for uuid in uuids]

    def facts(self) -> Mapping[str, str]:
        limits_mw = self._each(self._nvml.nvmlDeviceGetEnforcedPowerLimit)
        source = "energy counter" if self.energy_j() is not None else "instant power"
        known = {
            "driver": _text(self._nvml.nvmlSystemGetDriverVersion()),
            "power_limit_w": "" if limits_mw is None else f"{sum(limits_mw) / 1000:g}",
            "power_source": source if self.energy_j() is not None or self.power_w() is not None else "",
        }
        return {name: value for name, value in known.items() if value}

    def energy_j(self) -> tuple[float, ...] | None:
        energies_mj = self._each(self._nvml.nvmlDeviceGetTotalEnergyConsumption)
        return None if energies_mj is None else tuple(energy_mj / 1000 for energy_mj in energies_mj)

    def power_w(self) -> float | None:
        """The instant field; `nvmlDeviceGetPowerUsage`, a mean of a second on most GPUs, where it is missing."""
        powers_mw = self._each(self._instant_mw) or self._each(self._nvml.nvmlDeviceGetPowerUsage)
        return None if powers_mw is None else sum(powers_mw) / 1000

    def clock_mhz(self) -> float | None:
        clocks_mhz = self._each(
            lambda handle: self._nvml.nvmlDeviceGetClockInfo(handle, self._nvml.NVML_CLOCK_SM)
        )
        return None if clocks_mhz is None else sum(clocks_mhz) / len(clocks_mhz)

    def _instant_mw(self, handle: Any) -> float:
        nvml = self._nvml
        [value] = nvml.nvmlDeviceGetFieldValues(handle, [nvml.NVML_FI_DEV_POWER_INSTANT])
        if value.nvmlReturn != nvml.NVML_SUCCESS:
            raise nvml.NVMLError(value.nvmlReturn)
        return float(value.value.uiVal)

    def _each(self, read: Callable[[Any], float]) -> list[float] | None:
        """Of every GPU, or of none: a sum without one of them would be of fewer GPUs than measure."""
        try:
            return [float(read(handle)) for handle in self._handles]
        except (self._nvml.NVMLError, AttributeError):
            return None


def meter_of(uuids: Sequence[str]) -> NvmlMeter | NoMeter:
    """The meter of CUDA devices by their ids; none for none, or where NVML does not answer."""
    if not uuids:
        return NoMeter()
    try:
        import pynvml as nvml  # noqa: PLC0415  (a host without it has no meter)

        nvml.nvmlInit()
        return NvmlMeter(nvml, uuids)
    except Exception:  # no library, no driver, no rights: points are measured without watts
        return NoMeter()


def visible_uuid(where: str) -> str | None:
    """The id of a CUDA device as NVML counts, told without touching it; None where that cannot be told."""
    kind, _, number = where.partition(":")
    if kind != "cuda" or not (number or "0").isdecimal():
        return None
    index = int(number or 0)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        names = visible.split(",")
        name = names[index].strip() if index < len(names) else ""
        if name.startswith("GPU-"):
            return name
        if not name.isdecimal():
            return None
        index = int(name)
    try:
        import pynvml as nvml  # noqa: PLC0415

        nvml.nvmlInit()
        return _text(nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetHandleByIndex(index)))
    except Exception:  # as above
        return None


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
