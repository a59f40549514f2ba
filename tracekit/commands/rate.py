"""The option type of a rate of sessions."""

from __future__ import annotations

from typing import Any

import click

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
