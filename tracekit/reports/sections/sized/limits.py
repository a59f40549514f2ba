"""What binds, what smaller fleets miss, and the largest rate."""

from __future__ import annotations

from tracekit.reports.sections.section import Cell, Document, Section, Table
from tracekit.reports.sections.sized.cells import dollars_cell, full_name
from tracekit.units import dollars

NEIGHBOURS = {
    "needed": "smallest of its kind that holds",
    "one_fewer": "one replica fewer",
    "next_cheaper": "next cheaper of all",
    "with_small": "best with the small model",
    "without_small": "best without the small model",
}


def limits_section(document: Document) -> Section:
    """What binds, and what the next cheaper fleets break."""
    rows = []
    for key, words in NEIGHBOURS.items():
        verdict = document[key]
        if verdict is not None:
            rows.append(
                [
                    Cell(words),
                    Cell(full_name(verdict)),
                    dollars_cell(verdict["cost_usd"]["per_month"]),
                    Cell(f"{verdict['meeting']} of {verdict['replicates']}", verdict["meeting"]),
                    Cell(misses_text(verdict)),
                ]
            )
    return Section(
        "smaller",
        "What binds, and how far it goes",
        _binding_words(document),
        [
            Table(
                "Fleets beside it",
                ("", "fleet", "a month", "replicates met", "misses, of the replicates"),
                rows,
            )
        ],
    )


def misses_text(verdict: Document) -> str:
    """Which objectives a fleet misses, in how many replicates."""
    missed = [
        f"{slo['name'].replace('_', ' ')} in {slo['missed']}" for slo in verdict["slos"] if slo["missed"]
    ]
    if verdict["unstable"]:
        missed.append(f"keeping up in {verdict['unstable']}")
    return ", ".join(missed) or "nothing"


def _binding_words(document: Document) -> str:
    words = []
    if document["binds"]:
        words.append(f"What binds: {document['binds'].replace('_', ' ')}.")
    words += _small_model_words(document)
    found = document["headroom"]
    if found is not None:
        words.append(_headroom_words(found, document["question"]["rate_per_s"]))
    return " ".join(words)


def _small_model_words(document: Document) -> list[str]:
    """Whether a small model for some of the calls pays."""
    usd = document["answer"] and document["answer"]["cost_usd"]["per_month"]
    if without := document["without_small"]:
        other = without["cost_usd"]["per_month"]
        return [f"The best fleet without the small model costs {dollars(other)} a month, not {dollars(usd)}."]
    if beside := document["with_small"]:
        other = beside["cost_usd"]["per_month"]
        return [f"The best fleet with the small model costs {dollars(other)} a month, not {dollars(usd)}."]
    return []


def _headroom_words(found: Document, asked_per_s: float) -> str:
    holds_per_s = found["holds_per_s"]
    by = f"by {found['replicates']} replicates each"
    if holds_per_s is None:
        return f"It holds no rate down to {found['fails_per_s']:.3g} sessions/s, {by}."
    if found["fails_per_s"] is None:
        return f"It holds {holds_per_s:.3g} sessions/s and more, {by}."
    times = f"{holds_per_s / asked_per_s:.2f} times the rate asked for"
    return f"It holds up to {holds_per_s:.3g} sessions/s, {times}, and not {found['fails_per_s']:.3g}, {by}."
