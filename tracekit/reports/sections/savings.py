"""What made replayed sessions as long as they were, as a section of tables."""

from __future__ import annotations

from typing import Any

from tracekit import units
from tracekit.reports.sections.section import Cell, Section, Table
from tracekit.reports.words import PARTS, fleet_name, session_name, shown_name

Document = dict[str, Any]
SHOWN = 10


def savings_section(document: Document) -> Section:
    """By part of the critical path for all replays side by side; by name and by step for each."""
    replays = [replay for replay in document["replays"] if replay.get("savings")]
    tables = []
    if replays:
        tables = [_parts_table(replays), _without_table(replays)]
        for replay in replays:
            tables += [_names_table(replay), _steps_table(replay)]
    return Section(
        "savings",
        "What would save time",
        "Of the chain of steps that made each replayed session as long as it was, what each part is responsible for, "
        "and how much earlier sessions would end if it took no time and all else took as long as it did.",
        tables,
    )


def part_rows(replays: list[Document]) -> list[tuple[str, list[float | None], list[float | None]]]:
    """For each part: its words, its share of the critical paths in each replay, and of session time what it saves."""
    rows = []
    for part, words in PARTS.items():
        shares = [_share(replay["savings"], "path_s", part) for replay in replays]
        saved = [_share(replay["savings"], "without_s", part) for replay in replays]
        if any(shares) or any(saved):
            rows.append((words, shares, saved))
    return rows


def _share(savings: Document, key: str, part: str) -> float | None:
    value = savings[key].get(part)
    return None if value is None else units.ratio_of(value, savings["session_s"])


def _parts_table(replays: list[Document]) -> Table:
    rows = [
        [Cell(words), *(Cell(units.percent(share), share) for share in shares)]
        for words, shares, _saved in part_rows(replays)
    ]
    names = (fleet_name(replay["fleet"]) for replay in replays)
    return Table("Session time on the critical path (modelled)", ("", *names), rows)


def _without_table(replays: list[Document]) -> Table:
    rows = [
        [Cell(words), *(Cell(units.percent(share), share) for share in saved)]
        for words, _shares, saved in part_rows(replays)
        if any(saved)
    ]
    names = (fleet_name(replay["fleet"]) for replay in replays)
    return Table("Session time saved if all of it took no time (modelled)", ("", *names), rows)


def _names_table(replay: Document) -> Table:
    whole = replay["savings"]["session_s"]
    rows = [
        [
            Cell(part_name(row)),
            Cell(units.count(row["steps"]), row["steps"]),
            *_time_and_share(row["path_s"], whole),
            *_time_and_share(row["saves_s"], whole),
        ]
        for row in replay["savings"]["names"][:SHOWN]
    ]
    columns = ("", "steps", "on the path", "share", "saves, each alone", "share ")
    return Table(f"By name on {fleet_name(replay['fleet'])}", columns, rows)


def _steps_table(replay: Document) -> Table:
    rows = [
        [
            Cell(f"{part_name(row)} of {session_name(row | {'name': None})}"),
            Cell(units.seconds(row["start_s"]), row["start_s"]),
            Cell(units.seconds(row["length_s"]), row["length_s"]),
            Cell(units.seconds(row["path_s"]), row["path_s"]),
            Cell(units.seconds(row["saves_s"]), row["saves_s"]),
        ]
        for row in replay["savings"]["steps"][:SHOWN]
    ]
    columns = ("step", "from", "took", "on the path", "saves")
    return Table(f"Steps that would save most on {fleet_name(replay['fleet'])}", columns, rows)


def _time_and_share(value_s: float, whole_s: float) -> list[Cell]:
    share = units.ratio_of(value_s, whole_s)
    return [Cell(units.seconds(value_s), value_s), Cell(units.percent(share), share)]


def part_name(row: Document) -> str:
    """A part of a step by what it is of: `tool search`, `queue of Llama-3.1-8B`."""
    name = shown_name(row["name"] or "") or "unnamed"
    words = {"call": "call of", "queue": "queue before", "tool": "tool", "gap": "not replayed: call of"}
    return f"{words.get(row['part'], 'client before')} {name}"
