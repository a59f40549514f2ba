"""Where the sessions' time and the GPUs' paid time go."""

from __future__ import annotations

from tracekit import units
from tracekit.reports.sections.columns import columns_of, idle_share, labelled_row, share_of_gpu
from tracekit.reports.sections.section import Document, Section, Table
from tracekit.reports.words import SHARES, fleet_name


def time_section(document: Document) -> Section:
    """Session time by what it goes to, GPU time by state, and three numbers that are called idle."""
    parts = columns_of(document)
    shares = [
        labelled_row(words, ((part["share"][key], units.percent) for _name, part in parts))
        for key, words in SHARES.items()
    ]
    replays = document["replays"]
    names = [fleet_name(replay["fleet"]) for replay in replays]
    gpu = [
        labelled_row(state, ((share_of_gpu(replay, "gpu_s", state), units.percent) for replay in replays))
        for state in ("prefill", "mixed", "decode", "idle", "starting")
        if any(replay["gpu_s"][state] for replay in replays)
    ]
    tables = [Table("Session time", ("", *(name for name, _part in parts)), shares)]
    if replays:
        tables.append(Table("GPU time that is paid for", ("", *names), gpu))
    if recorded := document.get("recorded"):
        idle = recorded["idle"]
        rows = [
            labelled_row(words, [(idle[key], units.percent)])
            for key, words in (
                ("tool_share", "tool share of session time"),
                ("no_call_in_flight", "time with no LLM call in flight"),
                ("device_idle", "GPU not utilised (sampled)"),
            )
        ]
        tables.append(Table("Three numbers that are called idle, recorded", ("", "share"), rows))
    return Section("time", "Where time goes", _time_lead(document), tables)


def _time_lead(document: Document) -> str:
    recorded = document.get("recorded")
    words = []
    if recorded and recorded["share"]["tool"] is not None:
        share = recorded["share"]
        words.append(
            f"Sessions spent {units.percent(share['llm'])} of their time in LLM calls alone, "
            f"{units.percent(share['tool'])} in tools alone, {units.percent(share['overlap'])} in both at once."
        )
    idle = [found for replay in document["replays"] if (found := idle_share(replay)) is not None]
    if idle:
        most = units.percent(max(idle))
        span = most if len(idle) == 1 else f"{units.percent(min(idle))} to {most}"
        words.append(f"Replayed, GPUs idle {span} of the time they are paid for.")
    return " ".join(words)
