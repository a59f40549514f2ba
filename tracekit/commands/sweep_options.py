"""Options of `tracekit sweep`: what is varied, what it is judged by."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tracekit.commands.options import Command

if TYPE_CHECKING:
    from tracekit.analyzers.sweep.axis import Axis

DEFAULT_OBJECTIVES = "cost,session_p95,energy"


@dataclass(frozen=True)
class SweepChoice:
    """What the user said about the sweep; None where nothing was said."""

    over: tuple[str, ...]
    file: Path | None
    seeds: int
    minimise: str
    plot: Path | None

    def axes(self, fleet_file: Path | None) -> list[Axis]:
        """What is varied: by the fleet file's table [sweep], then the sweep's own file, then --over.

        Raises
        ------
        SweepInvalid, WhatIfInvalid, UnknownName : it cannot be read, or asks for what cannot be.
        """
        from tracekit.analyzers.sweep.axis import axes_of_file, axes_of_texts, joined
        from tracekit.errors import SweepInvalid

        of_fleet = [] if fleet_file is None else axes_of_file(fleet_file)
        of_file = [] if self.file is None else axes_of_file(self.file)
        found = joined(joined(of_fleet, of_file), axes_of_texts(self.over))
        if not found:
            raise SweepInvalid.empty()
        return found


def sweep_options(command: Command) -> Command:
    """The options of a sweep; the command receives one `sweep: SweepChoice`."""
    names = ("over", "sweep_file", "seeds", "minimise", "plot")

    @functools.wraps(command)
    def wrapped(**values: Any) -> Any:
        choice = SweepChoice(*(values.pop(name) for name in names))
        return command(sweep=choice, **values)

    options = (
        click.option(
            "--over",
            multiple=True,
            metavar="NAME=VALUE,...",
            help="A switch of --what-if and its values, such as replicas=1,2,4; repeat it for a product.",
        ),
        click.option(
            "--sweep",
            "sweep_file",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="TOML file with a table [sweep] of switches; a fleet file may hold it as well.",
        ),
        click.option(
            "--seeds",
            type=click.IntRange(1, 1000),
            default=1,
            show_default=True,
            help="Draws of each scenario, from --seed on: means and 95 % intervals.",
        ),
        click.option(
            "--minimise",
            default=DEFAULT_OBJECTIVES,
            show_default=True,
            metavar="NAME,...",
            help="What the Pareto front is of: cost, energy, carbon, gpus, makespan, session_p95 and the like; quality "
            "(mean score) is maximised.",
        ),
        click.option(
            "--plot", type=click.Path(path_type=Path), help="Also draw the front: .png, .svg or .pdf."
        ),
    )
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]
