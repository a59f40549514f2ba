"""What NVML is asked all the time: structures made once, and read without what the binding adds to each call."""

from __future__ import annotations

import struct
from typing import Any

_VALUE_NAMES = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")  # by NVML_VALUE_TYPE_*
_UNSIGNED_INT = 1
_TYPE_CODE_VALUE = struct.Struct("@24xiiI4x24xiiI4x")
"""Of two c_nvmlFieldValue_t; the value as an unsigned int, which powers are."""


class PowerFields:
    """Instant and average power of one device, by one call of nvmlDeviceGetFieldValues.

    The binding's own function makes the structures anew at every call, and its structures read each of their fields by
    a function in Python: together most of what a sample took.

    Parameters
    ----------
    nvml : the module `pynvml`.
    """

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        self._get: Any = None
        self._fields: Any = (nvml.c_nvmlFieldValue_t * 2)()
        instant, average = self._fields
        instant.fieldId, average.fieldId = nvml.NVML_FI_DEV_POWER_INSTANT, nvml.NVML_FI_DEV_POWER_AVERAGE
        self._scope = instant.scopeId

    def read_mw(self, handle: Any, scope: int) -> tuple[int, float | None, int, float | None]:
        """The instant power's return code and milliwatts, then the average's.

        Milliwatts mean nothing beside a code that is not 0, and are None if their type is not one of NVML's.

        Raises
        ------
        NVMLError : the call as a whole failed, or the driver is too old to know field values.
        """
        if self._get is None:
            self._get = self._nvml._nvmlGetFunctionPointer("nvmlDeviceGetFieldValues")
        if scope != self._scope:
            self._scope = self._fields[0].scopeId = self._fields[1].scopeId = scope
        code = self._get(handle, 2, self._fields)
        if code:
            raise self._nvml.NVMLError(code)
        kind, code, instant_mw, average_kind, average_code, average_mw = _TYPE_CODE_VALUE.unpack(self._fields)
        if kind != _UNSIGNED_INT:
            instant_mw = self._of_type(self._fields[0], kind)
        if average_kind != _UNSIGNED_INT:
            average_mw = self._of_type(self._fields[1], average_kind)
        return code, instant_mw, average_code, average_mw

    def _of_type(self, field: Any, kind: int) -> Any:
        return getattr(field.value, _VALUE_NAMES[kind]) if 0 <= kind < len(_VALUE_NAMES) else None


class Numbers:
    """What one of the driver's functions says of one device: as many unsigned numbers as it fills in.

    Parameters
    ----------
    nvml : the module `pynvml`.
    function : its name, such as nvmlDeviceGetTotalEnergyConsumption.
    number : the type of ctypes that they have, `count` of them.
    arguments : what the function takes between the device and the numbers.
    """

    def __init__(self, nvml: Any, function: str, number: Any, *arguments: int, count: int = 1) -> None:
        self._nvml = nvml
        self._name = function
        self._get: Any = None
        self._held = (number * count)()
        self._arguments = (*arguments, self._held)

    def read(self, handle: Any) -> Any:
        """The array, whose numbers hold until it is read again.

        Raises
        ------
        NVMLError : the device does not say, or is gone, or the driver is too old to know the function.
        """
        if self._get is None:
            self._get = self._nvml._nvmlGetFunctionPointer(self._name)
        code = self._get(handle, *self._arguments)
        if code:
            raise self._nvml.NVMLError(code)
        return self._held
