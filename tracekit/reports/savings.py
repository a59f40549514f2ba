"""What made replayed sessions as long as they were, in the document: by part, by name, and by step."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from tracekit.analyzers.columns import codes, ints
from tracekit.analyzers.kernels.layout import Floats, Ints
from tracekit.analyzers.replay import Replay
from tracekit.analyzers.savings import PARTS, Savings, part_of_kind, savings
from tracekit.reports.document import Document
from tracekit.reports.savings_parts import parts_told
from tracekit.reports.schema_parts import AMOUNT, COUNT, TEXT, Schema, list_of, object_of, or_null
from tracekit.schema import Kind
from tracekit.trace import Trace

STEPS = 24
NAMES = 12
"""Steps and names that are told, those that save most."""


class _Rows(NamedTuple):
    """Parts of steps that add to a path or would save, each (k,); times are rounded to ns, so that ties are ties."""

    step: Ints
    part: Ints  # in PARTS
    start_s: Floats  # since the first arrival
    length_s: Floats
    path_s: Floats
    saves_s: Floats


class _Names(NamedTuple):
    """What each of n steps is called, as an index into the words; the last of them is None."""

    code: Ints  # (n,)
    words: list[str | None]


def savings_document(trace: Trace, replay: Replay, row_id: Ints, session_row_id: Ints) -> Document:
    """The key `savings` of a replay; seconds over all its sessions together.

    `row_id` (n,) and `session_row_id` (s,) are the trace's rows of the replay's steps and sessions.
    """
    found = savings(replay.workload, replay.timeline.outcome)
    rows, names = _rows(replay, found), _names(trace, row_id)
    return {
        **parts_told(replay, found),
        "names": _by_name(rows, names),
        "steps": _by_step(replay, rows, names, row_id, session_row_id),
    }


def _rows(replay: Replay, found: Savings) -> _Rows:
    own, outcome = part_of_kind(replay.workload), replay.timeline.outcome
    start_s, lag_s, queue_s = outcome.steps["start_s"], replay.workload.lag_s, np.zeros(len(own))
    queue_s[outcome.calls["step"]] = outcome.calls["started_s"] - outcome.calls["queued_s"]
    length_s = outcome.steps["end_s"] - start_s
    queue, lag = (np.full(len(own), PARTS.index(part)) for part in ("queue", "lag"))
    told = [
        _told(own, start_s, length_s, found.path.step_s, found.saves.step_s),
        _told(queue, start_s, queue_s, found.path.queue_s, found.saves.queue_s),
        _told(lag, start_s - lag_s, lag_s, found.path.lag_s, found.saves.lag_s),
    ]
    return _Rows(*(np.concatenate(columns) for columns in zip(*told, strict=True)))


def _told(part: Ints, start_s: Floats, length_s: Floats, path_s: Floats, saves_s: Floats) -> _Rows:
    path_s, saves_s = np.round(path_s, 9), np.round(saves_s, 9)
    step = np.flatnonzero((path_s > 0) | (saves_s > 0))
    return _Rows(step, part[step], start_s[step], np.round(length_s[step], 9), path_s[step], saves_s[step])


def _names(trace: Trace, row_id: Ints) -> _Names:
    """The model of a call, the name of a tool."""
    places: dict[str, int] = {}
    rows, code = [], []
    for kind, column in ((Kind.LLM_CALL, "model"), (Kind.TOOL_SPAN, "name")):
        table = trace.rows(kind, ["row_id", column])
        indices, known = (codes if column == "model" else _codes_of_texts)(table, column)
        common = [*(places.setdefault(word, len(places)) for word in known), -1]
        rows.append(ints(table, "row_id").values)
        code.append(np.array(common, np.int64)[indices])
    all_rows, all_codes = np.concatenate(rows), np.concatenate(code)
    order = np.argsort(all_rows, kind="stable")
    found = all_codes[order][np.searchsorted(all_rows[order], row_id)]
    return _Names(np.where(found < 0, len(places), found), [*places, None])


def _codes_of_texts(table: pa.Table, name: str) -> tuple[Ints, list[str]]:
    """A text column as indices into its words, -1 where unknown; arrow's own encoding takes 0.1 s to import."""
    places: dict[str, int] = {}
    found = [
        -1 if word is None else places.setdefault(word, len(places))
        for word in table.column(name).to_pylist()
    ]
    return np.array(found, np.int64), list(places)


def _by_name(rows: _Rows, names: _Names) -> list[Document]:
    count = len(names.words)
    key = rows.part * count + names.code[rows.step]
    steps = np.bincount(key, minlength=len(PARTS) * count)
    path_s, saves_s = (
        np.round(np.bincount(key, seconds, len(PARTS) * count), 9) for seconds in (rows.path_s, rows.saves_s)
    )
    told = [
        {
            "part": PARTS[place // count],
            "name": names.words[place % count],
            "steps": int(steps[place]),
            "path_s": float(path_s[place]),
            "saves_s": float(saves_s[place]),
        }
        for place in np.flatnonzero(steps).tolist()
    ]
    return sorted(told, key=_most_first)[:NAMES]


def _most_first(row: Document) -> tuple[float, float, int, str]:
    return -row["saves_s"], -row["path_s"], PARTS.index(row["part"]), row["name"] or ""


def _by_step(
    replay: Replay, rows: _Rows, names: _Names, row_id: Ints, session_row_id: Ints
) -> list[Document]:
    session, arrival_s = replay.workload.session, replay.workload.session_arrival_s
    told = []
    for place in _top(rows):
        step, released = int(rows.step[place]), int(session[rows.step[place]])
        told.append(
            {
                "session_id": int(session_row_id[released]),
                "released_session": released,
                "row_id": int(row_id[step]),
                "part": PARTS[rows.part[place]],
                "name": names.words[names.code[step]],
                "start_s": max(round(float(rows.start_s[place] - arrival_s[released]), 9), 0.0),
                "length_s": float(rows.length_s[place]),
                "path_s": float(rows.path_s[place]),
                "saves_s": float(rows.saves_s[place]),
            }
        )
    return told


def _top(rows: _Rows) -> Ints:
    """The places of those that save most, then of the first steps."""
    count = len(rows.step)
    among = np.arange(count)
    if count > STEPS:
        least_s = np.partition(rows.saves_s, count - STEPS)[count - STEPS]
        among = np.flatnonzero(rows.saves_s >= least_s)
    order = np.lexsort((rows.part[among], rows.step[among], -rows.path_s[among], -rows.saves_s[among]))
    top: Ints = among[order[:STEPS]]
    return top


def savings_schema() -> Schema:
    """Its schema."""
    parts = dict.fromkeys(PARTS, AMOUNT)
    part: Schema = {"enum": list(PARTS)}
    name = {"part": part, "name": or_null(TEXT), "steps": COUNT, "path_s": AMOUNT, "saves_s": AMOUNT}
    step = {
        "session_id": {"type": "integer"},
        "released_session": COUNT,
        "row_id": {"type": "integer"},
        "part": part,
        "name": or_null(TEXT),
        **dict.fromkeys(("start_s", "length_s", "path_s", "saves_s"), AMOUNT),
    }
    keys = {
        "session_s": AMOUNT,
        "path_s": object_of(
            parts | {"tail": AMOUNT}, about="Of session_s, by what the critical path passes."
        ),
        "without_s": object_of(parts, about="Less session_s if all of that part took no time."),
        "names": list_of(object_of(name), "Each step's own saving, summed by name: they do not add up."),
        "steps": list_of(
            object_of(step), "Those that save most, each alone; times since the session's start."
        ),
    }
    return or_null(object_of(keys), "What made sessions as long as they were; null: not asked for.")
