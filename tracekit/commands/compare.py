"""`tracekit compare`: workflow against workflow, each replayed on the same fleet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tracekit.commands.options import FORCE, JSON, REPORT, REPORT_FORMAT, FleetChoice, fleet_options
from tracekit.commands.trace_file import TraceFile
from tracekit.commands.what_if_option import refuse_what_if
from tracekit.location import Location, location_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SCALES = {"k": 1e3, "M": 1e6, "B": 1e9, "G": 1e9}


class Queries(click.ParamType[float]):
    """`71400000`, `71.4M`, `13.7B`."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number. Fails where it is none, or not above 0."""
        text = str(value)
        scale = _SCALES.get(text[-1:], 1.0)
        try:
            number = float(text[:-1] if scale > 1 else text) * scale
        except ValueError:
            self.fail(f"'{value}' is not a number of queries; write 50000, 71.4M or 13.7B", param, ctx)
        if not 0 < number < float("inf"):
            self.fail(f"'{value}' is not above 0", param, ctx)
        return number


class NamedTrace(TraceFile):
    """A trace, or `NAME=` before it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The name of the workflow, and where its trace is."""
        if isinstance(value, tuple):
            return value
        whole = location_of(str(value))
        name, equals, file = str(value).partition("=")
        if equals and name and file and isinstance(whole, Path) and not whole.exists():
            return name, location_of(file)
        return whole.stem, whole


@click.command(
    epilog="Example: tracekit compare chat.parquet react.parquet --baseline chat --gpu H100 --queries-per-day 71.4M"
)
@click.argument("traces", metavar="TRACE...", nargs=-1, required=True, type=NamedTrace())
@click.option("--baseline", metavar="NAME", help="Workflow that ratios are against.  [default: the first]")
@click.option(
    "--queries-per-day",
    type=Queries(),
    help="Sessions asked for in a day: MW, $ and CO2 a year. 71.4M is a query a day of 500 M weekly users.",
)
@fleet_options
@REPORT
@REPORT_FORMAT
@FORCE
@JSON
def command(
    traces: tuple[tuple[str, Location], ...],
    baseline: str | None,
    queries_per_day: float | None,
    fleet: FleetChoice,
    output: Path | None,
    format_name: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Compare workflows, a TRACE each: latency, energy, idle, cost, each as so many times the baseline.

    A workflow is called as its file is, or NAME=FILE. All are replayed on the same fleet; repeat --gpu for more.
    With -o it also writes a report: .html to look at, .md for a pull request, .csv, .json.
    """
    from tracekit.commands.blas import load_without_threads

    load_without_threads()
    from tracekit.analyzers.demand import Demand
    from tracekit.commands.reporting import check_report, report_format, shown_command, write_report
    from tracekit.errors import UnknownName
    from tracekit.reports.comparison import comparison_document, workflow_baseline
    from tracekit.reports.comparison_tables import print_comparison
    from tracekit.reports.document import to_json

    refuse_what_if(fleet.file, "compare")
    chosen = report_format(output, format_name, as_json=as_json)
    named = _named(traces)
    if output is not None:
        for trace in named.values():
            check_report(output, trace, force=force)
    reference = workflow_baseline(list(named), [str(path) for path in named.values()], baseline)
    if reference is None:
        raise UnknownName.among("baseline", str(baseline), named)
    workflows, assumptions, sources = compared(named, fleet)
    demand = None if queries_per_day is None else Demand(queries_per_day)
    document = comparison_document(workflows, reference, demand, assumptions, sources)
    document["command"] = shown_command()
    if output is not None and chosen is not None:
        write_report(output, chosen, document, force=force)
    if as_json:
        click.echo(to_json(document))
    elif str(output) != "-":
        print_comparison(document)


def _named(traces: Sequence[tuple[str, Location]]) -> dict[str, Location]:
    """The traces by workflow; file names that occur twice are told apart by their whole path."""
    names = [name for name, _path in traces]
    unique = {name if names.count(name) == 1 else str(path): path for name, path in traces}
    if len(unique) < len(traces):
        raise click.UsageError(
            "Two workflows have the same name, or one trace is given twice; write NAME=FILE."
        )
    return unique


def compared(
    named: Mapping[str, Location], choice: FleetChoice
) -> tuple[list[Any], list[str], dict[str, str]]:
    """The workflows replayed, what that takes for granted, and where its numbers come from.

    Raises
    ------
    TraceEmpty : a trace has no session, or no call with token counts.
    """
    from tracekit.analyzers.recorded import analyze_recording
    from tracekit.analyzers.workload import compile_workload
    from tracekit.commands.compiling import announce_compilation
    from tracekit.errors import TraceEmpty
    from tracekit.reports.comparison import Workflow
    from tracekit.schema import Kind
    from tracekit.trace import Trace

    opened = {name: Trace.open(path) for name, path in named.items()}
    for trace in opened.values():
        if not trace.count(Kind.SESSION):
            raise TraceEmpty.of(trace.path, "session", "A workflow is compared by its sessions.")
    recorded = {name: analyze_recording(trace) for name, trace in opened.items()}
    compiled = {name: compile_workload(trace) for name, trace in opened.items()}
    fleets = choice.fleets(sorted({model for one in recorded.values() for model in one.models}))
    announce_compilation()
    workflows, notes, sources = [], dict[str, list[str]](), dict[str, str]()
    for name, trace in opened.items():
        documents, notes[name], sources = _replayed(compiled[name], fleets)
        workflows.append(Workflow(name, trace, recorded[name], documents))
    return workflows, _told_once(notes), sources


def _replayed(compiled: Any, fleets: Sequence[Any]) -> tuple[list[Any], list[str], dict[str, str]]:
    from tracekit.analyzers.isolated import isolated_sessions
    from tracekit.analyzers.replay import replay_on
    from tracekit.reports.document import replay_document
    from tracekit.reports.replay_assumptions import replay_assumptions
    from tracekit.reports.replay_sources import replay_sources

    replays = [replay_on(compiled.workload, fleet) for fleet in fleets]
    documents = [
        replay_document(replay, isolated_sessions(compiled.workload, replay.fleet)) for replay in replays
    ]
    return documents, replay_assumptions(compiled, replays), replay_sources(replays)


def _told_once(notes: dict[str, list[str]]) -> list[str]:
    """What holds for every workflow without their names, the rest with them."""
    from tracekit.reports.words import shown_name

    of_all = set.intersection(*(set(told) for told in notes.values()))
    return list(
        dict.fromkeys(
            note if note in of_all else f"{shown_name(name)}: {note}"
            for name, told in notes.items()
            for note in told
        )
    )
