"""The document as a tidy table: one row a view, subject, statistic and source; units in the headers.

`view` is recorded or replayed, `subject` the fleet, the session, the cause or the token class that a row is about.
What a row does not say is empty.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

from tracekit.interchange.spreadsheet import neutral
from tracekit.reports.words import CAUSES, LATENCIES, fleet_name, shown_name

Document = dict[str, Any]
Row = dict[str, Any]
STATISTICS = ("mean", "p50", "p90", "p95", "p99")
_TIMES = {name: f"{name.removesuffix('_s')} [s]" for name in LATENCIES}
COLUMNS = (
    "view",
    "subject",
    "name",
    "statistic",
    "source",
    "n",
    *_TIMES.values(),
    "makespan [s]",
    "llm share [1]",
    "tool share [1]",
    "overlap share [1]",
    "gap share [1]",
    "gpu time [GPU s]",
    "input tokens [tokens]",
    "output tokens [tokens]",
    "cached tokens [tokens]",
    "energy [J]",
    "energy isolated [J]",
    "cost [USD]",
    "cost isolated [USD]",
)
LONGEST_NAME = 200
MODELLED = "modelled"
MEASURED = "measured"


def csv_report(document: Document) -> str:
    """The whole table as text."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_rows(document))
    return text.getvalue()


def _rows(document: Document) -> Iterator[Row]:
    if (recorded := document.get("recorded")) is not None:
        yield from _recorded_rows(recorded)
    for replay in document["replays"]:
        yield from _replay_rows(replay)


def _recorded_rows(recorded: Document) -> Iterator[Row]:
    start = {"view": "recorded", "subject": "all", "source": MEASURED}
    yield from _latency_rows(recorded, start)
    yield start | {
        "statistic": "total",
        "n": recorded["calls"],
        "makespan [s]": recorded["makespan_s"],
        **_shares(recorded["share"]),
        **_tokens(recorded["tokens"]),
    }
    for source, part in recorded["tokens"]["by_source"].items():
        yield start | {
            "subject": "token source",
            "name": source,
            "statistic": "total",
            "source": "estimated" if source == "estimated" else MEASURED,
            "n": part["calls"],
            "input tokens [tokens]": part["input"],
            "output tokens [tokens]": part["output"],
        }
    for device in recorded["power"]:
        for source, key in ((f"{MEASURED} (counter)", "counter_j"), ("integrated", "integral_j")):
            yield start | {
                "subject": "device",
                "name": csv_name(f"{device['name']} ({device['gpu']})"),
                "statistic": "total",
                "source": source,
                "energy [J]": device[key],
            }
    for session in recorded["per_session"]:
        yield start | {
            "subject": "session",
            "name": csv_name(session["name"] or session["session_id"]),
            "statistic": "total",
            "n": session["calls"],
            _TIMES["session_s"]: session["session_s"],
            **_shares(session["share"]),
            **_tokens(session["tokens"]),
        }


def _replay_rows(replay: Document) -> Iterator[Row]:
    start = {
        "view": "replayed",
        "subject": "fleet",
        "name": csv_name(fleet_name(replay["fleet"])),
        "source": MODELLED,
    }
    energy, cost = replay["energy_j"], replay["cost_usd"]
    yield from _latency_rows(replay, start)
    yield start | {
        "statistic": "total",
        "n": replay["calls"],
        "makespan [s]": replay["makespan_s"],
        **_shares(replay["share"]),
        **_tokens(replay["tokens"]),
        "gpu time [GPU s]": replay["gpu_s"]["billed"],
        "energy [J]": energy["total"],
        "cost [USD]": cost["total"],
    }
    yield start | {
        "statistic": "mean of sessions",
        "n": replay["sessions"],
        "energy [J]": energy["per_session"],
        "energy isolated [J]": energy["isolated_per_session"],
        "cost [USD]": cost["per_session"],
        "cost isolated [USD]": cost["isolated_per_session"],
    }
    for state in ("prefill", "mixed", "decode", "idle", "starting"):
        yield start | {
            "subject": f"state: {state}",
            "statistic": "total",
            "gpu time [GPU s]": replay["gpu_s"][state],
            "energy [J]": energy["by_phase"][state],
        }
    for cause in CAUSES:
        yield start | {
            "subject": f"idle: {cause}",
            "statistic": "total",
            "gpu time [GPU s]": replay["idle_s"][cause],
            "energy [J]": energy["by_cause"][cause],
        }


def _latency_rows(part: Document, start: Row) -> Iterator[Row]:
    for statistic in STATISTICS:
        yield start | {
            "statistic": statistic,
            **{column: spread[statistic] for key, column in _TIMES.items() if (spread := part.get(key))},
        }


def _shares(share: Document) -> Row:
    return {f"{name} share [1]": share[name] for name in ("llm", "tool", "overlap", "gap")}


def _tokens(tokens: Document) -> Row:
    return {f"{side} tokens [tokens]": tokens[side] for side in ("input", "output", "cached")}


def csv_name(name: object) -> str:
    """The name, such that no spreadsheet takes it for a formula."""
    return neutral(shown_name(name, LONGEST_NAME))
