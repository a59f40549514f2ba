"""Questions of a sizing that have no answer."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from tracekit.errors.message import TracekitError
from tracekit.location import Location


class ProfileInvalid(TracekitError):
    _FORM = (
        "A profile is a CSV file: a line `hour,weight` (or `hour,rate`, in sessions a second), then one line for each "
        "hour from which another weight holds, such as `9,3.5`."
    )

    @classmethod
    def unreadable(cls, path: Path, reason: str) -> Self:
        return cls(f"The profile {path} cannot be used: {reason}. {cls._FORM}")

    @classmethod
    def no_column(cls, path: Path, name: str, near: str | None, found: list[str]) -> Self:
        meant = f"is '{near}' meant to be it? " if near else ""
        columns = ", ".join(found) or "none"
        return cls(f"The profile {path} has no column {name}; {meant}It has: {columns}. {cls._FORM}")

    @classmethod
    def bad_value(cls, path: Path, line: int, name: str, value: str, fault: str) -> Self:
        return cls(f"The profile {path}, line {line}: {name} '{value}' {fault}. Correct that line.")


class SloInvalid(TracekitError):
    _FORM = "An objective is an upper limit of a percentile, such as 'session_p95<60s' or 'tpot_p99<50ms'."

    @classmethod
    def none_given(cls) -> Self:
        return cls(f"There is no objective to size a fleet by. Give at least one --slo. {cls._FORM}")

    @classmethod
    def unreadable(cls, text: str, metrics: Iterable[str]) -> Self:
        return cls(f"'{text}' is no objective. {cls._FORM} Limited may be: {', '.join(metrics)}.")

    @classmethod
    def no_such_metric(cls, text: str, metric: str, metrics: Iterable[str]) -> Self:
        known = list(metrics)
        near = difflib.get_close_matches(metric, known, 1)
        hint = f"Did you mean '{near[0]}'?" if near else f"There are {', '.join(known)}."
        return cls(f"'{text}' limits '{metric}', which is no quantity that is known. {hint}")

    @classmethod
    def no_such_unit(cls, text: str, unit: str, units: Iterable[str]) -> Self:
        return cls(f"'{text}' has the unit '{unit}'; write one of {', '.join(units)}.")

    @classmethod
    def not_an_upper_limit(cls, text: str) -> Self:
        return cls(f"'{text}' is no upper limit; write it with '<'. {cls._FORM}")

    @classmethod
    def no_percentile(cls, text: str, percent: float) -> Self:
        return cls(f"'{text}' asks for percentile {percent:g}; it must be above 0 and below 100.")

    @classmethod
    def no_limit(cls, text: str) -> Self:
        return cls(f"'{text}' has no limit above 0. {cls._FORM}")

    @classmethod
    def contradictory(cls, one: str, other: str) -> Self:
        return cls(
            f"The objectives '{one}' and '{other}' contradict each other: they give one percentile two limits. "
            "Leave one of them out."
        )


class SizingRefused(TracekitError):
    @classmethod
    def small_model_for_none_or_all(cls, calls: str, met: int, recorded: int) -> Self:
        return cls(
            f"The small model's calls, '{calls}', are {met:,} of the {recorded:,} recorded ones: there is nothing to "
            "share out. Change the rule, or leave --small out and name the model with --models."
        )

    @classmethod
    def one_session(cls, path: Location) -> Self:
        return cls(
            f"{path} holds one session. How much sessions differ cannot be inferred from it, so no percentile over "
            "sessions, no interval and no risk can be stated: every session would be a copy of this one. Record more "
            "sessions; `tracekit replay --rate` shows what this one does under load."
        )

    @classmethod
    def no_rate(cls) -> Self:
        return cls(
            "Nothing says how many sessions arrive. Give --rate, such as --rate 5/s, or --daily with a column `rate`."
        )

    @classmethod
    def no_candidate(cls, reasons: Iterable[str]) -> Self:
        listed = "".join(f"\n  {reason}" for reason in reasons)
        return cls(
            "No fleet can be made of what --gpus, --models and --tp allow. Allow more, or a model of less memory or a "
            f"longer context:{listed}"
        )


class SizeBudgetInvalid(TracekitError):
    @classmethod
    def unreadable(cls, text: str, known: Iterable[str]) -> Self:
        return cls(
            f"'{text}' is no budget. Write `unmet`, or a quantity and a limit such as 'cost_per_month>5000' or "
            f"'idle>50%'. Quantities are: {', '.join(known)}."
        )

    @classmethod
    def no_share(cls, text: str, quantity: str, shares: Iterable[str]) -> Self:
        return cls(
            f"'{text}' cannot be judged: {quantity} is no share of anything, and a sizing has nothing to have changed "
            f"from. Give a number without %; percents are of {' and '.join(shares)}. Changes are judged by "
            "`tracekit diff A B --fail-if`."
        )

    @classmethod
    def unknown(cls, text: str, quantity: str, known: Iterable[str]) -> Self:
        near = difflib.get_close_matches(quantity, list(known), 1)
        hint = f"Did you mean '{near[0]}'?" if near else f"There are {', '.join(known)}."
        return cls(f"'{text}' limits '{quantity}', which a sizing does not tell. {hint}")


class ForecastInvalid(TracekitError):
    @classmethod
    def unreadable(cls, path: Path, reason: str) -> Self:
        return cls(
            f"{path} cannot be read as a sizing ({reason}). `tracekit size TRACE ... -o {path.stem}.json` writes one."
        )

    @classmethod
    def foreign(cls, path: Path) -> Self:
        return cls(
            f"{path} is JSON, but no document of `tracekit size`: it has no question. "
            f"`tracekit size TRACE ... -o {path.stem}.json` writes one."
        )

    @classmethod
    def no_answer(cls, path: Path) -> Self:
        return cls(
            f"{path} names no fleet, so there is nothing to hold a recording against. Size anew with objectives that "
            "some fleet meets."
        )
