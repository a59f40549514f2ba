"""Fleets and sessions that cannot be replayed."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from tracekit.errors.message import TracekitError


class ModelDoesNotFit(TracekitError):
    @classmethod
    def on(
        cls, model: str, gpu: str, tp: int, need_gb: float, have_gb: float, fitting_tp: int | None
    ) -> Self:
        way_out = (
            f"Use --tp {fitting_tp}."
            if fitting_tp
            else "No tensor parallel size up to 8 holds it; use a larger GPU."
        )
        return cls(
            f"{model} does not fit on {tp} x {gpu}: its weights and a minimal cache need "
            f"{need_gb:.1f} GB a GPU, {have_gb:.1f} GB are usable. {way_out}"
        )


class ShapeInvalid(TracekitError):
    @classmethod
    def too_small(cls, shape: str, name: str, value: float, least: float) -> Self:
        return cls(
            f"{name} of the shape '{shape}' is {value!r}; it must be a number of at least {least:g}. Correct the shape."
        )

    @classmethod
    def history_of_one_call(cls, shape: str) -> Self:
        return cls(
            f"The shape '{shape}' has one call a session and tokens of history: there is nothing before a session's "
            "only call. Give it more calls, or count the history as user tokens."
        )

    @classmethod
    def tools_of_one_call(cls, shape: str) -> Self:
        return cls(
            f"The shape '{shape}' has one call a session and tools: in a chain or plan, tools run between two calls. "
            "Give it more calls, or no tools."
        )

    @classmethod
    def tools_without_time(cls, shape: str, tools: float, wall_s: float) -> Self:
        return cls(
            f"The shape '{shape}' has {tools:g} tools and {wall_s:g} s of them a session; one of the two is missing. "
            "Give both, or none."
        )


class ScenarioInvalid(TracekitError):
    @classmethod
    def not_positive(cls, name: str, value: object) -> Self:
        return cls(
            f"{name} is {value!r}; it must be a whole number of at least 1. Correct the fleet file or the option."
        )

    @classmethod
    def not_seconds(cls, name: str, value: object) -> Self:
        return cls(f"{name} is {value!r}; it must be a number of at least 0. Correct the fleet file.")

    @classmethod
    def more_than(cls, name: str, value: int, limit: str, most: int) -> Self:
        return cls(f"{name} is {value}, more than {limit} = {most}. Correct the fleet file.")

    @classmethod
    def cap_below_floor(cls, cap_w: float, gpu: str, floor_w: float) -> Self:
        return cls(
            f"power_cap_w is {cap_w:g}, and a {gpu} draws {floor_w:.0f} W in a step before anything runs on it. "
            "Set it higher in the fleet file."
        )

    @classmethod
    def cannot_offload(cls) -> Self:
        return cls(
            "retention = 'offload' copies blocks of a prefix cache for later calls of the same replica: it needs "
            "role = 'both', prefix_cache = true, and a batching other than 'slots'. Correct the fleet file."
        )

    @classmethod
    def unbalanced_roles(cls, roles: list[str]) -> Self:
        return cls(
            f"The fleet's pools for the same calls have the roles {roles}; either all are 'both', or some 'prefill' "
            "and some 'decode'. Correct the fleet file."
        )

    @classmethod
    def no_such_condition(cls, text: str, condition: str) -> Self:
        return cls(
            f"calls = '{text}' cannot be used: '{condition}' is no condition. Write such as output<=200, input>4000, "
            "model=*haiku*|*mini* or share=0.4 (above 0, below 1), with ' and ' between several."
        )

    @classmethod
    def condition_twice(cls, text: str, name: str) -> Self:
        return cls(f"calls = '{text}' names {name} twice. Name it once; several models have | between them.")

    @classmethod
    def no_call_meets(cls, text: str) -> Self:
        return cls(
            f"calls = '{text}' is met by no call: its limits contradict each other. Correct one of them."
        )

    @classmethod
    def nobody_for_the_rest(cls) -> Self:
        return cls(
            "Every pool of the fleet has calls = '...', so nobody takes those that meet none of them. Leave the key "
            "out of one pool: it takes the rest."
        )

    @classmethod
    def not_a_flag(cls, name: str, value: object) -> Self:
        return cls(f"{name} is {value!r}; it must be true or false. Correct the fleet file or the option.")

    @classmethod
    def not_text(cls, name: str, value: object) -> Self:
        return cls(f"{name} is {value!r}; it must be one name in quotes. Correct the fleet file.")

    @classmethod
    def tp_does_not_divide(cls, tp: int, model: str, heads: int) -> Self:
        return cls(
            f"{model} has {heads} attention heads, which {tp} GPUs cannot share equally. Use --tp 1, 2, 4 or 8."
        )

    @classmethod
    def too_long(cls, rate_per_s: float) -> Self:
        return cls(
            f"At {rate_per_s:g} sessions a second the last would arrive after more than 100 years. Raise --rate."
        )

    @classmethod
    def no_rate(cls, sessions: int) -> Self:
        return cls(
            f"The trace has {sessions} session(s), all arriving at once, so their rate cannot be scaled. "
            "Use --release poisson with --rate: it draws arrivals of its own."
        )

    @classmethod
    def too_many_sessions(cls, expected: float, most: int) -> Self:
        return cls(
            f"Some {expected:,.0f} sessions would arrive; a replay takes up to {most:,}. Lower --rate, --days or "
            "--sessions."
        )

    @classmethod
    def nobody_arrives(cls, expected: float) -> Self:
        return cls(
            f"No session arrives: {expected:.3g} are expected, and the draw gave none. Raise --rate or --days, or "
            "try another --seed."
        )

    @classmethod
    def unreadable(cls, path: Path, reason: str) -> Self:
        return cls(
            f"The fleet file {path} cannot be used: {reason}. It is TOML with a table [fleet] that has at least "
            "gpu and model; `tracekit info --gpus --models` lists the names."
        )
