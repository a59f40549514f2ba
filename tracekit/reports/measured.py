"""Measured joules in the document: per GPU, phase, cause, session and call, each with its bound and its source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from tracekit.analyzers.kernels.layout import Cause
from tracekit.analyzers.metering.against_model import Comparison
from tracekit.analyzers.metering.cut import Figure
from tracekit.analyzers.metering.measured import MeasuredEnergy
from tracekit.analyzers.metering.meter import Gap
from tracekit.analyzers.metering.pool import Phase
from tracekit.analyzers.power import GpuEnergy
from tracekit.analyzers.recorded import Recorded
from tracekit.reports.document import Document
from tracekit.reports.words import plural
from tracekit.units import percent, seconds

SHOWN_GAP_S = 0.1
"""Less than this in all is not worth a line: samplers start a moment after the agent."""


def power_document(gpu: GpuEnergy) -> Document:
    """One device."""
    told = {field.name: getattr(gpu, field.name) for field in fields(GpuEnergy)}
    return told | {"gaps": [_gap(gap) for gap in gpu.gaps]}


def _gap(gap: Gap) -> Document:
    """Its joules are unknown, though the counter may say how many passed in all."""
    return {
        "start_ns": gap.start_ns,
        "end_ns": gap.end_ns,
        "seconds": gap.seconds,
        "reason": gap.reason,
        "energy_j": None,
        "counter_advance_j": gap.counter_advance_j,
    }


def energy_document(recorded: Recorded) -> Document:
    """Joules of all sampled GPUs, and where they went if some serve the calls; null is unknown."""
    measured = recorded.measured
    if measured is None:
        return {"total": None, "source": None, "scope": "gpu"}
    gpus = [gpu for gpu in recorded.power if gpu.device == "gpu"]
    is_whole = bool(gpus) and all(gpu.energy_j is not None for gpu in gpus)
    sources = sorted({gpu.source for gpu in gpus if gpu.source is not None})
    phases = {_name(phase): figure for phase, figure in measured.phases.items()}
    phases = phases | {"not_serving": measured.not_serving} if gpus else {}
    causes = {_name(cause): figure for cause, figure in measured.causes.items()}
    has_calls = measured.serving and len(measured.sessions)
    return {
        "scope": "gpu",
        "source": " and ".join(sources) or None,
        "total": measured.total.energy_j if is_whole else None,
        "by_phase": _joules(phases),
        "by_cause": _joules(causes),
        "per_session": measured.attributed.energy_j / len(measured.sessions) if has_calls else None,
        "no_session": measured.null_j,
        "bound": {
            "total": measured.total.bound_j if is_whole else None,
            "by_phase": _bounds(phases),
            "by_cause": _bounds(causes),
        },
        "unmeasured_s": {"by_phase": _unmeasured_s(phases), "by_cause": _unmeasured_s(causes)},
        "unmeasured_gpu_s": measured.total.unmeasured_s,
    }


def seconds_document(measured: MeasuredEnergy) -> Document:
    """GPU-seconds by phase and idle ones by cause, and their price, of the GPUs that serve."""
    phases = {phase: figure.gpu_s for phase, figure in measured.phases.items() if phase != Phase.OUTSIDE}
    billed = sum(phases.values())
    cost_usd, sessions = measured.cost_usd, len(measured.sessions)
    return {
        "gpu_s": {"billed": billed} | {_name(phase): value for phase, value in phases.items()},
        "idle_s": {_name(cause): figure.gpu_s for cause, figure in measured.causes.items()},
        "cost_usd": {
            "total": cost_usd,
            "per_session": cost_usd / sessions if cost_usd is not None and sessions else None,
            "api_equivalent": None,
        },
    }


def sessions_joules(measured: MeasuredEnergy) -> dict[int, Document]:
    """What is added to a session's entry, by its id; only sessions that a sampled GPU served."""
    return {
        row["session_id"]: {
            "energy_j": {
                "direct": row["direct_j"],
                "bound": row["bound_j"],
                "calls": row["calls_j"],
                "idle": {
                    name: row[f"{name}_j"] for name in map(_name, measured.causes) if f"{name}_j" in row
                },
                "loaded": row["loaded_j"],
                "unmeasured_gpu_s": row["unmeasured_s"],
            },
            "cost_usd": row["cost_usd"],
        }
        for row in measured.sessions.iter_rows(named=True)
    }


def rows_document(measured: MeasuredEnergy) -> Document:
    """One entry a call that a sampled GPU served, and a tool that kept one waiting."""
    return {"per_call": measured.calls.to_dicts(), "per_tool": measured.tools.to_dicts()}


def comparison_document(comparisons: list[Comparison], fleet: Document, assumed: list[str]) -> Document:
    """The phases, measured and modelled side by side."""
    return {
        "fleet": fleet,
        "assumed": assumed,
        "phases": {
            each.phase: {
                "measured_j": each.measured.energy_j if each.is_known else None,
                "bound_j": each.measured.bound_j if each.is_known else None,
                "measured_gpu_s": each.measured.gpu_s,
                "unmeasured_gpu_s": each.measured.unmeasured_s,
                "measured_w": each.measured_w,
                "modelled_j": each.modelled_j,
                "modelled_gpu_s": each.modelled_gpu_s,
                "modelled_w": each.modelled_w,
                "difference": each.difference,
            }
            for each in comparisons
        },
    }


def measured_notes(recorded: Recorded) -> Iterator[str]:
    """What the measured figures take for granted, a sentence each."""
    measured = recorded.measured
    if measured is None:
        return
    for gpu in recorded.power:
        if gpu.serves:
            yield f"joules of GPU {gpu.gpu} go to calls of {', '.join(gpu.serves)}: {gpu.why}"
        elif gpu.device == "gpu":
            yield f"GPU {gpu.gpu} is not serving: {gpu.why} (--serves URL=HOST:GPU says otherwise)"
        yield from _gap_note(gpu)
    serving = [gpu for gpu in recorded.power if gpu.serves]
    if serving and all(gpu.mean_utilization == 0.0 for gpu in serving):
        yield "no GPU that is taken to serve ever ran a kernel: the server may be computing elsewhere"
    if len(measured.calls):
        splits = Counter(measured.calls["split"].drop_nulls().to_list())
        words = ", ".join(f"{plural(count, 'call')} {rule}" for rule, count in sorted(splits.items()))
        yield f"each instant's joules are split over the calls in flight: {words or 'none was measured'}"
    if measured.phases and measured.phases[Phase.UNPHASED].gpu_s > 0.0:
        yield "calls that were not streamed show no first token: their prefill and decode are one phase, unphased"


def _gap_note(gpu: GpuEnergy) -> Iterator[str]:
    which = f"{gpu.device.upper()} {gpu.gpu}"
    by_reason: Counter[str] = Counter()
    for gap in gpu.gaps:
        by_reason[gap.reason] += gap.seconds  # type: ignore[assignment]
    whole_s = sum(by_reason.values())
    if gpu.energy_j is None:
        why = f" ({', '.join(by_reason)})" if by_reason else ""
        yield f"{which}: nothing was measured{why}; its joules are unknown"
    elif whole_s >= SHOWN_GAP_S:
        reasons = ", ".join(f"{reason} {seconds(length_s)}" for reason, length_s in by_reason.items())
        gaps = plural(len(gpu.gaps), "gap")
        yield f"{which}: {seconds(whole_s)} in {gaps} are not measured ({reasons}); their joules are in no figure"
    if gpu.disagrees and gpu.difference is not None:
        yield (
            f"{which}: integrated watts differ from the counter by {percent(gpu.difference)}, more than 5 %"
            f"{', which sampling explains' if gpu.explained else ''}; figures are the counter's"
        )


def measured_sources(recorded: Recorded) -> dict[str, str]:
    """Where the measured figures come from."""
    measured = recorded.measured
    if measured is None:
        return {}
    told = energy_document(recorded)["source"]
    sources = {}
    if told is not None:
        sources["measured joules"] = f"{told}; the bound is of sampling (docs/power.md), not of the sensor"
    if measured.cost_usd is not None:
        sources["recorded cost"] = (
            "modelled: time of the GPUs that serve, from the first event to the last, x the catalog's typical price"
        )
    return sources


def _joules(figures: Mapping[str, Figure]) -> dict[str, float | None]:
    return {name: figure.energy_j if _is_known(figure) else None for name, figure in figures.items()}


def _bounds(figures: Mapping[str, Figure]) -> dict[str, float | None]:
    return {name: figure.bound_j if _is_known(figure) else None for name, figure in figures.items()}


def _unmeasured_s(figures: Mapping[str, Figure]) -> dict[str, float]:
    """GPU-seconds of each whose joules nobody measured, and which its joules are without."""
    return {name: figure.unmeasured_s for name, figure in figures.items()}


def _is_known(figure: Figure) -> bool:
    """A phase that never was has 0 J; one of which nothing was measured has none that anybody knows."""
    return figure.unmeasured_s == 0.0 or figure.unmeasured_s < figure.gpu_s


def _name(what: Phase | Cause | Any) -> str:
    return str(what.name.lower())
