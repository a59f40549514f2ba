"""`tracekit replay`: a trace on one fleet, as a table, JSON or a timeline file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tracekit.commands.options import FORCE, JSON, TRACE, FleetChoice, fleet_options

if TYPE_CHECKING:
    from tracekit.analyzers.kernels.layout import Ints, Workload
    from tracekit.analyzers.workload import Compiled


_SECONDS = {"s": 1, "min": 60, "h": 3600, "day": 86400}


class Rate(click.ParamType[float]):
    """`5/s`, `300/min`, `2000/h` or `100000/day`, as sessions per second."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        number, _, per = str(value).partition("/")
        try:
            rate = float(number) / _SECONDS[per or "s"]
        except (ValueError, KeyError):
            self.fail(f"'{value}' is not a rate; write 5/s, 300/min, 2000/h or 100000/day", param, ctx)
        if not 0 < rate < float("inf"):
            self.fail(f"'{value}' is not above 0", param, ctx)
        return rate


@click.command(
    epilog="Example: tracekit replay run.parquet --gpu H100 --model Llama-3.1-8B --replicas 2 --rate 5/s --sessions 500"
)
@TRACE
@fleet_options
@click.option(
    "--release",
    type=click.Choice(["recorded", "scaled", "poisson"]),
    help="When sessions arrive.  [default: recorded; poisson with --rate]",
)
@click.option(
    "--rate", type=Rate(), metavar="X/s", help="Sessions per s, min, h or day, for scaled and poisson."
)
@click.option(
    "--sessions", type=click.IntRange(1), help="Sessions to draw for poisson.  [default: as many as recorded]"
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the draw.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Write calls and replica segments to this Parquet file.",
)
@FORCE
@JSON
def command(
    trace: Path,
    fleet: FleetChoice,
    release: str | None,
    rate: float | None,
    sessions: int | None,
    seed: int,
    output: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Replay TRACE on a GPU fleet that may not exist yet: calls are timed anew, tools keep their length."""
    from tracekit.commands.blas import load_without_threads

    load_without_threads()
    from tracekit.analyzers.columns import codes
    from tracekit.analyzers.replay import replay_on
    from tracekit.analyzers.workload import compile_workload
    from tracekit.commands.compiling import announce_compilation
    from tracekit.errors import OutputRefused
    from tracekit.reports.document import (
        SCHEMA_VERSION,
        replay_assumptions,
        replay_document,
        replay_sources,
        to_json,
    )
    from tracekit.schema import Kind
    from tracekit.trace import Trace, check_output

    if output is not None:
        if str(output) == "-":
            raise click.UsageError(
                "A timeline is Parquet and cannot go to stdout; give a file with -o, or use --json."
            )
        if output.resolve() == trace.resolve():
            raise OutputRefused.is_input(output)
        check_output(output, force=force)
    opened = Trace.open(trace)
    _indices, models = codes(opened.rows(Kind.LLM_CALL, ["model"]), "model")
    fleets = fleet.fleets(models)
    if len(fleets) > 1:
        raise click.UsageError("replay takes one --gpu; `tracekit analyze` compares several.")
    compiled = compile_workload(opened)
    workload, drawn, how = _released(compiled, release, rate, sessions, seed)
    announce_compilation()
    replay = replay_on(workload, fleets[0])
    document = {
        "schema_version": SCHEMA_VERSION,
        "trace": str(trace),
        **replay_document(replay, None),
        "release": how,
        "assumptions": replay_assumptions(compiled, [replay]),
        "sources": replay_sources([replay]),
    }
    if output is not None:
        from tracekit.analyzers.isolated import isolated_calls_j
        from tracekit.reports.timeline_file import write_timeline

        rows = _step_rows(compiled, drawn)
        write_timeline(
            output,
            replay,
            document,
            rows,
            compiled.session_row_id[drawn],
            isolated_calls_j(workload, replay.fleet, replay.timeline.outcome.calls["cached_tokens"]),
            force=force,
        )
    _show(document, output, as_json=as_json, to_json=to_json)


def _released(
    compiled: Compiled, release: str | None, rate: float | None, sessions: int | None, seed: int
) -> tuple[Workload, Ints, dict[str, Any]]:
    """The workload as it arrives, which recorded session each of its sessions is, and how that was chosen."""
    import numpy as np

    from tracekit.analyzers.release import poisson_release, scaled_release

    release = release or ("poisson" if rate is not None else "recorded")
    if (release == "recorded") != (rate is None):
        raise click.UsageError("--rate needs --release scaled or poisson, and they need --rate.")
    if sessions is not None and release != "poisson":
        raise click.UsageError("--sessions needs --release poisson.")
    workload, everyone = compiled.workload, np.arange(len(compiled.session_row_id))
    if rate is None:
        return workload, everyone, {"name": "recorded"}
    if release == "scaled":
        return scaled_release(workload, rate), everyone, {"name": "scaled", "rate_per_s": rate}
    count = sessions or len(everyone)
    drawn_workload, drawn = poisson_release(workload, rate, count, seed)
    return drawn_workload, drawn, {"name": "poisson", "rate_per_s": rate, "sessions": count, "seed": seed}


def _step_rows(compiled: Compiled, drawn: Ints) -> Ints:
    """The trace's row of every step of the released workload."""
    import numpy as np

    start = compiled.workload.session_step_start
    return np.concatenate([compiled.row_id[start[session] : start[session + 1]] for session in drawn])


def _show(document: dict[str, Any], output: Path | None, *, as_json: bool, to_json: Any) -> None:
    if as_json:
        click.echo(to_json(document))
    else:
        from tracekit.reports.terminal import print_replay

        print_replay(document | {"replays": [document]})
    if output is not None:
        click.echo(f"tracekit: wrote {output}", err=True)
