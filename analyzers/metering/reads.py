"""One GPU's samples as arrays in time order: counter, watts, and what the driver said where it gave none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tracekit.analyzers.columns import Flags, codes, ints
from tracekit.analyzers.kernels.layout import Floats, Ints
from tracekit.schema import BY_NAME, Kind
from tracekit.trace import Trace

AVERAGE = "average"
WINDOW_S = {"instant": 0.0}
LONGEST_WINDOW_S = 1.0
"""`GetPowerUsage` averages over 1 s on most GPUs; what is not said to be instant is taken for that."""
UPDATE_S = 0.1
"""Of power where the trace does not say: what NVIDIA's drivers do since 2017."""
LOST = ("GPU_IS_LOST", "RESET_REQUIRED")
"""Errors after which the device, and its counter, are not the same as before."""
NOBODY_KNOWS = -1


@dataclass(frozen=True, eq=False)
class GpuReads:
    """One device's n samples; unknown numbers are NaN, `reason` -1 where the driver gave none.

    `watts` are power_w, or the driver's average where that is null; `lag_s` is how far behind the present
    they are on average and at most half a window more. `device` is gpu, cpu or dram.
    """

    host: str
    index: int | None
    uuid: str | None
    name: str | None
    device: str
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
    mig: bool

    @property
    def label(self) -> str:
        """HOST:INDEX, as `--serves` takes it; the name where a device has no index."""
        return f"{self.host}:{self.name if self.index is None else self.index}"

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


def gpu_reads(trace: Trace) -> Iterator[GpuReads]:
    """The devices that were sampled, one after the other, ordered by host and index."""
    if not trace.count(Kind.POWER_SAMPLE):
        return
    columns = [name for name in _WANTED if name in BY_NAME]
    table = trace.rows(Kind.POWER_SAMPLE, columns)
    key, words = _devices(table)
    t_ns = ints(table, "start_ns").values
    order = np.lexsort((t_ns, key))
    bounds = np.searchsorted(key[order], np.arange(len(words) + 1))
    for device in sorted(range(len(words)), key=lambda number: words[number]):
        rows = order[bounds[device] : bounds[device + 1]]
        last_of_instant = np.append(np.diff(t_ns[rows]) > 0, True)
        yield _reads(table.take(pa.array(rows[last_of_instant])))


def _devices(table: pa.Table) -> tuple[Ints, list[tuple[str, str, int, str]]]:
    """Each row's device by number, and what each is ordered by: host, kind, index, id.

    An index may pass to another device when one is unplugged, so the driver's id goes first.
    """
    host, hosts = codes(table, "host")
    uuid, uuids = codes(table, "gpu_uuid")
    index = ints(table, "gpu_index").filled(NOBODY_KNOWS)
    kind, kinds = _words(table, "device")
    name, names = _words(table, "device_name")
    by_index = np.where(uuid < 0, index, NOBODY_KNOWS)
    rows = np.stack([host, kind, name, uuid, by_index], axis=1)
    found, first, number = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    told = [
        (
            _word(hosts, row[0]) or "",
            _word(kinds, row[1]) or "gpu",
            int(index[at]),
            _word(uuids, row[3]) or _word(names, row[2]) or "",
        )
        for row, at in zip(found, first, strict=True)
    ]
    return number.reshape(-1).astype(np.int64), told


def _reads(table: pa.Table) -> GpuReads:
    reason, reasons = codes(table, "reason")
    source, sources = codes(table, "power_source")
    watts, average = _floats(table, "power_w"), _floats(table, "power_average_w")
    is_average = np.isnan(watts) & ~np.isnan(average)
    windows = [WINDOW_S.get(word, LONGEST_WINDOW_S) for word in sources] + [LONGEST_WINDOW_S]
    window_s = np.where(is_average, LONGEST_WINDOW_S, np.array(windows)[source])
    update_s = _floats(table, "power_update_ms") / 1e3
    named = {sources[code] for code in np.unique(source[~np.isnan(watts)]) if code >= 0}
    index = ints(table, "gpu_index")
    return GpuReads(
        host=_first_word(table, "host") or "",
        index=int(index.values[0]) if index.known[0] else None,
        uuid=_first_word(table, "gpu_uuid"),
        name=_first_word(table, "gpu_name") or _first_word(table, "device_name"),
        device=_first_word(table, "device") or "gpu",
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
        mig="mig" in table.column_names and any(table.column("mig").unique().to_pylist()),
    )


def _floats(table: pa.Table, name: str) -> Floats:
    if name not in table.column_names:
        return np.full(table.num_rows, np.nan)
    return np.asarray(table.column(name).to_numpy(), np.float64)


def _words(table: pa.Table, name: str) -> tuple[Ints, list[str]]:
    if name not in table.column_names:
        return np.full(table.num_rows, NOBODY_KNOWS, np.int64), []
    return codes(table, name)


def _word(words: Sequence[str], code: int) -> str | None:
    return words[code] if code >= 0 else None


def _first_word(table: pa.Table, name: str) -> str | None:
    code, words = _words(table, name)
    known = code[code >= 0]
    return words[known[0]] if len(known) else None


def _most(values: Floats) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.max()) if len(known) else None
