"""`tracekit replay`: a trace on one fleet, as a table, JSON or a timeline file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tracekit.commands.options import (
    FORCE,
    JSON,
    REPORT_FORMAT,
    TRACE,
    FleetChoice,
    fleet_options,
)
from tracekit.commands.release_options import ReleaseChoice, Released, release_options
from tracekit.commands.what_if_option import WHAT_IF, scenarios_of
from tracekit.location import Location

if TYPE_CHECKING:
    from tracekit.analyzers.kernels.layout import Ints
    from tracekit.analyzers.what_if.replayed import ScenarioReplay
    from tracekit.analyzers.workload import Compiled

TIMELINE = ".parquet"


@click.command(
    epilog="Example: tracekit replay run.parquet --gpu H100 --model Llama-3.1-8B --replicas 2 --rate 5/s --sessions 500"
)
@TRACE
@fleet_options
@release_options
@WHAT_IF
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Also write a report (.html, .md, .csv, .json; - for stdout, alone), or every call and replica segment "
    "(.parquet).",
)
@REPORT_FORMAT
@FORCE
@JSON
def command(
    trace: Location,
    fleet: FleetChoice,
    release: ReleaseChoice,
    what_if: tuple[str, ...],
    output: Path | None,
    format_name: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Replay TRACE on a GPU fleet that may not exist yet: calls are timed anew, tools keep their length."""
    from tracekit.commands.blas import load_without_threads

    load_without_threads()
    from tracekit.analyzers.columns import codes
    from tracekit.analyzers.what_if.replayed import replay_scenario
    from tracekit.analyzers.workload import compile_workload
    from tracekit.commands.compiling import announce_compilation
    from tracekit.commands.reporting import check_report, report_format, shown_command, write_report
    from tracekit.reports.document import SCHEMA_VERSION, replay_document, to_json
    from tracekit.reports.replay_assumptions import replay_assumptions
    from tracekit.reports.replay_sources import replay_sources
    from tracekit.reports.savings_parts import savings_parts
    from tracekit.reports.what_if import what_if_document, what_if_notes
    from tracekit.schema import Kind
    from tracekit.trace import Trace

    chosen = report_format(output, format_name, as_json=as_json, others=(TIMELINE,))
    if output is not None:
        check_report(output, trace, force=force)
    release.check()
    opened = Trace.open(trace)
    _indices, models = codes(opened.rows(Kind.LLM_CALL, ["model"]), "model")
    fleets = fleet.fleets(models)
    if len(fleets) > 1:
        raise click.UsageError("replay takes one --gpu; `tracekit analyze` compares several.")
    scenario = scenarios_of(fleets, what_if, fleet.file, release.seed)[0]
    compiled = compile_workload(opened)
    released = release.released(compiled)
    announce_compilation()
    under = replay_scenario(released.workload, scenario)
    replay = under.replay
    rows = _step_rows(compiled, released.drawn)[under.step]
    document = {
        "schema_version": SCHEMA_VERSION,
        "trace": str(trace),
        **replay_document(replay, None),
        "what_if": what_if_document(under),
        "savings": savings_parts(replay),
        "release": released.settings,
        "steady": _steady(compiled, released, under),
        "assumptions": [
            *what_if_notes([under]),
            *replay_assumptions(
                compiled, [replay], open_loop=release.name == "open-loop", is_drawn=released.is_drawn
            ),
        ],
        "sources": replay_sources([replay]),
        "command": shown_command(),
    }
    if as_json or chosen is not None:
        from tracekit.reports.over_time import replayed_over_time
        from tracekit.reports.savings import savings_document

        session_rows = compiled.session_row_id[released.drawn]
        document["savings"] = savings_document(opened, replay, rows, session_rows)
        document |= replayed_over_time(opened, replay, None, session_rows)
    if output is not None and chosen is not None:
        write_report(output, chosen, document, force=force)
    elif output is not None:
        from tracekit.analyzers.isolated import isolated_calls_j
        from tracekit.reports.timeline_file import write_timeline

        write_timeline(
            output,
            replay,
            document,
            rows,
            compiled.session_row_id[released.drawn],
            isolated_calls_j(replay.workload, replay.fleet, replay.timeline.outcome.calls["cached_tokens"]),
            force=force,
        )
        click.echo(f"tracekit: wrote {output}", err=True)
    if str(output) != "-":
        _show(document, as_json=as_json, to_json=to_json)


def _steady(compiled: Compiled, released: Released, under: ScenarioReplay) -> dict[str, Any] | None:
    """The steady part of a replay whose sessions were drawn; None of any other."""
    from tracekit.analyzers.unloaded import unloaded_session_p95_s
    from tracekit.analyzers.what_if.changed import changed
    from tracekit.reports.document import steady_document

    if not released.is_drawn:
        return None
    scenario = under.scenario
    recorded = changed(compiled.workload, scenario.changes, scenario.seed).workload
    alone_s = unloaded_session_p95_s(recorded, released.drawn, scenario.fleet)
    return steady_document(under.replay, alone_s)


def _step_rows(compiled: Compiled, drawn: Ints) -> Ints:
    """The trace's row of every step of the released workload."""
    import numpy as np

    start = compiled.workload.session_step_start
    return np.concatenate([compiled.row_id[start[session] : start[session + 1]] for session in drawn])


def _show(document: dict[str, Any], *, as_json: bool, to_json: Any) -> None:
    if as_json:
        click.echo(to_json(document))
    else:
        from tracekit.reports.terminal import print_replay

        print_replay(document | {"replays": [document]})
