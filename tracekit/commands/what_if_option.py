"""The option `--what-if`, and the scenarios that it and a fleet file's table [what_if] ask for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tracekit.analyzers.scenario import Fleet
    from tracekit.analyzers.what_if.scenario import Scenario

WHAT_IF = click.option(
    "--what-if",
    "what_if",
    multiple=True,
    metavar="NAME=VALUE[,NAME=VALUE]",
    help="Switches that change the fleet or the sessions, such as prefix_cache=off,tools.speculative=0.6; "
    "docs/what-if.md has all. They go before those of a fleet file's table [what_if].",
)


def scenarios_of(
    fleets: Iterable[Fleet], texts: Sequence[str], fleet_file: Path | None, seed: int = 0
) -> list[Scenario]:
    """Each fleet with what was asked for on the command line and in the fleet file; the first goes before the other.

    Raises
    ------
    WhatIfInvalid, UnknownName, ScenarioInvalid, ModelDoesNotFit : no such switch, or it makes what cannot be.
    """
    from tracekit.analyzers.what_if.asked import parse_what_if, what_if_of_file
    from tracekit.analyzers.what_if.scenario import Scenario

    of_file = {} if fleet_file is None else what_if_of_file(fleet_file)
    asked = of_file | parse_what_if(*texts)
    return [
        Scenario(fleet, seed=seed).switched(asked) if asked else Scenario(fleet, seed=seed)
        for fleet in fleets
    ]


def refuse_what_if(fleet_file: Path | None, command: str) -> None:
    """Raises click.UsageError if the file has what-ifs, which this command does not take."""
    from tracekit.analyzers.what_if.asked import what_if_of_file

    if fleet_file is not None and what_if_of_file(fleet_file):
        raise click.UsageError(
            f"{fleet_file} has a table [what_if], which `tracekit {command}` does not take; `tracekit replay` and "
            "`tracekit analyze` do."
        )
