"""Tokens by class and by who counted them, and what of the input was there before."""

from __future__ import annotations

from tracekit import units
from tracekit.reports.sections.columns import columns_of, labelled_row
from tracekit.reports.sections.section import Cell, Document, Section, Table
from tracekit.reports.words import CLASSES, fleet_name, token_sum


def tokens_section(document: Document) -> Section:
    """Tokens of the recording and of each replay, classes, prefix reuse, and who counted."""
    parts = columns_of(document)
    totals = [
        labelled_row(side, ((part["tokens"][side], units.count) for _name, part in parts))
        for side in ("input", "output", "cached")
    ]
    tables = [Table("Tokens", ("", *(name for name, _part in parts)), totals)]
    lead = "Tokens by what they are, and how much of the input was there before."
    if recorded := document.get("recorded"):
        by_class, prefix = recorded["tokens"]["by_class"], recorded["prefix"]
        if by_class is not None:
            whole = sum(by_class.values())
            rows = [
                [
                    Cell(words),
                    Cell(units.count(by_class[key]), by_class[key]),
                    Cell(units.percent(units.ratio_of(by_class[key], whole))),
                ]
                for key, words in CLASSES.items()
            ]
            tables.append(Table("Recorded tokens by class", ("class", "tokens", "share"), rows))
        reuse = [
            labelled_row("read from the server's prefix cache", [(prefix["server_cached"], units.percent)]),
            labelled_row("seen before, in prompts or answers", [(prefix["shareable"], units.percent)]),
            *(
                labelled_row(
                    f"found in the cache on {fleet_name(replay['fleet'])} (modelled)",
                    [(replay["prefix_hit_fraction"], units.percent)],
                )
                for replay in document["replays"]
            ),
        ]
        tables.append(Table("Prefix reuse, of all input tokens", ("", "share of input"), reuse))
        sources = [
            [Cell(source), Cell(units.count(part["calls"]), part["calls"]),
             Cell(units.count(part["input"]), part["input"]), Cell(units.count(part["output"]), part["output"])]
            for source, part in recorded["tokens"]["by_source"].items()
        ]  # fmt: skip
        tables.append(Table("Who counted", ("source", "calls", "input", "output"), sources))
        lead = _token_lead(recorded)
    return Section("tokens", "Tokens and prefix reuse", lead, tables)


def _token_lead(recorded: Document) -> str:
    tokens, shareable = recorded["tokens"], recorded["prefix"]["shareable"]
    if tokens["input"] is None:
        return "No server counted the tokens of these calls."
    words = f"{token_sum(tokens, 'input')} tokens in, {token_sum(tokens, 'output')} out."
    return (
        words
        if shareable is None
        else f"{words} {units.percent(shareable)} of the input had been seen before."
    )
