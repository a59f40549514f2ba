"""Service-level objectives: upper limits of percentiles, as users write them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from tracekit.errors import SloInvalid

METRICS = {
    "session": "session time, first call to answer",
    "e2e": "a call from request to last token",
    "ttft": "time to first token",
    "tpot": "time per output token after the first",
}
"""session over sessions, e2e and ttft over calls, tpot over calls of at least two output tokens."""

_UNITS_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
_FORM = re.compile(
    r"\s*(?P<metric>[a-z0-9]+)_p(?P<percent>\d+(\.\d+)?)\s*(?P<sign><=?|>=?|=+)\s*"
    r"(?P<limit>[-+]?[\d.]+(e[-+]?\d+)?)\s*(?P<unit>[a-z]+)\s*",
    re.IGNORECASE,
)
_TAIL_PERCENT = 99.0


@dataclass(frozen=True, order=True)
class Slo:
    """`percent` of the sessions (or calls) take less than `limit_s`; as numpy's inverted_cdf has percentiles."""

    metric: str
    percent: float
    limit_s: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """The objective in `session_p95<60s`. Raises SloInvalid where it is none."""
        found = _FORM.fullmatch(text)
        if found is None:
            raise SloInvalid.unreadable(text, METRICS)
        metric, unit = found["metric"].lower(), found["unit"].lower()
        if metric not in METRICS:
            raise SloInvalid.no_such_metric(text, metric, METRICS)
        if unit not in _UNITS_S:
            raise SloInvalid.no_such_unit(text, unit, _UNITS_S)
        if not found["sign"].startswith("<"):
            raise SloInvalid.not_an_upper_limit(text)
        percent, limit_s = float(found["percent"]), _number(text, found["limit"]) * _UNITS_S[unit]
        if not 0 < percent < 100:
            raise SloInvalid.no_percentile(text, percent)
        if not 0 < limit_s < float("inf"):
            raise SloInvalid.no_limit(text)
        return cls(metric, percent, limit_s)

    @property
    def name(self) -> str:
        """What is limited: session_p95."""
        return f"{self.metric}_p{self.percent:g}"

    @property
    def is_of_the_tail(self) -> bool:
        """Whether so few are slower that it takes 2,000 sessions to see them."""
        return self.percent >= _TAIL_PERCENT

    def __str__(self) -> str:
        return f"{self.name}<{self.limit_s:g}s"


def parse_slos(texts: Iterable[str]) -> tuple[Slo, ...]:
    """The objectives, each once, in the order given.

    Raises
    ------
    SloInvalid : there is none, one cannot be read, or two contradict each other: the same percentile under two
        limits, so that nobody knows which one holds.
    """
    slos = tuple(dict.fromkeys(Slo.parse(text) for text in texts))
    if not slos:
        raise SloInvalid.none_given()
    for place, slo in enumerate(slos):
        for other in slos[:place]:
            if other.name == slo.name:
                raise SloInvalid.contradictory(str(other), str(slo))
    return slos


def implied(slos: tuple[Slo, ...]) -> dict[Slo, Slo]:
    """Objectives that can never bind, by the one that implies each: a lower percentile under a higher limit."""
    return {
        slo: other
        for slo in slos
        for other in slos
        if other != slo
        and other.metric == slo.metric
        and other.percent >= slo.percent
        and other.limit_s <= slo.limit_s
    }


def _number(text: str, digits: str) -> float:
    try:
        return float(digits)
    except ValueError:
        raise SloInvalid.no_limit(text) from None
