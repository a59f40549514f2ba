"""Any number of traces in one file, on the first one's clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tracekit.errors import MergeRefused
from tracekit.location import Location, identity
from tracekit.merging.clock_map import ClockMap
from tracekit.merging.evidence import Clock, clock_map
from tracekit.provenance import Host, NotSeen, Provenance, environment
from tracekit.schema import FORMAT_VERSION, ROW_REFERENCES, TIMES, Kind, columns_of
from tracekit.trace import Trace, TraceWriter, arrow_schema


def merge_traces(
    paths: Sequence[Location],
    output: Path,
    *,
    offsets_s: Mapping[str, float],
    software_version: str,
    command: Sequence[str] = (),
    force: bool = False,
) -> Provenance:
    """Writes the rows of all traces, with ids of their own and times on the first one's clock, into `output`.

    Parameters
    ----------
    offsets_s : how far a host's clock is ahead of the first trace's, by the host's name or the trace's path.

    Returns
    -------
    the merged trace's provenance: each host with its shift, drift, evidence and error.

    Raises
    ------
    MergeRefused : a trace twice, or an offset for a host that is in none of them, or in several.
    TraceNotFound, TraceUnreadable, OutputRefused, OSError : a trace cannot be read, or the output not written.
    """
    traces = [Trace.open(path) for path in paths]
    _refuse_twins(traces)
    clocks = [Clock(trace) for trace in traces]
    given_ns = _given(clocks, offsets_s)
    first = clocks[0]
    maps = [ClockMap("reference", sleeps=first.sleeps)]
    maps += [clock_map(first, clock, given_ns.get(index)) for index, clock in enumerate(clocks[1:], 1)]
    provenance = _provenance(clocks, maps, software_version, command)
    with TraceWriter(output, force=force) as writer:
        _write_rows(writer, traces, maps)
        writer.provenance = provenance
    return provenance


def _refuse_twins(traces: Sequence[Trace]) -> None:
    seen: dict[object, Location] = {}
    for trace in traces:
        path = identity(trace.path)
        if path in seen:
            raise MergeRefused.twice(trace.path)
        seen[path] = trace.path


def _given(clocks: Sequence[Clock], offsets_s: Mapping[str, float]) -> dict[int, float]:
    """What the user said, in ns, by the trace's place."""
    given: dict[int, float] = {}
    for name, offset_s in offsets_s.items():
        meant = [
            index
            for index, clock in enumerate(clocks)
            if name in (clock.host.name, str(clock.trace.path), clock.trace.path.name)
        ]
        if len(meant) != 1 or meant == [0]:
            known = [f"{clock.host.name} ({clock.trace.path})" for clock in clocks[1:]]
            raise MergeRefused.not_one(name, len(meant), known)
        given[meant[0]] = offset_s * 1e9
    return given


def _write_rows(writer: TraceWriter, traces: Sequence[Trace], maps: Sequence[ClockMap]) -> None:
    firsts = np.cumsum([0, *(_ids(trace) for trace in traces)])
    for kind in Kind:
        names = [column.name for column in columns_of(kind)]
        for trace, first, to_reference in zip(traces, firsts, maps, strict=False):
            for piece in trace.pieces(kind, names):
                writer.write(_moved(piece, kind, int(first), to_reference))


def _ids(trace: Trace) -> int:
    """One more than the greatest row id."""
    columns = [trace.rows(kind, ["row_id"])["row_id"] for kind in Kind if trace.count(kind)]
    return max((int(pc.max(column).as_py()) for column in columns), default=-1) + 1


def _moved(piece: pa.Table, kind: Kind, first: int, to_reference: ClockMap) -> pa.Table:
    arrays = []
    for field in arrow_schema():
        if field.name == "kind":
            arrays.append(pa.array([kind.value] * piece.num_rows, pa.string()).cast(field.type))
        elif field.name not in piece.column_names:
            arrays.append(pa.nulls(piece.num_rows, field.type))
        else:
            array = piece.column(field.name).combine_chunks().cast(field.type)
            if field.name in TIMES:
                array = _mapped(array, to_reference)
            elif field.name in ROW_REFERENCES and first:
                array = _renumbered(array, first)
            arrays.append(array)
    return pa.table(arrays, schema=arrow_schema())


def _mapped(array: pa.Array, to_reference: ClockMap) -> pa.Array:
    known = array.is_valid().to_numpy(zero_copy_only=False)
    times = array.fill_null(0).to_numpy(zero_copy_only=False)
    return pa.array(to_reference(times), mask=~known)


def _renumbered(array: pa.Array, first: int) -> pa.Array:
    if not pa.types.is_list(array.type):
        return pc.add(array, first)
    moved = pc.add(array.flatten(), first)
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    ends = pa.array(np.r_[0, np.cumsum(lengths)].astype(np.int32))
    lists = pa.ListArray.from_arrays(ends, moved)
    return pc.if_else(array.is_valid(), lists, pa.nulls(len(array), lists.type))


def _provenance(
    clocks: Sequence[Clock], maps: Sequence[ClockMap], software_version: str, command: Sequence[str]
) -> Provenance:
    all_of = [clock.trace.provenance for clock in clocks]
    origins = {provenance.origin for provenance in all_of}
    labels: dict[str, str] = {}
    for clock, provenance in zip(clocks, all_of, strict=True):
        for name, text in provenance.labels.items():
            labels[name if labels.get(name, text) == text else f"{name} ({clock.trace.path.name})"] = text
    return Provenance(
        format_version=FORMAT_VERSION,
        software_version=software_version,
        command=list(command) or all_of[0].command,
        created_ns=max(provenance.created_ns for provenance in all_of),
        origin=origins.pop() if len(origins) == 1 else "merged",
        environment=all_of[0].environment or environment(),
        hosts=[host for clock, its in zip(clocks, maps, strict=True) for host in _hosts(clock, its)],
        labels=labels,
        not_seen=_not_seen([provenance.not_seen for provenance in all_of]),
        exit_code=all_of[0].exit_code,
        recovered=any(provenance.recovered for provenance in all_of),
    )


def _hosts(clock: Clock, to_reference: ClockMap) -> list[Host]:
    """The trace's hosts with what was done to their times; those of an earlier merge keep their own evidence."""
    first, last = clock.span
    middle = np.array([(first + last) // 2])
    shift_ns = int(to_reference.offset_ns + to_reference.drift * (float(middle[0]) - to_reference.origin_ns))
    moved = replace(
        clock.host,
        clock_error_ns=None if to_reference.error_ns is None else round(to_reference.error_ns),
        clock_source=to_reference.source,
        shift_ns=shift_ns,
        drift_ppm=to_reference.drift * 1e6,
        slept_ns=sum(sleep.slept_ns for sleep in to_reference.sleeps),
    )
    return [moved, *clock.trace.provenance.hosts[1:]]


def _not_seen(all_of: Sequence[NotSeen]) -> NotSeen:
    """Counts are added up; of single words, the first that is there."""
    whole: dict[str, Any] = asdict(NotSeen())
    for part in all_of:
        for name, value in asdict(part).items():
            whole[name] = _sum(whole[name], value)
    if whole["power"] is not None and any(part.power is None for part in all_of):
        whole["power"] = None  # another trace has it
    return NotSeen(**whole)


def _sum(so_far: Any, value: Any) -> Any:
    if isinstance(so_far, dict):
        return so_far | {key: so_far.get(key, 0) + count for key, count in value.items()}
    if isinstance(so_far, int):
        return so_far + value
    return value if so_far is None else so_far
