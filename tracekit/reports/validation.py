"""Errors of the hardware model as documents and tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table

from tracekit.analyzers.hardware.error import Error
from tracekit.analyzers.hardware.held_to import HeldTo, Line
from tracekit.analyzers.hardware.validation import ALL_GPUS, BASELINES, MODELS, QUANTITIES, Group, Validation
from tracekit.reports.tables import plain_table
from tracekit.reports.terminal import wide_console

SCHEMA_VERSION = 1
Document = dict[str, Any]
ASSUMPTIONS = [
    "rows are steady states: batch sequences decode at once, prompts are spread evenly over steps",
    "constant and nearest come from the other architectures of the same rows, on the same GPU where there are such",
    "calibrated: each batch from the other batches of its series (same GPU, model, TP, engine and lengths)",
]
KINDS = {"dense": "dense", "moe": "MoE"}
HEADINGS = {
    "power_w": "power",
    "power_w_given_time": "power, given time",
    "itl_ms": "ITL",
    "j_per_token": "J/token",
}
LINES = {
    "power_w": "power",
    "power_given_time_w": "power, given time",
    "itl_s": "ITL",
    "j_per_token": "J/token",
}
BESIDE = {"constant": "constant", "nearest": "nearest", "ecologits": "EcoLogits"}


def validation_document(validation: Validation, rows: str) -> Document:
    """What `validate ROWS --json` prints; shares of 1."""
    return {
        "schema_version": SCHEMA_VERSION,
        "trace": None,
        "file": rows,
        "rows": len(validation.points) + len(validation.skipped),
        "judged": len(validation.points),
        "skipped": [{"row": skipped.row, "why": skipped.why} for skipped in validation.skipped],
        "notes": validation.notes,
        "groups": [_group(group) for group in validation.groups],
        "pooled": [_group(group) for group in validation.pooled],
        "assumptions": ASSUMPTIONS,
        "sources": {
            "measured": rows,
            "modelled": "analyzers/catalog/engines.toml (docs/background-hardware.md)",
        },
    }


def _group(group: Group) -> Document:
    return {
        "gpu": group.gpu,
        "kind": group.kind,
        "tier": group.tier,
        "n": group.n,
        "in_fit": group.in_fit,
        **{name: _error(group.errors[name]) for name in QUANTITIES},
        "not_better_than": {name: list(names) for name, names in group.not_better_than.items() if names},
    }


def _error(error: Error | None) -> Document | None:
    return None if error is None else error._asdict()


def held_to_document(held: HeldTo) -> Document:
    """What `validate --json` prints without rows; shares of 1."""
    return {
        "schema_version": SCHEMA_VERSION,
        "trace": None,
        "lines": [
            {
                "quantity": line.quantity,
                "rows": line.rows,
                "fit": line.fit,
                "asked": {"mape": line.asked.mape, "median_ape": line.asked.median_ape},
                "reached": line.reached,
                "error": _error(line.error),
                "baselines": {name: _error(error) for name, error in line.others.items()},
                "not_better_than": line.not_better_than,
            }
            for line in held.lines
        ],
        "fitted_on": fitted_on(held),
        "assumptions": ["no constant is fitted to a row that it is judged on"],
        "sources": {"measured": "ML.ENERGY v2 and v3, LLM-Inference-Bench (docs/background-hardware.md)"},
    }


def fitted_on(held: HeldTo) -> Document:
    """Rows that the shipped constants are fitted to, by what they tell."""
    training = held.training
    return {
        "duration": f"{len(training.steps)} text rows of ML.ENERGY v3 on the H100",
        "power": f"these, and {len(training.watts_given_time)} rows of other engines on the H100, given their duration",
    }


def print_validation(validation: Validation, console: Console | None = None) -> None:
    """A table for each GPU and kind, then what was skipped and assumed."""
    console = console or wide_console()
    groups = [*validation.groups, *(validation.pooled if _has_several_gpus(validation) else [])]
    for gpu, kind in dict.fromkeys((group.gpu, group.kind) for group in groups):
        own = [group for group in groups if (group.gpu, group.kind) == (gpu, kind)]
        console.print(_group_table("all GPUs" if gpu == ALL_GPUS else gpu, kind, own))
    console.print("modelled against measured: mean / median error (bias), percent", highlight=False)
    for line in _remarks(validation):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _group_table(gpu: str, kind: str, groups: list[Group]) -> Table:
    table = plain_table(f"{gpu}, {KINDS[kind]}", "")
    for heading in ("n", "in fit", *HEADINGS.values()):
        table.add_column(heading, justify="right", no_wrap=True)
    for group in groups:
        errors = (
            _words(group.errors[name]) + ("*" if group.not_better_than[name] else "") for name in QUANTITIES
        )
        fitted = "?" if group.in_fit is None else str(group.in_fit)
        table.add_row(
            group.tier.replace("calibrated-interior", "  interior"),
            str(group.n),
            fitted if group.tier in MODELS else "",
            *errors,
        )
    return table


def _has_several_gpus(validation: Validation) -> bool:
    return len({point.replica.gpu.name for point in validation.points}) > 1


def _remarks(validation: Validation) -> Iterable[str]:
    groups = validation.groups
    if any(names for group in groups for names in group.not_better_than.values()):
        yield f"*: no better than {' or '.join(BASELINES)} on the same rows"
    if validation.in_fit is None:
        yield (
            "in fit ?: the rows that the constants were fitted to are not at hand (`tracekit validate` says where to "
            "put them), so nobody can tell which of these are among them"
        )
    elif any(group.in_fit for group in groups if group.tier in MODELS):
        yield "in fit: rows that the constants were fitted to flatter them; `tracekit validate` alone leaves them out"
    else:
        yield "in fit: none of these rows"
    yield from validation.notes
    if validation.skipped:
        yield f"skipped {len(validation.skipped)} row(s):"
    yield from (f"  row {skipped.row}: {skipped.why}" for skipped in validation.skipped)


def print_held_to(held: HeldTo, console: Console | None = None) -> None:
    """A table for each way of leaving rows out of the fit, then what was fitted on what."""
    console = console or wide_console()
    for fit in dict.fromkeys(line.fit for line in held.lines):
        console.print(_held_to_table(fit, [line for line in held.lines if line.fit == fit]))
    console.print(
        "mean / median error, percent; *: no better than this baseline", highlight=False, markup=False
    )
    for name, rows in fitted_on(held).items():
        console.print(f"{name} is fitted to {rows}", highlight=False, markup=False, soft_wrap=True)
    judged = [line for line in held.lines if line.reached is not None]
    reached = sum(1 for line in judged if line.reached)
    console.print(f"{reached} of {len(judged)} bars reached", style="bold", highlight=False)


def _held_to_table(fit: str, lines: list[Line]) -> Table:
    table = plain_table(f"Fitted: {fit}", "", "rows")
    for heading in ("n", "modelled", "bias", "asked", "", *BESIDE.values()):
        table.add_column(heading, justify="right", no_wrap=True)
    for line in lines:
        asked = (line.asked.mape, line.asked.median_ape)
        table.add_row(
            LINES[line.quantity],
            line.rows,
            "0" if line.error is None else str(line.error.n),
            _brief(line.error),
            "-" if line.error is None else f"{100 * line.error.bias:+.1f}",
            ""
            if line.reached is None
            else " / ".join("-" if bar is None else f"{100 * bar:.1f}" for bar in asked),
            {None: "", True: "reached", False: "MISSED"}[line.reached],
            *(_brief(line.others[name]) + ("*" if name in line.not_better_than else "") for name in BESIDE),
        )
    return table


def _brief(error: Error | None) -> str:
    return "-" if error is None else f"{100 * error.mape:.1f} / {100 * error.median_ape:.1f}"


def _words(error: Error | None) -> str:
    if error is None:
        return "-"
    return f"{100 * error.mape:.1f} / {100 * error.median_ape:.1f} ({100 * error.bias:+.1f})"
