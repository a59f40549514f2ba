"""What made replayed sessions as long as they were, as a table on a terminal."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from tracekit import units
from tracekit.reports.number_table import number_table
from tracekit.reports.sections.savings import part_rows
from tracekit.reports.words import fleet_name

Document = dict[str, Any]


def savings_table(replays: list[Document]) -> Table:
    """Of session time, what each part is on the critical path, and what sessions would be shorter without it."""
    names = [fleet_name(replay["fleet"]) for replay in replays]
    table = number_table("Session time by what held it up, and saved without it (modelled)", "", *names)
    for words, shares, saved in part_rows(replays):
        told = [
            f"{units.percent(share)} / {units.percent(less)}"
            for share, less in zip(shares, saved, strict=True)
        ]
        table.add_row(words, *told)
    return table
