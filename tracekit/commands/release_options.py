"""Options that say when sessions arrive in a replay."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from tracekit.commands.options import Command
from tracekit.commands.rate import Rate
from tracekit.errors import UnknownName

if TYPE_CHECKING:
    from tracekit.analyzers.kernels.layout import Ints, Workload
    from tracekit.analyzers.workload import Compiled

TAKES = {
    "recorded": (),
    "scaled": ("rate",),
    "poisson": ("rate", "sessions"),
    "bursty": ("rate", "sessions", "burstiness"),
    "daily": ("rate", "profile", "days"),
    "open-loop": (),
}
"""The releases, and the options beside --seed that each understands."""

NEEDS = {"scaled": "rate", "poisson": "rate", "bursty": "rate", "daily": "profile"}
DRAWN = ("poisson", "bursty", "daily")
BURSTINESS = 2.0


class Released(NamedTuple):
    """The workload as it arrives, which recorded session each of its sessions is, and how that was chosen."""

    workload: Workload
    drawn: Ints
    settings: dict[str, Any]

    @property
    def is_drawn(self) -> bool:
        return self.settings["name"] in DRAWN


@dataclass(frozen=True)
class ReleaseChoice:
    """What the user said about arrivals; None where nothing was said."""

    release: str | None
    rate: float | None
    sessions: int | None
    burstiness: float | None
    profile: Path | None
    days: int | None
    seed: int

    @property
    def name(self) -> str:
        """The release asked for, or the one that the other options are for."""
        if self.release is not None:
            return self.release
        if self.profile is not None:
            return "daily"
        if self.burstiness is not None:
            return "bursty"
        return "recorded" if self.rate is None else "poisson"

    def check(self) -> None:
        """Raises click.UsageError if options are given that do not go together, or one is missing."""
        for option in ("rate", "sessions", "burstiness", "profile", "days"):
            if getattr(self, option) is not None and option not in TAKES[self.name]:
                users = " or ".join(release for release, takes in TAKES.items() if option in takes)
                raise click.UsageError(
                    f"--{option} does not go with --release {self.name}: it is for {users}. Leave it out, or "
                    "choose one of those with --release."
                )
        needed = NEEDS.get(self.name)
        if needed and getattr(self, needed) is None:
            example = "--rate 5/s" if needed == "rate" else "--profile day.csv"
            raise click.UsageError(f"--release {self.name} needs --{needed}, such as {example}.")

    def released(self, compiled: Compiled) -> Released:
        """The compiled trace's workload under this release.

        Raises
        ------
        click.UsageError : see `check`.
        ScenarioInvalid, ProfileInvalid : a rate that cannot be, a profile that cannot be used.
        """
        self.check()
        if self.name in DRAWN:
            return self._daily(compiled) if self.name == "daily" else self._at_a_rate(compiled)
        return self._as_recorded(compiled)

    def _as_recorded(self, compiled: Compiled) -> Released:
        import numpy as np

        from tracekit.analyzers.release import open_loop_release, scaled_release

        workload = compiled.workload
        settings: dict[str, Any] = {"name": self.name}
        if self.name == "open-loop":
            workload = open_loop_release(workload, compiled.start_s)
        if self.rate is not None:
            workload = scaled_release(workload, self.rate)
            settings |= {"rate_per_s": self.rate}
        return Released(workload, np.arange(len(compiled.session_row_id)), settings)

    def _at_a_rate(self, compiled: Compiled) -> Released:
        from tracekit.analyzers.release import bursty_release, poisson_release

        assert self.rate is not None  # `check` saw to it
        count = self.sessions or len(compiled.session_row_id)
        settings = {"name": self.name, "rate_per_s": self.rate, "sessions": count, "seed": self.seed}
        if self.name == "poisson":
            return Released(*poisson_release(compiled.workload, self.rate, count, self.seed), settings)
        burstiness = self.burstiness or BURSTINESS
        drawn = bursty_release(compiled.workload, self.rate, burstiness, count, self.seed)
        return Released(*drawn, settings | {"burstiness": burstiness})

    def _daily(self, compiled: Compiled) -> Released:
        from tracekit.analyzers.daily_profile import DailyProfile
        from tracekit.analyzers.release import daily_release

        assert self.profile is not None  # `check` saw to it
        profile, days = DailyProfile.from_csv(self.profile), self.days or 1
        if self.rate is None and not profile.is_rate:
            raise click.UsageError(
                f"{self.profile} holds weights, which say when sessions arrive but not how many: give the mean over "
                "the day with --rate, such as --rate 2000/day."
            )
        workload, drawn, first_s = daily_release(compiled.workload, profile, self.rate, days, self.seed)
        settings = {
            "name": "daily",
            "profile": str(self.profile),
            "rate_per_s": profile.mean_rate_per_s if self.rate is None else self.rate,
            "days": days,
            "sessions": len(drawn),
            "seed": self.seed,
            "first_arrival_s": first_s,
        }
        return Released(workload, drawn, settings)


class _ReleaseName(click.Choice[str]):
    """A release by name; a misspelt one is answered with the nearest."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value not in self.choices:
            raise UnknownName.among("release", str(value), TAKES)
        return str(value)


def release_options(command: Command) -> Command:
    """The options that choose arrivals; the command receives one `release: ReleaseChoice`."""
    names = ("release", "rate", "sessions", "burstiness", "profile", "days", "seed")

    @functools.wraps(command)
    def wrapped(**values: Any) -> Any:
        choice = ReleaseChoice(*(values.pop(name) for name in names))
        return command(release=choice, **values)

    options = (
        click.option(
            "--release",
            type=_ReleaseName(list(TAKES)),
            help="When sessions arrive; open-loop: every call at its recorded time, whatever the calls before it "
            "did.  [default: recorded; daily with --profile, bursty with --burstiness, else poisson with --rate]",
        ),
        click.option(
            "--rate", type=Rate(), metavar="X/s", help="Sessions per s, min, h or day; for daily the mean."
        ),
        click.option(
            "--sessions",
            type=click.IntRange(1),
            help="Sessions to draw, for poisson and bursty.  [default: as many as recorded]",
        ),
        click.option(
            "--burstiness",
            type=click.FloatRange(0, 100, min_open=True),
            help="Coefficient of variation of the times between bursty arrivals; 1 is as poisson.  "
            f"[default: {BURSTINESS:g}]",
        ),
        click.option(
            "--profile",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="For daily: a CSV file with the columns hour and weight, or hour and rate (sessions a second).",
        ),
        click.option(
            "--days", type=click.IntRange(1, 36500), help="Days that a daily release lasts.  [default: 1]"
        ),
        click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the draw."),
    )
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]
