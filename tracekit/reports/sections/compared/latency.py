"""How long sessions of each workflow take, recorded and on each fleet."""

from __future__ import annotations

from tracekit import units
from tracekit.reports.sections.compared.rows import replay_tables, seconds, times, workflow_name
from tracekit.reports.sections.section import Cell, Document, Section, Table

_COLUMNS = ("mean", "mean x", "p50", "p50 x", "p95", "p95 x", "p95/p50")


def latency_section(document: Document) -> Section:
    """A table as recorded, and one for each fleet."""
    recorded = [
        [Cell(workflow_name(workflow)), *_cells(workflow["recorded"])] for workflow in document["workflows"]
    ]
    return Section(
        "latency",
        "How long a session takes",
        "From its first request to its last answer. A line goes from p50 to p95, its dot is the mean. Tools keep "
        "their recorded length on every fleet.",
        [
            *replay_tables(document, "Session time (modelled)", _COLUMNS, _cells),
            Table("Session time as recorded (measured)", ("workflow", *_COLUMNS), recorded),
        ],
    )


def _cells(part: Document) -> list[Cell]:
    spread, ratios = part["session_s"], part["session_x"]
    cells = [
        made
        for name in ("mean", "p50", "p95")
        for made in (seconds(spread and spread[name]), times(ratios and ratios[name]))
    ]
    tail = spread and spread["p95_over_p50"]
    return [*cells, Cell(units.ratio(tail), tail)]
