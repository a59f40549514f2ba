"""`tracekit analyze`: the recording, and its replay on fleets."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tracekit.commands.options import JSON, TRACE_OR_SAMPLES, FleetChoice, fleet_options

if TYPE_CHECKING:
    from tracekit.trace import Trace


@click.command(
    epilog="Example: tracekit analyze run.parquet --gpu A100-40 --gpu L40S --gpu H100 --replicas 2"
)
@TRACE_OR_SAMPLES
@fleet_options
@JSON
def command(trace: Path, fleet: FleetChoice, as_json: bool) -> None:
    """Show where TRACE's time, tokens, joules and dollars go, as recorded and on a fleet.

    Without fleet options it replays on one assumed GPU, and says so. Repeat --gpu to compare.
    """
    from tracekit.commands.blas import load_without_threads

    load_without_threads()
    from tracekit.reports.document import to_json
    from tracekit.reports.terminal import print_analysis
    from tracekit.trace import Trace

    document = analysis(Trace.open(trace), fleet)
    if as_json:
        click.echo(to_json(document))
    else:
        name = shlex.quote(str(trace))
        replay = f"tracekit replay {name} --gpu H100 --model Llama-3.1-8B --replicas 2 -o timeline.parquet"
        document["next"] = replay if document["replays"] else f"tracekit info {name}"
        print_analysis(document)


def analysis(trace: Trace, choice: FleetChoice) -> dict[str, Any]:
    """The document of a trace on the fleets chosen; without token counts it has no replays, and says so."""
    from tracekit.analyzers.isolated import isolated_sessions_j
    from tracekit.analyzers.recorded import analyze_recording
    from tracekit.analyzers.replay import replay_on
    from tracekit.analyzers.workload import compile_workload
    from tracekit.commands.compiling import announce_compilation
    from tracekit.errors import TraceEmpty
    from tracekit.reports.analysis import analysis_document
    from tracekit.reports.document import replay_assumptions, replay_document, replay_sources
    from tracekit.schema import Kind

    if not trace.count(Kind.LLM_CALL):
        raise TraceEmpty.of(trace.path, "LLM call", "Nothing was recorded that could be analyzed.")
    recorded = analyze_recording(trace)
    try:
        compiled = compile_workload(trace)
    except TraceEmpty as empty:
        return analysis_document(trace, recorded, [], [f"not replayed: {empty}"], {})
    announce_compilation()
    replays = [replay_on(compiled.workload, fleet) for fleet in choice.fleets(recorded.models)]
    documents = [
        replay_document(replay, isolated_sessions_j(compiled.workload, replay.fleet)) for replay in replays
    ]
    return analysis_document(
        trace, recorded, documents, replay_assumptions(compiled, replays), replay_sources(replays)
    )
