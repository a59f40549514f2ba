"""The few numbers that one would quote."""

from __future__ import annotations

from tracekit import units
from tracekit.reports.sections.columns import columns_of, idle_share
from tracekit.reports.sections.columns import labelled_row as row
from tracekit.reports.sections.section import Document, Table


def summary_table(document: Document) -> Table:
    """The few numbers that one would quote, a column for the recording and for each replay."""
    parts = columns_of(document)
    rows = [
        row("calls", ((part["calls"], units.count) for _name, part in parts)),
        row("session, p50", ((_of(part["session_s"], "p50"), units.seconds) for _name, part in parts)),
        row("session, p95", ((_of(part["session_s"], "p95"), units.seconds) for _name, part in parts)),
        row("time to first token, p95", ((_of(part["ttft_s"], "p95"), units.seconds) for _name, part in parts)),
        row("session time in tools alone", ((part["share"]["tool"], units.percent) for _name, part in parts)),
        row("GPU idle", ((idle_share(part), units.percent) for _name, part in parts)),
        row("energy", ((part["energy_j"]["total"], units.energy) for _name, part in parts)),
        row("energy of a session", ((part["energy_j"].get("per_session"), units.energy) for _name, part in parts)),
        row("cost", ((_of(part.get("cost_usd"), "total"), units.dollars) for _name, part in parts)),
        row("cost of a session", ((_of(part.get("cost_usd"), "per_session"), units.dollars) for _name, part in parts)),
    ]  # fmt: skip
    return Table("Summary", ("", *(name for name, _part in parts)), rows)


def _of(part: Document | None, key: str) -> float | None:
    return None if part is None else part[key]
