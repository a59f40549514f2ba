"""What-ifs, and products of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Self

from tracekit.errors.message import TracekitError
from tracekit.location import Location


class WhatIfInvalid(TracekitError):
    _FORM = (
        "It is written NAME=VALUE,NAME=VALUE, such as prefix_cache=off,tools.speculative=0.6; docs/what-if.md has "
        "all of them."
    )

    @classmethod
    def unreadable(cls, text: str) -> Self:
        return cls(f"The what-if '{text.strip()}' cannot be read. {cls._FORM}")

    @classmethod
    def twice(cls, name: str) -> Self:
        return cls(f"The what-if {name} is given twice. Name each switch once.")

    @classmethod
    def value(cls, name: str, value: object, takes: str) -> Self:
        return cls(f"The what-if {name}={value} cannot be: {name} takes {takes}.")

    @classmethod
    def of(cls, words: str, error: Exception) -> Self:
        return cls(f"The what-if {words} makes a fleet that cannot be. {error}")

    @classmethod
    def no_such_pool(cls, pool: str, count: int, roles: list[str]) -> Self:
        named = [*(f"pool{number}" for number in range(1, count + 1)), *roles]
        return cls(f"The fleet has no pool '{pool}' to be switched; it has {', '.join(named)}.")

    @classmethod
    def slots(cls, batching: str) -> Self:
        return cls(
            f"batching={batching} cannot be asked of a pool with slots (llama.cpp's engine): a slot holds one "
            "call, and there are no batches to join. Leave it out, or replay another engine with --fleet."
        )

    @classmethod
    def split(cls, reason: str) -> Self:
        return cls(
            f"The fleet cannot be switched by split: {reason}. Describe its pools with their roles in a fleet file "
            "(docs/fleet.md)."
        )

    @classmethod
    def together(cls, one: str, other: str, reason: str) -> Self:
        return cls(f"{one} and {other} cannot be together: {reason}. Leave one of them out.")


class SweepInvalid(TracekitError):
    _FORM = "It is written --over NAME=VALUE,VALUE, such as --over replicas=1,2,4; docs/sweep.md has more."

    @classmethod
    def unreadable(cls, text: str) -> Self:
        return cls(f"'{text.strip()}' cannot be swept over. {cls._FORM}")

    @classmethod
    def file(cls, path: Path, reason: str) -> Self:
        return cls(
            f"The sweep's file {path} cannot be used: {reason}. It is TOML with a table [sweep] of switches, such as "
            "replicas = [1, 2, 4]."
        )

    @classmethod
    def no_values(cls, name: str) -> Self:
        return cls(f"The sweep has no values for {name}. {cls._FORM}")

    @classmethod
    def twice(cls, name: str) -> Self:
        return cls(f"The sweep has {name} twice. Put all of its values into one --over.")

    @classmethod
    def empty(cls) -> Self:
        return cls(
            f"There is nothing to sweep over. {cls._FORM} A TOML file with a table [sweep] does as well."
        )

    @classmethod
    def no_objective(cls) -> Self:
        return cls("--minimise names nothing. Give some, such as --minimise cost,session_p95.")

    @classmethod
    def too_many(cls, count: int, most: int) -> Self:
        return cls(
            f"The sweep has {count:,} combinations, and {most:,} are the most. Give fewer values, or several sweeps."
        )

    @classmethod
    def all_impossible(cls, count: int, first: str) -> Self:
        return cls(f"None of the sweep's {count:,} combinations can be replayed. The first: {first}")

    @classmethod
    def no_scores(cls, traces: Iterable[Location]) -> Self:
        return cls(
            f"No session of {', '.join(map(str, traces))} carries a score, so there is no quality to compare by. Leave "
            "quality out of --minimise, or have the agent say `task.score(...)` in a `tracekit.session` "
            "(docs/recording.md)."
        )
