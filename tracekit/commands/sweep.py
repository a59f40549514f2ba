"""`tracekit sweep`: a product of switches, every scenario replayed, and which of them nobody beats."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tracekit.commands.engine_options import EngineChoice, command_for_numbers, engine_options
from tracekit.commands.options import FORCE, JSON, REPORT_FORMAT, FleetChoice, fleet_options
from tracekit.commands.release_options import DRAWN, ReleaseChoice, release_options
from tracekit.commands.sweep_options import SweepChoice, sweep_options
from tracekit.commands.trace_file import TraceFile
from tracekit.commands.what_if_option import WHAT_IF
from tracekit.location import Location

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tracekit.analyzers.scenario import Fleet, Pool
    from tracekit.analyzers.sweep.figures import Figures
    from tracekit.analyzers.sweep.grid import Grid
    from tracekit.analyzers.sweep.objective import Objective
    from tracekit.analyzers.sweep.sweep import Plan, Swept
    from tracekit.analyzers.sweep.task import Released
    from tracekit.analyzers.what_if.asked import Asked
    from tracekit.analyzers.workers.journal import Journal
    from tracekit.analyzers.workload import Compiled
    from tracekit.reports.on_fleet import FleetAlone
    from tracekit.trace import Trace

TABLE = ".parquet"
INTERRUPTED = 130


@click.command(
    epilog="Example: tracekit sweep run.parquet --gpu H100 --over replicas=1,2,4 --over router=least-outstanding,"
    "prefix-aware --rate 2/s --seeds 3 -o sweep.html"
)
@click.argument("traces", metavar="TRACE...", nargs=-1, required=True, type=TraceFile())
@sweep_options
@engine_options("points")
@fleet_options
@release_options
@WHAT_IF
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Also write every point (.csv, .parquet, .json) or a report (.html, .md); - for stdout, alone.",
)
@REPORT_FORMAT
@FORCE
@JSON
def command(
    traces: tuple[Location, ...],
    sweep: SweepChoice,
    where: EngineChoice,
    fleet: FleetChoice,
    release: ReleaseChoice,
    what_if: tuple[str, ...],
    output: Path | None,
    format_name: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Replay TRACE under every combination of switches, and show which of them no other beats.

    A point is a combination of the values of every --over. The Pareto front holds the points that no other is as good
    as in everything that --minimise names, and better in something.
    """
    from tracekit.commands.blas import load_without_threads

    load_without_threads()
    from tracekit.analyzers.sweep.objective import objectives_of
    from tracekit.analyzers.sweep.sweep import plan, swept
    from tracekit.analyzers.workload import compile_workload
    from tracekit.commands.compiling import announce_compilation
    from tracekit.commands.reporting import report_format
    from tracekit.reports.sweep import Asked, sweep_document
    from tracekit.trace import Trace

    chosen = report_format(output, format_name, as_json=as_json, others=(TABLE,))
    _check_outputs(output, sweep, traces, force=force)
    where.check(output, force=force)
    release.check()
    objectives = objectives_of(sweep.minimise)
    opened = [Trace.open(trace) for trace in traces]
    grid, fixed = _grid(opened, sweep, fleet, what_if)
    seeds = _seeds(sweep, release, grid)
    compiled = [compile_workload(trace) for trace in opened]
    released, settings = _released(opened, compiled, release, seeds)
    _check_scores(traces, released, objectives)
    planned = plan(grid.points, released, seeds)
    announce_compilation()
    points = swept(grid.points, planned, _figures(planned, where, output))
    fleets = _fleets(grid)
    document = sweep_document(
        Asked([str(trace) for trace in traces], grid.axes, fixed, settings, seeds, objectives, grid.repeated),
        points,
        _assumptions(traces, compiled, fleets, settings["name"]),
        _sources(fleets, points),
        command_for_numbers(),
    )
    _tell(document, output, chosen, sweep.plot, where, force=force, as_json=as_json)


def _check_outputs(
    output: Path | None, sweep: SweepChoice, traces: Sequence[Location], *, force: bool
) -> None:
    """Refuse early what writing would refuse late. Raises OutputRefused."""
    from tracekit.commands.reporting import STDOUT, check_report
    from tracekit.reports.scatter import check_plot

    if sweep.plot is not None:
        check_plot(sweep.plot, force=force)
    if output is None or str(output) == STDOUT:
        return
    for trace in traces:
        check_report(output, trace, force=force)


def _grid(
    opened: Sequence[Trace], sweep: SweepChoice, fleet: FleetChoice, what_if: Sequence[str]
) -> tuple[Grid, Asked]:
    """Every scenario, and what is switched in all of them."""
    from tracekit.analyzers.columns import codes
    from tracekit.analyzers.sweep.grid import grid
    from tracekit.analyzers.what_if.asked import parse_what_if, what_if_of_file
    from tracekit.analyzers.what_if.scenario import Scenario
    from tracekit.schema import Kind

    axes = sweep.axes(fleet.file)
    models = {name for trace in opened for name in codes(trace.rows(Kind.LLM_CALL, ["model"]), "model")[1]}
    fleets = fleet.fleets(sorted(models))
    if len(fleets) > 1:
        raise click.UsageError("sweep takes one --gpu; --over gpu=H100,A100 varies it.")
    fixed = ({} if fleet.file is None else what_if_of_file(fleet.file)) | parse_what_if(*what_if)
    varied = {axis.name for axis in axes}
    fixed = {name: value for name, value in fixed.items() if name not in varied}
    return grid(Scenario(fleets[0]), axes, fixed), fixed


def _seeds(sweep: SweepChoice, release: ReleaseChoice, grid: Grid) -> list[int]:
    draws = release.name in DRAWN or any(
        point.scenario is not None and point.scenario.changes.speculative is not None for point in grid.points
    )
    if sweep.seeds > 1 and not draws:
        raise click.UsageError(
            f"--seeds {sweep.seeds} would replay the same thing {sweep.seeds} times: nothing here is drawn. Give a "
            "--rate, or sweep over tools.speculative."
        )
    return list(range(release.seed, release.seed + sweep.seeds))


def _released(
    opened: Sequence[Trace], compiled: Sequence[Compiled], release: ReleaseChoice, seeds: Sequence[int]
) -> tuple[list[list[Released]], dict[str, Any]]:
    """Each trace's workload under each seed, and how that was chosen."""
    from tracekit.analyzers.sweep.quality import session_scores
    from tracekit.analyzers.sweep.task import Released

    settings: dict[str, Any] = {}
    told: list[list[Released]] = []
    for trace, one in zip(opened, compiled, strict=True):
        scores = session_scores(trace, one.session_row_id)
        told.append([])
        for seed in seeds:
            drawn = replace(release, seed=seed).released(one)
            told[-1].append(Released(drawn.workload, scores[drawn.drawn]))
            settings = settings or drawn.settings
    return told, {name: value for name, value in settings.items() if name not in ("seed", "first_arrival_s")}


def _check_scores(
    traces: Sequence[Location], released: Sequence[Sequence[Released]], objectives: Sequence[Objective]
) -> None:
    import numpy as np

    from tracekit.analyzers.sweep.objective import QUALITY
    from tracekit.errors import SweepInvalid

    is_asked = any(objective.name == QUALITY for objective in objectives)
    if is_asked and all(np.isnan(one.score).all() for of_trace in released for one in of_trace):
        raise SweepInvalid.no_scores(traces)


def _figures(planned: Plan, where: EngineChoice, output: Path | None) -> dict[str, Figures]:
    """The figures of all replays; what is done when the user interrupts is kept."""
    from tracekit.analyzers.sweep.sweep import computed
    from tracekit.reports.sweep_progress import SweepProgress

    journal = where.journal(output)
    progress = SweepProgress()
    try:
        with where.opened() as engine, progress:
            return computed(planned, engine, journal, progress.tell)
    except KeyboardInterrupt:
        click.echo(f"tracekit: {_interrupted(progress.done, planned, journal)}", err=True)
        raise SystemExit(INTERRUPTED) from None


def _interrupted(done: int, planned: Plan, journal: Journal | None) -> str:
    """What is done by the journal's file: the interrupt may fall between its being written and its being counted."""
    total = len(planned.tasks)
    if journal is None:
        words = f"interrupted after {done} of {total} replays"
        return f"{words}; none is kept. With -o they would be, and --resume would go on."
    done = len(planned.tasks.keys() & journal.read_again().kept.keys())
    words = f"interrupted after {done} of {total} replays."
    return (
        f"{words} They are kept in {journal.path}; the same command with --resume goes on." if done else words
    )


def _fleets(grid: Grid) -> list[FleetAlone]:
    """One of each kind; how many replicas there are changes no assumption and no source."""
    from tracekit.reports.on_fleet import FleetAlone

    told: dict[tuple[Pool, ...], Fleet] = {}
    for point in grid.points:
        if point.scenario is not None:
            fleet = point.scenario.fleet
            kinds = tuple(replace(pool, replicas=1, min_replicas=None) for pool in fleet.pools)
            told.setdefault(kinds, fleet)
    return [FleetAlone.of(fleet) for fleet in told.values()]


def _assumptions(
    traces: Sequence[Location], compiled: Sequence[Compiled], fleets: Sequence[FleetAlone], release: str
) -> list[str]:
    """What is taken for granted; with several traces, whose."""
    from tracekit.reports.replay_assumptions import replay_assumptions

    assumed = [f"assumed: {name} (nobody said so)" for name in fleets[0].fleet.assumed]
    of_traces = [
        replay_assumptions(one, fleets, open_loop=release == "open-loop", is_drawn=release in DRAWN)
        for one in compiled
    ]
    of_all = set.intersection(*map(set, of_traces))
    notes = [
        note if note in of_all else f"{trace}: {note}"
        for trace, told in zip(traces, of_traces, strict=True)
        for note in told
    ]
    return list(dict.fromkeys([*assumed, *notes]))


def _sources(fleets: Sequence[FleetAlone], points: Sequence[Swept]) -> Mapping[str, str]:
    from tracekit.reports.replay_sources import fleet_sources

    is_scored = any(one.figures and one.figures["score"] is not None for one in points)
    return fleet_sources(fleets) | ({"score": "as recorded (session.score)"} if is_scored else {})


def _tell(
    document: dict[str, Any],
    output: Path | None,
    chosen: str | None,
    plot: Path | None,
    where: EngineChoice,
    *,
    force: bool,
    as_json: bool,
) -> None:
    """Writes the files and prints; the journal goes when the output has everything."""
    from tracekit.commands.reporting import STDOUT
    from tracekit.interchange.exported import write_parts
    from tracekit.reports.document import to_json
    from tracekit.reports.rendering import rendered
    from tracekit.reports.sweep_table import write_sweep_parquet
    from tracekit.reports.sweep_terminal import print_sweep

    if output is not None:
        if chosen is None:
            write_sweep_parquet(output, document, force=force)
        else:
            write_parts(output, [rendered(document, chosen)], force=force)
        if str(output) != STDOUT:
            click.echo(f"tracekit: wrote {output}", err=True)
            where.forget(output)
    if plot is not None:
        _plot(plot, document)
    if str(output) != STDOUT:
        if as_json:
            click.echo(to_json(document))
        else:
            print_sweep(document)


def _plot(path: Path, document: dict[str, Any]) -> None:
    from tracekit.reports.html.front_chart import write_front_plot
    from tracekit.reports.sweep import front_of

    if not front_of(document):
        click.echo("tracekit: no point can be compared, so there is nothing to plot.", err=True)
        return
    write_front_plot(path, document)
    click.echo(f"tracekit: wrote {path}", err=True)
