"""`tracekit analyze`: the recording, and its replay on fleets."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tracekit.commands.options import (
    FORCE,
    JSON,
    REPORT,
    REPORT_FORMAT,
    TRACE_OR_SAMPLES,
    FleetChoice,
    fleet_options,
)
from tracekit.commands.what_if_option import WHAT_IF, scenarios_of
from tracekit.location import Location

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.analyzers.kernels.layout import Workload
    from tracekit.analyzers.recorded import Recorded
    from tracekit.analyzers.replay import Replay
    from tracekit.analyzers.scenario import Fleet
    from tracekit.trace import Trace

SESSIONS_SHOWN = 200
"""Of a report that is read rather than computed with."""


@click.command(
    epilog="Example: tracekit analyze run.parquet --gpu A100-40 --gpu L40S --gpu H100 --replicas 2 -o report.html"
)
@TRACE_OR_SAMPLES
@fleet_options
@WHAT_IF
@click.option(
    "--serves",
    multiple=True,
    metavar="URL=HOST:GPU[,GPU]",
    help="GPUs that answer calls to URL, by index or id, on the host that sampled them; repeatable. "
    " [default: a server on loopback runs on its host's GPUs]",
)
@REPORT
@REPORT_FORMAT
@FORCE
@JSON
def command(
    trace: Location,
    fleet: FleetChoice,
    what_if: tuple[str, ...],
    serves: tuple[str, ...],
    output: Path | None,
    format_name: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Show where TRACE's time, tokens, joules and dollars go, as recorded and on a fleet.

    Without fleet options it replays on the GPUs whose power was recorded while they served, where the catalog
    knows them and the model; else on one assumed GPU, and says so. Repeat --gpu to compare. With -o it also writes
    a report: .html to look at, .md for a pull request, .csv, .json.
    """
    from tracekit.commands.blas import load_without_threads

    load_without_threads()
    from tracekit.commands.reporting import check_report, report_format, shown_command, write_report
    from tracekit.reports.document import to_json
    from tracekit.reports.terminal import print_analysis
    from tracekit.trace import Trace

    chosen = report_format(output, format_name, as_json=as_json)
    if output is not None:
        check_report(output, trace, force=force)
    whole = as_json or chosen in ("csv", "json")
    document = analysis(
        Trace.open(trace),
        fleet,
        serves,
        what_if=what_if,
        charts=as_json or output is not None,
        most_sessions=None if whole else SESSIONS_SHOWN,
    )
    document["command"] = shown_command()
    if output is not None and chosen is not None:
        write_report(output, chosen, document, force=force)
    if as_json:
        click.echo(to_json(document))
    elif str(output) != "-":
        print_analysis(document | {"next": _next_command(trace, fleet, document["replays"])})


def _next_command(trace: Location, choice: FleetChoice, replays: list[dict[str, Any]]) -> str:
    """The first of the fleets again."""
    name = shlex.quote(str(trace))
    if not replays:
        return f"tracekit info {name}"
    words = choice.again(replays[0]["fleet"])
    return f"tracekit replay {name} {shlex.join(words)} -o timeline.parquet"


def analysis(
    trace: Trace,
    choice: FleetChoice,
    serves: Sequence[str] = (),
    *,
    what_if: Sequence[str] = (),
    charts: bool = False,
    most_sessions: int | None = None,
) -> dict[str, Any]:
    """The document of a trace on the fleets chosen; without token counts it has no replays, and says so.

    With `charts` it holds what charts are drawn from; of `per_session` the slowest `most_sessions`, if given.
    """
    from tracekit.analyzers.isolated import isolated_sessions
    from tracekit.analyzers.metering.serving import Serves
    from tracekit.analyzers.recorded import analyze_recording
    from tracekit.analyzers.recorded_timeline import recorded_timeline, slowest_sessions
    from tracekit.analyzers.what_if.replayed import replay_scenario
    from tracekit.analyzers.workload import compile_workload
    from tracekit.commands.compiling import announce_compilation
    from tracekit.errors import ModelDoesNotFit, TraceEmpty
    from tracekit.reports.analysis import analysis_document
    from tracekit.reports.document import replay_document
    from tracekit.reports.over_time import recorded_over_time, replayed_over_time
    from tracekit.reports.replay_assumptions import replay_assumptions
    from tracekit.reports.replay_sources import replay_sources
    from tracekit.reports.savings import savings_document
    from tracekit.reports.what_if import what_if_document, what_if_notes
    from tracekit.schema import Kind

    if not trace.count(Kind.LLM_CALL):
        raise TraceEmpty.of(trace.path, "LLM call", "Nothing was recorded that could be analyzed.")
    recorded = analyze_recording(trace, [Serves.parse(text) for text in serves])
    table = recorded if most_sessions is None else slowest_sessions(recorded, most_sessions)
    over_time = recorded_over_time(recorded_timeline(trace, recorded)) if charts else {}
    try:
        compiled = compile_workload(trace)
    except TraceEmpty as empty:
        return analysis_document(trace, table, [], [f"not replayed: {empty}"], {}, over_time)
    announce_compilation()
    served = _recorded_fleet(recorded, choice)
    fleets = choice.fleets(recorded.models, served if not isinstance(served, str) else None)
    scenarios = scenarios_of(fleets, what_if, choice.file)
    if choice.file is None and not choice.describes_a_fleet() and not what_if:
        try:
            for fleet in fleets:
                fleet.limits()
        except ModelDoesNotFit as error:  # nobody asked for that fleet
            return analysis_document(trace, table, [], [f"not replayed: {error}"], {}, over_time)
    replays, documents = [], []
    for scenario in scenarios:
        under = replay_scenario(compiled.workload, scenario)
        replay = under.replay
        isolated = isolated_sessions(replay.workload, replay.fleet)
        told = replayed_over_time(trace, replay, isolated, compiled.session_row_id) if charts else {}
        replays.append(under)
        told |= {
            "what_if": what_if_document(under),
            "savings": savings_document(trace, replay, compiled.row_id[under.step], compiled.session_row_id),
        }
        documents.append(replay_document(replay, isolated) | told)
    as_recorded = [under.replay for under in replays if not under.scenario.switches]
    comparison, why = _comparison(recorded, compiled.workload, as_recorded, served)
    return analysis_document(
        trace,
        table,
        documents,
        [*why, *what_if_notes(replays), *replay_assumptions(compiled, [under.replay for under in replays])],
        replay_sources([under.replay for under in replays]),
        over_time,
        comparison,
    )


def _recorded_fleet(recorded: Recorded, choice: FleetChoice) -> Fleet | str:
    """The fleet whose joules were measured; else why there is none to replay on, empty without samples."""
    from tracekit.analyzers.metering.against_model import recorded_fleet
    from tracekit.errors import TracekitError

    if recorded.measured is None:
        return ""
    calibration = None if choice.calibration is None else str(choice.calibration)
    fleet = recorded_fleet(recorded.measured, choice.tp, calibration)
    if isinstance(fleet, str):
        return fleet
    try:
        fleet.limits()
    except TracekitError as error:
        return str(error)
    return fleet


def _comparison(
    recorded: Recorded, workload: Workload, replays: list[Replay], served: Fleet | str
) -> tuple[dict[str, Any] | None, list[str]]:
    """Measured against modelled on the recorded GPU and model; or a note on why that cannot be."""
    from tracekit.analyzers.metering.against_model import compare
    from tracekit.analyzers.replay import replay_on
    from tracekit.reports.fleet_document import fleet_document
    from tracekit.reports.measured import comparison_document

    if isinstance(served, str) or recorded.measured is None:
        return None, [f"measured joules are not compared with a replay: {served}"] if served else []
    alike = [replay for replay in replays if replay.fleet.pools == served.pools]
    replay = alike[0] if alike else replay_on(workload, served)
    told = fleet_document(replay)
    return comparison_document(compare(recorded.measured, replay), told, list(served.assumed)), []
