"""One GPU's samples as arrays in time order: counter, watts, and what the driver said where it gave none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa

from tracekit.analyzers.columns import Flags, codes, flags, ints
from tracekit.analyzers.kernels.layout import Floats, Ints
from tracekit.schema import Kind
from tracekit.trace import Trace

AVERAGE = "average"
WINDOW_S = {"instant": 0.0}
LONGEST_WINDOW_S = 1.0
"""`GetPowerUsage` averages over 1 s on most GPUs; what is not said to be instant is taken for that."""
UPDATE_S = 0.1
"""Of power where the trace does not say: what NVIDIA's drivers do since 2017."""
LOST = ("GPU_IS_LOST", "RESET_REQUIRED", "GPU_NOT_FOUND", "DRIVER_NOT_LOADED")
"""Errors after which the device, and its counter, are not the same as before."""
NOBODY_KNOWS = -1
MOST_SAMPLERS = 16
"""Of one device, told by its rows going back in time so often; rows that do so more often are in no order at all."""
HOLE_NS, APART_NS = 3_000_000_000, 50_000_000
"""Where a sampler said nothing for so long, another may; and so far apart do the reads of two have to be."""


@dataclass(frozen=True)
class Device:
    """A device by its names; `kind` is gpu, cpu or dram."""

    host: str
    kind: str
    index: int | None
    uuid: str | None
    name: str | None

    @property
    def label(self) -> str:
        """HOST:INDEX, as `--serves` takes it; the name where a device has no index."""
        return f"{self.host}:{self.name if self.index is None else self.index}"


@dataclass(frozen=True, eq=False)
class GpuReads:
    """One device's n samples; unknown numbers are NaN, `reason` -1 where the driver gave none.

    `watts` are power_w, or the driver's average where that is null; `lag_s` is how far behind the present
    they are at most, half of the window that they average over for the rest of it.
    """

    device: Device
    t_ns: Ints  # (n,) strictly ascending
    counter_j: Floats
    watts: Floats
    lag_s: Floats
    utilization: Floats
    reason: Ints  # an index into reasons
    reasons: tuple[str, ...]
    sources: tuple[str, ...]
    limit_w: float | None
    counter_update_s: float | None
    mig: bool  # cut into instances; power is that of all of them

    @property
    def is_lost(self) -> Flags:
        """Samples, (n,), whose reason says that the device was gone."""
        gone = np.array([any(word in reason for word in LOST) for reason in self.reasons] + [False])
        return np.asarray(gone[self.reason], np.bool_)


_WANTED = (
    "start_ns", "host", "device", "device_name", "gpu_index", "gpu_uuid", "gpu_name", "power_w", "power_source",
    "power_average_w", "energy_counter_j", "power_update_ms", "energy_update_ms", "utilization_gpu",
    "power_limit_w", "mig", "reason",
)  # fmt: skip


class PowerSamples:
    """All samples of a trace, to be read one device at a time: a night of eight GPUs is seven million of them."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self._number = _device_numbers(table)
        firsts = np.zeros(int(self._number.max(initial=-1)) + 1, np.int64)
        firsts[self._number[::-1]] = np.arange(len(self._number))[::-1]
        told = [_device(table.slice(int(first), 1)) for first in firsts]
        self._order = sorted(range(len(told)), key=lambda at: _order(told[at]))
        self.devices = [told[at] for at in self._order]

    @classmethod
    def of(cls, trace: Trace) -> Self:
        """The trace's samples, no devices where it has none."""
        return cls(trace.rows(Kind.POWER_SAMPLE, _WANTED))

    def is_used(self, device: int) -> bool | None:
        """Whether the device of that place ever ran a kernel; None if no sample says."""
        told = _floats(self._table, "utilization_gpu")[self._number == self._order[device]]
        known = told[~np.isnan(told)]
        return bool(np.any(known > 0.0)) if len(known) else None

    def reads(self, device: int) -> GpuReads:
        """The samples of the device of that place in `devices`, in order of time, the last of each instant."""
        rows = np.flatnonzero(self._number == self._order[device])
        t_ns = ints(self._table.select(["start_ns"]), "start_ns").values[rows]
        if np.any(np.diff(t_ns) < 0):
            order = _of_one_sampler_at_a_time(t_ns)
            rows, t_ns = rows[order], t_ns[order]
        last_of_instant = np.append(np.diff(t_ns) > 0, True)
        return _reads(self.devices[device], self._table.take(pa.array(rows[last_of_instant])))


def _of_one_sampler_at_a_time(t_ns: Ints) -> Ints:
    """Places of samples in order of time, without those that a sampler took while one with more samples did.

    Two that read one counter at once do not see it move in the order in which their reads began. Rows of a sampler
    are in order of time, and merged traces keep theirs together.
    """
    begins = np.flatnonzero(np.diff(t_ns) < 0) + 1
    if len(begins) >= MOST_SAMPLERS:
        return np.argsort(t_ns, kind="stable")
    kept: list[Ints] = []
    taken: list[tuple[int, int]] = []
    for places in sorted(np.split(np.arange(len(t_ns)), begins), key=len, reverse=True):
        own_ns = t_ns[places]
        is_free = np.ones(len(places), np.bool_)
        for first, last in taken:
            is_free &= (own_ns < first - APART_NS) | (own_ns > last + APART_NS)
        kept.append(places[is_free])
        runs = np.split(own_ns, np.flatnonzero(np.diff(own_ns) > HOLE_NS) + 1)
        taken += [(int(run[0]), int(run[-1])) for run in runs]
    chosen = np.concatenate(kept)
    return np.asarray(chosen[np.argsort(t_ns[chosen], kind="stable")], np.int64)


def _device_numbers(table: pa.Table) -> Ints:
    """Each row's device.

    An index may pass to another device when one is unplugged, so the driver's id goes first.
    """
    uuid, _uuids = codes(table, "gpu_uuid")
    index = np.where(uuid < 0, ints(table, "gpu_index").filled(NOBODY_KNOWS), NOBODY_KNOWS)
    number = np.zeros(table.num_rows, np.int64)
    others = (_words(table, name)[0] for name in ("host", "device", "device_name"))
    for column in (*others, uuid, index):
        number = _dense(number * (int(column.max(initial=0)) + 2) + column + 1)
    return number


def _dense(key: Ints) -> Ints:
    """The keys numbered from 0 without holes, in their order; there are far fewer than rows."""
    present = np.zeros(int(key.max(initial=0)) + 1, np.bool_)
    present[key] = True
    return np.asarray((np.cumsum(present) - 1)[key], np.int64)


def _device(row: pa.Table) -> Device:
    index = ints(row, "gpu_index")
    return Device(
        host=_first_word(row, "host") or "",
        kind=_first_word(row, "device") or "gpu",
        index=int(index.values[0]) if index.known[0] else None,
        uuid=_first_word(row, "gpu_uuid"),
        name=_first_word(row, "gpu_name") or _first_word(row, "device_name"),
    )


def _order(device: Device) -> tuple[bool, str, str, int, str]:
    """GPUs first; by kind, host, index, id."""
    index = NOBODY_KNOWS if device.index is None else device.index
    return device.kind != "gpu", device.kind, device.host, index, device.uuid or device.name or ""


def _reads(device: Device, table: pa.Table) -> GpuReads:
    reason, reasons = codes(table, "reason")
    source, sources = codes(table, "power_source")
    watts, average = _floats(table, "power_w"), _floats(table, "power_average_w")
    is_average = np.isnan(watts) & ~np.isnan(average)
    windows = [WINDOW_S.get(word, LONGEST_WINDOW_S) for word in sources] + [LONGEST_WINDOW_S]
    window_s = np.where(is_average, LONGEST_WINDOW_S, np.array(windows)[source])
    update_s = _floats(table, "power_update_ms") / 1e3
    told = source[~np.isnan(watts)]
    named = {word for code, word in enumerate(sources) if np.any(told == code)}
    return GpuReads(
        device=device,
        t_ns=ints(table, "start_ns").values,
        counter_j=_floats(table, "energy_counter_j"),
        watts=np.where(is_average, average, watts),
        lag_s=window_s / 2 + np.where(np.isnan(update_s), UPDATE_S, update_s),
        utilization=_floats(table, "utilization_gpu"),
        reason=reason,
        reasons=tuple(reasons),
        sources=tuple(sorted(named | ({AVERAGE} if is_average.any() else set()))),
        limit_w=_most(_floats(table, "power_limit_w")),
        counter_update_s=_most(_floats(table, "energy_update_ms") / 1e3),
        mig=bool(flags(table, "mig").any()),
    )


def _floats(table: pa.Table, name: str) -> Floats:
    return np.asarray(table.column(name).to_numpy(), np.float64)


def _words(table: pa.Table, name: str) -> tuple[Ints, list[str]]:
    return codes(table, name)


def _first_word(table: pa.Table, name: str) -> str | None:
    code, words = _words(table, name)
    known = code[code >= 0]
    return words[known[0]] if len(known) else None


def _most(values: Floats) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.max()) if len(known) else None
