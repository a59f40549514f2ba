"""Options of `tracekit size`: what is asked, what may be chosen, what surrounds the GPUs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tracekit.commands.options import ASSUMED_MODEL, Command
from tracekit.commands.rate import Rate
from tracekit.errors import UnknownName

if TYPE_CHECKING:
    from tracekit.analyzers.sizing.candidate import Space
    from tracekit.analyzers.sizing.small_model import SmallModel
    from tracekit.trace import Trace

OBJECTIVES = ("cost", "energy", "carbon")


class Names(click.ParamType[tuple[str, ...]]):
    """`L4,H100`: several names in one word."""

    name = "names"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """The names. Fails where there is none."""
        if isinstance(value, tuple):
            return value
        names = tuple(name.strip() for name in str(value).split(",") if name.strip())
        if not names:
            self.fail("there is no name in it; write one, or several with commas between", param, ctx)
        return names


class Numbers(click.ParamType[tuple[int, ...]]):
    """`1,2,4,8`: several whole numbers in one word."""

    name = "numbers"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """The numbers. Fails where one is none, or below 1."""
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(int(word) for word in str(value).split(","))
        except ValueError:
            self.fail(f"'{value}' is not a list of whole numbers such as 1,2,4,8", param, ctx)
        if min(numbers) < 1:
            self.fail(f"'{value}' has a number below 1", param, ctx)
        return numbers


class Small(click.ParamType["SmallModel"]):
    """`Llama-3.1-8B: output<=200`: a model, and which calls it may answer."""

    name = "small model"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> SmallModel:
        """The model and the rule's text. Fails where one of them is missing."""
        from tracekit.analyzers.sizing.small_model import SmallModel

        if isinstance(value, SmallModel):
            return value
        model, colon, calls = (part.strip() for part in str(value).partition(":"))
        if not model or not colon or not calls:
            self.fail(
                f"'{value}' is not written MODEL: CALLS, such as 'Llama-3.1-8B: output<=200'", param, ctx
            )
        return SmallModel(model, calls)


@dataclass(frozen=True)
class SpaceChoice:
    """What the search may choose from; None where nothing was said."""

    gpus: tuple[str, ...] | None
    models: tuple[str, ...] | None
    assume_model: str
    tp: tuple[int, ...] | None
    routers: tuple[str, ...] | None
    max_num_seqs: tuple[int, ...] | None
    max_num_batched_tokens: tuple[int, ...] | None
    split: bool
    mixed: bool
    small: SmallModel | None
    calibration: Path | None
    max_replicas: int

    @property
    def says_something(self) -> bool:
        """Whether the user chose any of it."""
        values = (
            self.gpus,
            self.models,
            self.tp,
            self.routers,
            self.max_num_seqs,
            self.max_num_batched_tokens,
            self.small,
        )
        return any(value is not None for value in values) or self.split or self.mixed

    def space(self, opened: Trace) -> tuple[Space, list[str]]:
        """What is searched, and what of it nobody said. Raises UnknownName."""
        from tracekit.analyzers.columns import codes
        from tracekit.analyzers.scenario import ROUTERS
        from tracekit.analyzers.sizing.candidate import DEFAULT_GPUS, DEFAULT_ROUTERS, DEFAULT_TPS, Space
        from tracekit.commands.options import model_to_replay
        from tracekit.schema import Kind

        _indices, names = codes(opened.rows(Kind.LLM_CALL, ["model"]), "model")
        models, assumed = self.models, list[str]()
        if models is None:
            model, assumed = model_to_replay(names, self.assume_model)
            models = (model,)
        routers = self.routers or DEFAULT_ROUTERS
        for router in routers:
            if router not in ROUTERS:
                raise UnknownName.among("router", router, ROUTERS)
        space = Space(
            gpus=self.gpus or DEFAULT_GPUS,
            models=models,
            tps=self.tp or DEFAULT_TPS,
            routers=routers,
            max_num_seqs=self.max_num_seqs or (None,),
            max_num_batched_tokens=self.max_num_batched_tokens or (None,),
            calibration=None if self.calibration is None else str(self.calibration),
            with_split=self.split,
            with_mixed=self.mixed,
            small=self.small,
        )
        return space, assumed


def space_options(command: Command) -> Command:
    """The options that say what may be chosen; the command receives one `choice: SpaceChoice`."""
    names = (
        "gpus", "models", "assume_model", "tp", "routers", "max_num_seqs", "max_num_batched_tokens", "split",
        "mixed", "small", "calibration", "max_replicas",
    )  # fmt: skip

    @wraps(command)
    def wrapped(**values: Any) -> Any:
        choice = SpaceChoice(*(values.pop(name) for name in names))
        return command(choice=choice, **values)

    options: tuple[Callable[[Any], Any], ...] = (
        click.option(
            "--gpus", type=Names(), metavar="A,B", help="GPUs of the catalog.  [default: six kinds]"
        ),
        click.option(
            "--models",
            type=Names(),
            metavar="A,B",
            help="Models of the catalog.  [default: the recorded one]",
        ),
        click.option(
            "--assume-model",
            default=ASSUMED_MODEL,
            show_default=True,
            help="Where the recorded model is not in the catalog.",
        ),
        click.option("--tp", type=Numbers(), metavar="1,2", help="GPUs per replica.  [default: 1,2,4,8]"),
        click.option(
            "--routers",
            type=Names(),
            metavar="A,B",
            help="[default: least-outstanding,session-affine,prefix-aware]",
        ),
        click.option(
            "--max-num-seqs",
            type=Numbers(),
            metavar="64,256",
            help="Sequences in a step, to choose from.  [default: the engine's]",
        ),
        click.option(
            "--max-num-batched-tokens",
            type=Numbers(),
            metavar="2048,8192",
            help="Tokens in a step, to choose from.  [default: the engine's]",
        ),
        click.option("--split", is_flag=True, help="Also pools of their own for prefill and decode."),
        click.option("--mixed", is_flag=True, help="Also two kinds of GPU behind one router."),
        click.option(
            "--small",
            type=Small(),
            metavar="MODEL:CALLS",
            help="Also a small model for some of the calls, such as 'Llama-3.1-8B: output<=200'.",
        ),
        click.option(
            "--calibration",
            type=click.Path(path_type=Path),
            help="File of `tracekit calibrate`; used where it has the model, GPU, engine and TP.",
        ),
        click.option("--max-replicas", type=click.IntRange(1, 4096), default=256, show_default=True),
    )
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]


@dataclass(frozen=True)
class Asked:
    """What the fleet is to do; None where nothing was said."""

    rate: float | None
    slos: tuple[str, ...]
    objective: str
    daily: Path | None
    startup_s: float | None
    longest_wait_s: float | None
    replicates: int
    seed: int


def question_options(command: Command) -> Command:
    """The options that say what is asked; the command receives one `asked: Asked`."""
    names = ("rate", "slos", "objective", "daily", "startup", "longest_wait", "replicates", "seed")

    @wraps(command)
    def wrapped(**values: Any) -> Any:
        asked = Asked(*(values.pop(name) for name in names))
        return command(asked=asked, **values)

    options: tuple[Callable[[Any], Any], ...] = (
        click.option(
            "--rate", type=Rate(), metavar="X/s", help="Sessions per s, min, h or day; with --daily the mean."
        ),
        click.option(
            "--slo",
            "slos",
            multiple=True,
            metavar="LIMIT",
            help="Such as 'session_p95<60s', 'ttft_p95<2s', 'tpot_p99<50ms' or 'e2e_p90<10s'; repeat it for several.",
        ),
        click.option(
            "--objective",
            type=click.Choice(OBJECTIVES),
            default="cost",
            show_default=True,
            help="What is to be least.",
        ),
        click.option(
            "--daily",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="CSV file with the columns hour and weight, or hour and rate: size for the busiest hours, and see "
            "what replicas that come and go save over the day.",
        ),
        click.option(
            "--startup",
            type=click.FloatRange(0, 86400),
            metavar="SECONDS",
            help="What a replica takes to start, with --daily.  [default: 60]",
        ),
        click.option(
            "--longest-wait",
            type=click.FloatRange(0, min_open=True),
            metavar="SECONDS",
            help="Cut tools and waits of sessions to this: sessions of hours, in which people were away, take as many "
            "hours to fill a fleet, and that long to replay.",
        ),
        click.option(
            "--replicates",
            type=click.IntRange(20, 10_000),
            default=200,
            show_default=True,
            help="Of a verdict; 95 % of them must meet every objective.",
        ),
        click.option(
            "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all that is drawn."
        ),
    )
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]
