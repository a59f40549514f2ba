"""`tracekit size`: the fleet that serves a rate within limits, and what it costs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tracekit.commands.engine_options import EngineChoice, command_for_numbers, engine_options
from tracekit.commands.options import CATALOG, FORCE, JSON, REPORT_FORMAT, TRACE
from tracekit.commands.sizing_options import Asked, SpaceChoice, question_options, space_options
from tracekit.location import Location

if TYPE_CHECKING:
    from tracekit.analyzers.sizing.budget import Budget
    from tracekit.analyzers.sizing.candidate import Candidates
    from tracekit.analyzers.sizing.day import DailyLoad
    from tracekit.analyzers.sizing.forecast import Forecast
    from tracekit.analyzers.sizing.replayer import Candidate
    from tracekit.analyzers.sizing.size import Question
    from tracekit.analyzers.sizing.slo import Slo
    from tracekit.analyzers.workload import Compiled
    from tracekit.trace import Trace


@click.command(
    epilog="Example: tracekit size run.parquet --rate 5/s --slo 'session_p95<60s' --slo 'ttft_p95<2s' -o size.html"
)
@TRACE
@question_options
@space_options
@click.option(
    "--check",
    type=click.Path(path_type=Path),
    metavar="FLEET.toml",
    help="Judge this fleet instead of searching: does it hold, up to which rate, how many replicas would do.",
)
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    metavar="SIZE.json",
    help="Hold TRACE, a new recording, against what an earlier sizing foresaw, and say whether to resize.",
)
@click.option(
    "--fail-if",
    "budgets",
    multiple=True,
    metavar="BUDGET",
    help="Exit with 1 if so: `unmet`, or a quantity and a limit such as 'cost_per_month>5000', 'idle>50%', "
    "'headroom<1.2'. Repeatable.",
)
@click.option(
    "--host", metavar="NAME", default="ecologits", show_default=True, help="Server around the GPUs."
)
@click.option("--pue", metavar="NAME", default="industry", show_default=True, help="Building around those.")
@click.option("--grid", metavar="CODE", default="WOR", show_default=True, help="Grid that feeds it.")
@click.option("--brief", is_flag=True, help="The fleet alone, without what surrounds it: faster.")
@engine_options("replays", "--threads")
@CATALOG
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Also write a report: .html, .md, .csv or .json; - for stdout, alone. The fleet itself: .toml.",
)
@REPORT_FORMAT
@FORCE
@JSON
def command(
    trace: Location,
    asked: Asked,
    choice: SpaceChoice,
    check: Path | None,
    against: Path | None,
    budgets: tuple[str, ...],
    host: str,
    pue: str,
    grid: str,
    brief: bool,
    where: EngineChoice,
    output: Path | None,
    format_name: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Find the fleet that serves TRACE's sessions at a rate within limits: how many of which GPU, and its price.

    Every kind of fleet is replayed, and the one that is named holds in 190 of 200 replicates: sessions drawn anew,
    arriving anew, with the model as wrong as it was found to be. Ctrl-C prints the best fleet so far.

    Exits with 1 if no fleet holds, if the checked one does not, or if a budget of --fail-if is broken.
    """
    from tracekit.commands.blas import load_without_threads

    load_without_threads()
    from tracekit.analyzers.sizing.budget import Budget
    from tracekit.analyzers.sizing.footprint import Footprint
    from tracekit.analyzers.sizing.size import size
    from tracekit.commands.compiling import announce_compilation
    from tracekit.commands.reporting import check_report, report_format, write_report
    from tracekit.commands.sizing_progress import Progress
    from tracekit.reports.document import to_json
    from tracekit.reports.sizing import sizing_document
    from tracekit.reports.sizing_notes import sizing_assumptions, sizing_sources
    from tracekit.trace import Trace

    chosen = report_format(output, format_name, as_json=as_json, others=(FLEET_FILE,))
    where.check(output, force=force)
    force = force or where.goes_on(output)
    if output is not None:
        check_report(output, trace, force=force)
    limits = [Budget.parse(text) for text in budgets]
    footprint, forecast = Footprint.of(host, pue, grid), _forecast(against)
    opened = Trace.open(trace)
    question, compiled, assumed = _question(opened, asked, choice, check, forecast, brief=brief)
    announce_compilation()
    journal = where.journal(output)
    with Progress() as progress, where.opened() as engine:
        sizing = size(question, engine, journal, progress.count)
    example = sizing.example
    assert example is not None
    document = sizing_document(sizing, footprint, str(trace), assumed)
    if forecast is not None:
        from tracekit.reports.sizing_forecast import forecast_document

        document["against"] = forecast_document(sizing, forecast, opened)
    document |= {
        "assumptions": sizing_assumptions(sizing, compiled, example, footprint),
        "sources": sizing_sources(sizing, example, footprint),
        "command": command_for_numbers(),
    }
    broken = _broken(document, limits)
    document["broken"] = broken
    if output is not None and chosen is not None:
        write_report(output, chosen, document, force=force)
    elif output is not None:
        _write_fleet(output, document, force=force)
    if not sizing.is_interrupted:
        where.forget(output)
    elif journal is not None and (kept := len(journal.read_again().kept)):
        words = f"{kept:,} replays are kept in {journal.path}; the same command with --resume goes on"
        click.echo(f"tracekit: interrupted. {words}.", err=True)
    if as_json:
        click.echo(to_json(document))
    elif str(output) != "-":
        from tracekit.reports.sizing_tables import print_sizing

        print_sizing(document)
    _end(document, broken, interrupted=sizing.is_interrupted)


FLEET_FILE = ".toml"
STARTUP_S = 60.0
INTERRUPTED = 130


def _end(document: dict[str, Any], broken: list[str], *, interrupted: bool) -> None:
    """The exit code: what was found."""
    for words in broken:
        click.echo(f"tracekit: {words}", err=True)
    if interrupted:
        sys.exit(INTERRUPTED)
    answer = document["answer"]
    if broken or answer is None or not answer["passes"]:
        sys.exit(1)


def _broken(document: dict[str, Any], budgets: list[Budget]) -> list[str]:
    from tracekit.reports.sizing import quantities

    answer = document["answer"]
    is_met = answer is not None and answer["passes"]
    known = quantities(document)
    return [words for budget in budgets if (words := budget.broken(known, is_met=is_met))]


def _write_fleet(output: Path, document: dict[str, Any], *, force: bool) -> None:
    from tracekit.interchange.exported import write_parts
    from tracekit.reports.fleet_file import fleet_file

    if document["answer"] is None:
        click.echo(f"tracekit: no fleet holds, so {output} was not written.", err=True)
        return
    write_parts(output, [fleet_file(document)], force=force)
    click.echo(f"tracekit: wrote {output}", err=True)


def _forecast(path: Path | None) -> Forecast | None:
    from tracekit.analyzers.sizing.forecast import Forecast

    return None if path is None else Forecast.from_json(path)


def _question(
    opened: Trace,
    asked: Asked,
    choice: SpaceChoice,
    check: Path | None,
    forecast: Forecast | None,
    *,
    brief: bool,
) -> tuple[Question, Compiled, list[str]]:
    """What is asked, the workload as compiled, and what nobody said.

    Raises
    ------
    SizingRefused : the trace holds one session, nothing says how many arrive, or no fleet can be made.
    TraceEmpty : it holds no call with token counts.
    """
    from tracekit.analyzers.sizing.basis import Load
    from tracekit.analyzers.sizing.sample import sampled_sessions
    from tracekit.analyzers.sizing.size import Question
    from tracekit.analyzers.sizing.waits import without_long_waits
    from tracekit.analyzers.workload import compile_workload
    from tracekit.errors import SizingRefused

    slos = _slos(asked, forecast)
    daily = _daily(asked)
    compiled = compile_workload(opened)
    if len(compiled.session_row_id) < 2:
        raise SizingRefused.one_session(opened.path)
    rate, notes = _rate(compiled, asked, daily, forecast)
    existing = _existing(choice, check, forecast)
    found, guessed = _candidates(opened, compiled, choice, existing)
    workload = sampled_sessions(compiled.workload, asked.seed)
    if workload is not compiled.workload:
        notes.append(
            f"a sample of {len(workload.session_arrival_s):,} of the recorded sessions stands for all"
        )
    if asked.longest_wait_s is not None:
        shortened = without_long_waits(workload, asked.longest_wait_s)
        workload = shortened.workload
        notes.append(
            f"{shortened.waits:,} tools and waits longer than {asked.longest_wait_s:g} s are cut to it"
        )
    load = Load(workload, rate, slos, asked.seed)
    question = Question(
        load, found, asked.objective, choice.max_replicas, asked.replicates, existing, daily, brief,
        tuple(notes),
    )  # fmt: skip
    return question, compiled, guessed


def _slos(asked: Asked, forecast: Forecast | None) -> tuple[Slo, ...]:
    from tracekit.analyzers.sizing.slo import parse_slos

    return forecast.slos if forecast is not None and not asked.slos else parse_slos(asked.slos)


def _daily(asked: Asked) -> DailyLoad | None:
    from tracekit.analyzers.daily_profile import DailyProfile
    from tracekit.analyzers.sizing.day import DailyLoad

    if asked.daily is None:
        if asked.startup_s is not None:
            raise click.UsageError(
                "--startup is of replicas that come and go over a day; give its profile, --daily."
            )
        return None
    profile = DailyProfile.from_csv(asked.daily)
    if asked.rate is None and not profile.is_rate:
        raise click.UsageError(
            f"{asked.daily} holds weights, which say when sessions arrive but not how many: give the mean over the "
            "day with --rate, such as --rate 2000/day."
        )
    return DailyLoad(profile, asked.rate, STARTUP_S if asked.startup_s is None else asked.startup_s)


def _rate(
    compiled: Compiled, asked: Asked, daily: DailyLoad | None, forecast: Forecast | None
) -> tuple[float, list[str]]:
    """The rate to size for, and what is to be said of it."""
    from tracekit.analyzers.sizing.shape import recorded_rate_per_s
    from tracekit.errors import SizingRefused

    if daily is not None:
        return daily.highest_per_s(), []
    if asked.rate is not None:
        return asked.rate, []
    recorded = recorded_rate_per_s(compiled.workload) if forecast is not None else None
    if recorded is None:
        raise SizingRefused.no_rate()
    return recorded, [f"the rate, {recorded:.3g} sessions a second, is the recorded one"]


def _existing(choice: SpaceChoice, check: Path | None, forecast: Forecast | None) -> Candidate | None:
    """The fleet that is judged instead of searched for."""
    from tracekit.analyzers.scenario import Fleet
    from tracekit.analyzers.sizing.candidate import kind_of
    from tracekit.analyzers.sizing.replayer import Candidate

    if check is None and forecast is None:
        return None
    if check is not None and forecast is not None:
        raise click.UsageError("--against judges the fleet of its forecast; leave out --check.")
    if choice.says_something:
        raise click.UsageError(
            "--check and --against judge a fleet that is given; leave out the options that choose one."
        )
    if check is not None:
        fleet = Fleet.from_toml(check).named()
    else:
        assert forecast is not None
        fleet = forecast.fleet
    return Candidate(kind_of(fleet), fleet.replicas)


def _candidates(
    opened: Trace, compiled: Compiled, choice: SpaceChoice, existing: Candidate | None
) -> tuple[Candidates, list[str]]:
    from tracekit.analyzers.sizing.candidate import Candidates, candidates
    from tracekit.errors import SizingRefused

    uncounted = list[str]()
    if compiled.calls_without_tokens:
        counted = f"{compiled.calls_without_tokens:,} of {compiled.calls + compiled.calls_without_tokens:,}"
        uncounted = [f"{counted} answered calls, whose tokens nobody counted, load no GPU"]
    if existing is not None:
        existing.fleet.limits()  # raises ModelDoesNotFit
        return Candidates((existing.kind,), ()), uncounted
    space, assumed = choice.space(opened)
    found = candidates(space, compiled.workload)
    if not found.kinds:
        raise SizingRefused.no_candidate(f"{one.name}: {one.why}" for one in found.rejected)
    return found, [*assumed, *uncounted]
