"""The document as titled sections of tables: the text behind every chart, and all of the Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from tracekit import units
from tracekit.reports.words import (
    CAUSES,
    CLASSES,
    LATENCIES,
    MEASURED_PHASES,
    SHARES,
    fleet_name,
    session_name,
    shown_name,
)

Document = dict[str, Any]
SLOWEST = 50
PATH_STEPS = 10


class Cell(NamedTuple):
    """A value as people read it, and as it sorts; None sorts last."""

    text: str
    value: float | None = None


class Table(NamedTuple):
    """Rows under columns, the first of which says what a row is."""

    caption: str
    columns: tuple[str, ...]
    rows: list[list[Cell]]


class Section(NamedTuple):
    """One question of the reader's: `lead` answers it in a sentence or two."""

    key: str
    title: str
    lead: str
    tables: list[Table]


def sections(document: Document) -> list[Section]:
    """All sections, in reading order; a table without rows is left out."""
    makers = (_timeline, _time, _energy, _tokens, _latency, _slowest, _assumptions)
    found = (maker(document) for maker in makers)
    return [section._replace(tables=[table for table in section.tables if table.rows]) for section in found]


def summary_table(document: Document) -> Table:
    """The few numbers that one would quote, a column for the recording and for each replay."""
    parts = _parts(document)
    rows = [
        _row("calls", ((part["calls"], units.count) for _name, part in parts)),
        _row("session, p50", ((_of(part["session_s"], "p50"), units.seconds) for _name, part in parts)),
        _row("session, p95", ((_of(part["session_s"], "p95"), units.seconds) for _name, part in parts)),
        _row("time to first token, p95", ((_of(part["ttft_s"], "p95"), units.seconds) for _name, part in parts)),
        _row("session time in tools alone", ((part["share"]["tool"], units.percent) for _name, part in parts)),
        _row("GPU idle", ((_idle(part), units.percent) for _name, part in parts)),
        _row("energy", ((part["energy_j"]["total"], units.energy) for _name, part in parts)),
        _row("energy of a session", ((part["energy_j"].get("per_session"), units.energy) for _name, part in parts)),
        _row("cost", ((_of(part.get("cost_usd"), "total"), units.dollars) for _name, part in parts)),
        _row("cost of a session", ((_of(part.get("cost_usd"), "per_session"), units.dollars) for _name, part in parts)),
    ]  # fmt: skip
    return Table("Summary", ("", *(name for name, _part in parts)), rows)


def _parts(document: Document) -> list[tuple[str, Document]]:
    """What was recorded, if it is in the document, then the replays, by the names of their columns."""
    recorded = document.get("recorded")
    parts = [] if recorded is None else [("recorded (measured)", recorded)]
    return [
        *parts,
        *((f"{fleet_name(replay['fleet'])} (modelled)", replay) for replay in document["replays"]),
    ]


def _row(label: str, values: Iterable[tuple[float | None, Any]]) -> list[Cell]:
    return [Cell(label), *(Cell(shown(value), value) for value, shown in values)]


def _of(part: Document | None, key: str) -> float | None:
    return None if part is None else part[key]


def _idle(part: Document) -> float | None:
    """Of the time that is paid for; of a recording, of the GPUs sampled."""
    if "gpu_s" in part:
        return units.ratio_of(part["gpu_s"]["idle"], part["gpu_s"]["billed"])
    idle: float | None = part["idle"]["device_idle"]
    return idle


def _timeline(document: Document) -> Section:
    recorded = document.get("recorded")
    line = recorded and recorded.get("timeline")
    shown = len(line["sessions"]) if line else 0
    whole = recorded["sessions"] if recorded else 0
    which = f"The {shown} slowest of {whole:,} sessions. " if whole > shown > 0 else ""
    lead = (
        f"{which}Above, what the agents did; below, what the replicas of each replayed fleet do, and why they wait. "
        "The two have a time axis each: a replay times calls anew."
    )
    names = [fleet_name(replay["fleet"]) for replay in document["replays"]]
    rows = [
        _row(
            words,
            (
                (_share_of_gpu(replay, "idle_s", cause), units.percent)
                for replay in document["replays"]
            ),
        )
        for cause, words in CAUSES.items()
        if any(replay["idle_s"][cause] for replay in document["replays"])
    ]  # fmt: skip
    sessions = [
        [
            Cell(session_name(session)),
            Cell(units.seconds(session["start_s"]), session["start_s"]),
            Cell(units.seconds(session["end_s"]), session["end_s"]),
            *(Cell(*_marks(session, kind)) for kind in ("llm_call", "tool_span")),
        ]
        for session in (line["sessions"] if line else ())
    ]
    return Section(
        "timeline",
        "Timeline",
        lead,
        [
            Table("Sessions shown", ("session", "from", "to", "calls", "tools"), sessions),
            Table("Why replicas are idle, of the GPU time paid for", ("cause", *names), rows),
        ],
    )


def _marks(session: Document, kind: str) -> tuple[str, float]:
    count = sum(mark["steps"] for mark in session["marks"] if mark["kind"] == kind)
    return units.count(count), count


def _share_of_gpu(replay: Document, key: str, name: str) -> float | None:
    return units.ratio_of(replay[key][name], replay["gpu_s"]["billed"])


def _time(document: Document) -> Section:
    parts = _parts(document)
    shares = [
        _row(words, ((part["share"][key], units.percent) for _name, part in parts))
        for key, words in SHARES.items()
    ]
    replays = document["replays"]
    names = [fleet_name(replay["fleet"]) for replay in replays]
    gpu = [
        _row(state, ((_share_of_gpu(replay, "gpu_s", state), units.percent) for replay in replays))
        for state in ("prefill", "mixed", "decode", "idle", "starting")
        if any(replay["gpu_s"][state] for replay in replays)
    ]
    tables = [Table("Session time", ("", *(name for name, _part in parts)), shares)]
    if replays:
        tables.append(Table("GPU time that is paid for", ("", *names), gpu))
    if recorded := document.get("recorded"):
        idle = recorded["idle"]
        rows = [
            _row(words, [(idle[key], units.percent)])
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
    idle = [found for replay in document["replays"] if (found := _idle(replay)) is not None]
    if idle:
        most = units.percent(max(idle))
        span = most if len(idle) == 1 else f"{units.percent(min(idle))} to {most}"
        words.append(f"Replayed, GPUs idle {span} of the time they are paid for.")
    return " ".join(words)


def _energy(document: Document) -> Section:
    replays = document["replays"]
    names = [fleet_name(replay["fleet"]) for replay in replays]
    joules, dollars = ([replay[key] for replay in replays] for key in ("energy_j", "cost_usd"))
    views = [
        _row("joules: average view", ((part["per_session"], units.energy) for part in joules)),
        _row("joules: isolated view", ((part["isolated_per_session"], units.energy) for part in joules)),
        _row("dollars: average view", ((part["per_session"], units.dollars) for part in dollars)),
        _row("dollars: isolated view", ((part["isolated_per_session"], units.dollars) for part in dollars)),
    ]  # fmt: skip
    phases = [
        _row(label, ((_energy_of(replay, group, key), units.energy) for replay in replays))
        for label, group, key in (
            ("prefill", "by_phase", "prefill"),
            ("prefill and decode", "by_phase", "mixed"),
            ("decode", "by_phase", "decode"),
            *((f"idle: {words}", "by_cause", cause) for cause, words in CAUSES.items()),
            ("starting", "by_phase", "starting"),
        )
        if any(_energy_of(replay, group, key) for replay in replays)
    ]
    tables = [*_measured_tables(document)]
    if replays:
        tables += [
            Table("A session's joules and dollars, mean", ("", *names), views),
            Table("All joules, by phase and by cause of idleness", ("", *names), phases),
            *(_costliest_table(replay) for replay in replays),
        ]
    lead = (
        "Average: all that the fleet draws and costs, idle time included, shared by its sessions; the shares add up to "
        "the total. Isolated: each session alone on one replica. Joules are those of the GPUs (scope gpu)."
        if replays
        else "Nothing was replayed, so nothing is known but what was measured."
    )
    return Section("energy", "Where joules and dollars go", lead, tables)


def _energy_of(replay: Document, group: str, key: str) -> float:
    value: float = replay["energy_j"][group].get(key, 0.0)
    return value


def _measured_tables(document: Document) -> list[Table]:
    recorded = document.get("recorded")
    if not recorded:
        return []
    rows = [
        [
            Cell(f"{shown_name(device['name'])} ({device['gpu']})"),
            Cell(_with_error(device["counter_j"], device["counter_error_j"]), device["counter_j"]),
            Cell(_with_error(device["integral_j"], device["integral_error_j"]), device["integral_j"]),
            Cell(units.seconds(device["seconds"]), device["seconds"]),
        ]
        for device in recorded["power"]
    ]
    devices = Table("Measured while recording", ("device", "by counter", "integrated", "sampled over"), rows)
    return [devices, _measured_phases(recorded["energy_j"]), *_comparison_tables(document)]


def _measured_phases(energy: Document) -> Table:
    """Of GPUs that serve the calls; without rows where none does."""
    rows = [
        _joules_row(energy, group, key, words)
        for group, key, words in (
            *(("by_phase", phase, words) for phase, words in MEASURED_PHASES.items()),
            *(("by_cause", cause, f"idle: {words}") for cause, words in CAUSES.items()),
        )
        if energy.get(group, {}).get(key, 0.0) != 0.0
    ]
    return Table("Where measured joules go", ("", "energy", "share"), rows)


def _joules_row(energy: Document, group: str, key: str, words: str) -> list[Cell]:
    value_j = energy[group][key]
    share = None if value_j is None else units.ratio_of(value_j, energy["total"])
    shown = _with_error(value_j, energy["bound"][group][key])
    return [Cell(words), Cell(shown, value_j), Cell(units.percent(share), share)]


def _comparison_tables(document: Document) -> list[Table]:
    comparison = document.get("measured_against_modelled")
    if not comparison:
        return []
    rows = [
        [
            Cell(phase),
            Cell(_with_error(row["measured_j"], row["bound_j"]), row["measured_j"]),
            Cell(units.energy(row["modelled_j"]), row["modelled_j"]),
            Cell(units.percent(row["difference"]), row["difference"]),
        ]
        for phase, row in comparison["phases"].items()
    ]
    caption = f"Measured against modelled on {fleet_name(comparison['fleet'])}"
    return [Table(caption, ("", "measured", "modelled", "difference"), rows)]


def _with_error(value_j: float | None, error_j: float | None) -> str:
    error = "" if value_j is None or error_j is None else f" ± {units.energy(error_j)}"
    return units.energy(value_j) + error


def _costliest_table(replay: Document) -> Table:
    rows = [
        [
            Cell(session_name(session)),
            Cell(units.seconds(session["session_s"]), session["session_s"]),
            Cell(units.energy(session["energy_j"]), session["energy_j"]),
            Cell(units.energy(session["isolated_energy_j"]), session["isolated_energy_j"]),
            Cell(units.dollars(session["cost_usd"]), session["cost_usd"]),
        ]
        for session in replay.get("costliest_sessions") or ()
    ]
    return Table(
        f"Costliest sessions on {fleet_name(replay['fleet'])}",
        ("session", "time", "energy, average", "energy, isolated", "cost, average"),
        rows,
    )


def _tokens(document: Document) -> Section:
    parts = _parts(document)
    totals = [
        _row(side, ((part["tokens"][side], units.count) for _name, part in parts))
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
            _row("read from the server's prefix cache", [(prefix["server_cached"], units.percent)]),
            _row("seen before, in prompts or answers", [(prefix["shareable"], units.percent)]),
            *(
                _row(
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
    words = f"{units.count(tokens['input'])} tokens in, {units.count(tokens['output'])} out."
    return (
        words
        if shareable is None
        else f"{words} {units.percent(shareable)} of the input had been seen before."
    )


def _latency(document: Document) -> Section:
    columns = ("", "n", "mean", "p50", "p90", "p95", "p99")
    tables = []
    for name, part in _parts(document):
        rows = [
            [
                Cell(words),
                Cell(units.count(spread["n"]), spread["n"]),
                *(
                    Cell(units.seconds(spread[key]), spread[key])
                    for key in ("mean", "p50", "p90", "p95", "p99")
                ),
            ]
            for key, words in LATENCIES.items()
            if (spread := part.get(key)) is not None
        ]
        tables.append(Table(f"Latency, {name}", columns, rows))
    return Section(
        "latency",
        "Latency",
        "How many percent of calls, or sessions, took no longer than this.",
        tables,
    )


def _slowest(document: Document) -> Section:
    recorded = document.get("recorded")
    if not recorded:
        return Section("sessions", "Slowest sessions", "What was recorded is not part of this document.", [])
    ordered = sorted(recorded["per_session"], key=lambda session: -(session["session_s"] or 0))[:SLOWEST]
    rows = [
        [
            Cell(session_name(session)),
            Cell(units.seconds(session["session_s"]), session["session_s"]),
            Cell(units.count(session["calls"]), session["calls"]),
            Cell(units.count(session["tools"]), session["tools"]),
            *(Cell(units.count(session["tokens"][side]), session["tokens"][side]) for side in ("input", "output")),
            *(Cell(units.percent(session["share"][key]), session["share"][key]) for key in SHARES),
        ]
        for session in ordered
    ]  # fmt: skip
    count = recorded["sessions"]
    which = "All sessions" if count <= SLOWEST else f"The slowest {SLOWEST} of {count:,} sessions"
    columns = ("session", "time", "calls", "tools", "input", "output", "LLM", "tools only", "both", "neither")
    paths = recorded.get("critical_paths") or []
    return Section(
        "sessions",
        "Slowest sessions",
        "A session's critical path is the chain of steps that made it as long as it was: shorten one of these, or "
        "nothing changes.",
        [
            Table(f"{which} (recorded)", columns, rows),
            Table(
                "Critical paths of the slowest sessions (recorded)",
                ("session", "time", "LLM calls", "tools", "waiting", "steps"),
                [_path_row(path) for path in paths],
            ),
            *(_steps_table(path) for path in paths),
        ],
    )


def _path_row(path: Document) -> list[Cell]:
    times = (path[key] for key in ("session_s", "llm_s", "tool_s", "wait_s"))
    return [
        Cell(session_name(path)),
        *(Cell(units.seconds(time_s), time_s) for time_s in times),
        Cell(units.count(path["count"]), path["count"]),
    ]


def _steps_table(path: Document) -> Table:
    longest = sorted(path["steps"], key=lambda step: -step["own_s"])[:PATH_STEPS]
    rows = [
        [
            Cell(step_name(step)),
            Cell(units.seconds(step["start_s"]), step["start_s"]),
            Cell(units.seconds(step["wait_s"]), step["wait_s"]),
            Cell(units.seconds(step["own_s"]), step["own_s"]),
        ]
        for step in longest
    ]
    return Table(
        f"Longest steps on the critical path of {session_name(path)}",
        ("step", "from", "waited before", "took"),
        rows,
    )


def step_name(step: Document) -> str:
    """A call by its model, a tool by its name."""
    name = shown_name(step["name"] or "") or "unnamed"
    return f"call of {name}" if step["kind"] == "llm_call" else f"tool {name}"


def _assumptions(document: Document) -> Section:
    replays = document["replays"]
    sources = [[Cell(name), Cell(source)] for name, source in document["sources"].items()]
    bands = [
        [
            Cell(fleet_name(replay["fleet"])),
            Cell(replay["tier"]),
            Cell(_band(replay["error"]["itl"])),
            Cell(_band(replay["error"]["power"])),
        ]
        for replay in replays
    ]
    notes = [[Cell(note)] for note in document["assumptions"]]
    assumed = dict.fromkeys(name for replay in replays for name in replay["assumed"])
    guesses = [[Cell(name)] for name in assumed]
    unseen = [[Cell(phrase)] for phrase in document.get("not_seen") or ()]
    return Section(
        "assumptions",
        "Assumptions and sources",
        "Recorded numbers are measured; replayed numbers are modelled, by formulas whose error is given here.",
        [
            Table("Assumed because nobody said", ("assumed",), guesses),
            Table("Error of the model", ("fleet", "tier", "time of a step", "power"), bands),
            Table("Where numbers come from", ("numbers", "source"), sources),
            Table("Taken for granted", ("assumption",), notes),
            Table("Not seen while recording", ("what",), unseen),
        ],
    )


def _band(error: Document | None) -> str:
    if error is None:
        return "unknown"
    return f"{units.percent(error['mape'])} mean, {units.percent(error['median_ape'])} median ({error['on']})"
