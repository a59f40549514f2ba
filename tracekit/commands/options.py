"""Options that several commands share."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tracekit.commands.trace_file import TraceFile
from tracekit.errors import TracekitError
from tracekit.location import Location

if TYPE_CHECKING:
    from tracekit.analyzers.scenario import Fleet

Command = TypeVar("Command", bound=Callable[..., Any])

ASSUMED_MODEL = "Llama-3.1-8B"
ASSUMED_GPU = "H100-SXM-80GB"
NAMES_SHOWN = 3
"""How many of the recorded models a line names."""

TRACE = click.argument("trace", type=TraceFile())


def _or_samples(_context: click.Context, _parameter: click.Parameter, trace: Location | None) -> Location:
    """The trace; without one, a message that names those that came with the package."""
    if trace is not None:
        return trace
    import tracekit.sample_traces

    folder = Path(next(iter(tracekit.sample_traces.__path__)))
    samples = sorted(folder.glob("*.parquet"))
    words = "Give a trace. `tracekit record -o run.parquet -- CMD` makes one"
    if not samples:
        raise click.UsageError(f"{words}, and so does `tracekit demo`.")
    listed = "\n".join(f"  tracekit analyze {shlex.quote(str(sample))}" for sample in samples)
    raise click.UsageError(f"{words}; these came with tracekit ({folder / 'README.md'} says how):\n{listed}")


TRACE_OR_SAMPLES = click.argument(
    "trace", metavar="TRACE", required=False, callback=_or_samples, type=TraceFile()
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")


def _use_catalog(_context: click.Context, _parameter: click.Parameter, file: Path | None) -> None:
    if file is not None:
        from tracekit.analyzers.catalog import catalog

        catalog.use(file)


CATALOG = click.option(
    "--catalog",
    type=click.Path(path_type=Path),
    expose_value=False,
    is_eager=True,
    callback=_use_catalog,
    help="TOML file of GPUs, models, prices and grids beside the built-in ones.  [env: TRACEKIT_CATALOG]",
)
REPORT = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Also write a report: .html, .md, .csv or .json; - for stdout, alone.",
)
REPORT_FORMATS = ("html", "md", "csv", "json")
REPORT_FORMAT = click.option(
    "--format",
    "format_name",
    type=click.Choice(REPORT_FORMATS),
    help="Of -o, where its name does not say.  [default of -: json]",
)
FORCE = click.option("--force", is_flag=True, help="Overwrite what exists.")


@dataclass(frozen=True)
class FleetChoice:
    """What the user said about the fleet; None where nothing was said."""

    file: Path | None = None
    gpus: tuple[str, ...] = ()
    model: str | None = None
    assume_model: str = ASSUMED_MODEL
    tp: int | None = None
    replicas: int | None = None
    router: str | None = None
    queue_order: str | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    calibration: Path | None = None

    def fleets(self, recorded_models: list[str], recorded: Fleet | None = None) -> list[Fleet]:
        """One fleet per GPU asked for; what was not said is taken from the trace, else assumed and named so.

        `recorded` is the fleet that measured joules show to have served the calls.

        Raises
        ------
        UnknownName, ScenarioInvalid, TracekitError : unknown names, bad file, file and flags together.
        """
        from tracekit.analyzers.scenario import DEFAULT_QUEUE_ORDER, DEFAULT_ROUTER, Fleet, Pool

        if self.file is not None:
            if self.describes_a_fleet():
                raise TracekitError(
                    "--fleet excludes the other options that describe a fleet; put them into the file."
                )
            return [Fleet.from_toml(self.file).named()]
        if recorded is not None and not self.describes_a_fleet():
            return [recorded]
        model, assumed = self.model, list[str]()
        if model is None:
            model, assumed = model_to_replay(recorded_models, self.assume_model)
        gpus = self.gpus
        if not gpus:
            gpus = (ASSUMED_GPU,)
            assumed.append(f"one {ASSUMED_GPU}" if (self.replicas or 1) == 1 else f"GPU {ASSUMED_GPU}")
        return [
            Fleet(
                pools=(
                    Pool(
                        gpu=gpu,
                        model=model,
                        tp=self.tp or 1,
                        replicas=self.replicas or 1,
                        max_num_seqs=self.max_num_seqs,
                        max_num_batched_tokens=self.max_num_batched_tokens,
                        calibration=None if self.calibration is None else str(self.calibration),
                    ),
                ),
                router=self.router or DEFAULT_ROUTER,
                queue_order=self.queue_order or DEFAULT_QUEUE_ORDER,
                assumed=tuple(assumed),
            ).named()
            for gpu in gpus
        ]

    def again(self, fleet: dict[str, Any]) -> list[str]:
        """The options that name the first fleet again as it was replayed; one replica more, unless it has a file."""
        from tracekit.analyzers.catalog.tables import chosen_files

        told: dict[str, object] = {
            "--gpu": self.gpus[0] if self.gpus else fleet["gpu"],
            "--model": self.model or fleet["model"],
            "--tp": fleet["tp"] if fleet["tp"] > 1 else None,
            "--replicas": fleet["replicas"] + 1,
            "--router": self.router,
            "--queue-order": self.queue_order,
            "--max-num-seqs": self.max_num_seqs,
            "--max-num-batched-tokens": self.max_num_batched_tokens,
            "--calibration": self.calibration,
        }
        if self.file is not None:
            told = {"--fleet": self.file}
        words = [(name, str(value)) for name, value in told.items() if value is not None]
        catalogs = [("--catalog", str(file)) for file in chosen_files()]
        return [word for pair in [*words, *catalogs] for word in pair]

    def describes_a_fleet(self) -> bool:
        """Whether any option says something of the fleet, a file apart."""
        values = (
            self.tp,
            self.replicas,
            self.max_num_seqs,
            self.max_num_batched_tokens,
            self.calibration,
        )
        return bool(self.gpus or self.model or self.router or self.queue_order) or any(
            value is not None for value in values
        )


def model_to_replay(recorded_models: list[str], otherwise: str) -> tuple[str, list[str]]:
    """The model that all calls are replayed on, and what of that nobody said.

    It is the recorded one, where the catalog knows just one; else `otherwise`. No other model maps to it silently.
    """
    from tracekit.analyzers.catalog.catalog import find_model

    found = {name: one.name for name in recorded_models if (one := find_model(name)) is not None}
    known = set(found.values())
    if not known:
        return otherwise, [f"model {otherwise}"]
    stand_in = find_model(otherwise)
    model = known.pop() if len(known) == 1 else otherwise if stand_in is None else stand_in.name
    others = [name for name in recorded_models if found.get(name) != model]
    return model, [f"model {model} for calls that name {_listed(others)}"] if others else []


def _listed(names: list[str]) -> str:
    from tracekit.reports.words import shown_name

    shown = [shown_name(name) or "''" for name in names[:NAMES_SHOWN]]
    more = [f"{len(names) - NAMES_SHOWN} more"] if len(names) > NAMES_SHOWN else []
    return ", ".join([*shown, *more])


def fleet_options(command: Command) -> Command:
    """The options that choose a fleet; the command receives one `fleet: FleetChoice`."""
    import functools

    names = (
        "fleet_file",
        "gpu",
        "model",
        "assume_model",
        "tp",
        "replicas",
        "router",
        "queue_order",
        "max_num_seqs",
        "max_num_batched_tokens",
        "calibration",
    )

    @functools.wraps(command)
    def wrapped(**values: Any) -> Any:
        choice = FleetChoice(*(values.pop(name) for name in names))
        return command(fleet=choice, **values)

    options = (
        click.option(
            "--fleet",
            "fleet_file",
            type=click.Path(path_type=Path),
            help="TOML file with a table [fleet], or several [[pool]].",
        ),
        click.option(
            "--gpu", multiple=True, help="GPU of the catalog; analyze and compare take several: repeat it."
        ),
        click.option("--model", help="Model of the catalog (NAME or NAME@fp8), or a config.json."),
        CATALOG,
        click.option(
            "--assume-model",
            default=ASSUMED_MODEL,
            show_default=True,
            help="Where the recorded model is not in the catalog.",
        ),
        click.option(
            "--tp", type=click.IntRange(1), help="GPUs per replica (tensor parallel).  [default: 1]"
        ),
        click.option("--replicas", type=click.IntRange(1), help="Replicas.  [default: 1]"),
        click.option(
            "--router",
            help="round-robin, least-outstanding, power-of-two, session-affine or prefix-aware.  "
            "[default: least-outstanding]",
        ),
        click.option(
            "--queue-order",
            help="Which waiting call goes first: fcfs, session-fcfs or least-attained.  [default: fcfs]",
        ),
        click.option(
            "--max-num-seqs", type=click.IntRange(1), help="Sequences in a step.  [default: the engine's]"
        ),
        click.option(
            "--max-num-batched-tokens",
            type=click.IntRange(1),
            help="Tokens in a step.  [default: the engine's]",
        ),
        click.option(
            "--calibration",
            type=click.Path(path_type=Path),
            help="File of `tracekit calibrate`; used where it has the model, GPU, engine and TP.",
        ),
    )
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]
