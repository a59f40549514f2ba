"""What sessions would draw, cost and emit if so many were asked for every day, year in, year out."""

from __future__ import annotations

from dataclasses import dataclass

from tracekit.units import J_PER_WH

H_PER_DAY = 24
DAYS_PER_YEAR = 365
S_PER_DAY = 86_400
G_PER_T = 1e6


@dataclass(frozen=True)
class Demand:
    """`queries_per_day` sessions a day, each as the replayed ones are on average."""

    queries_per_day: float

    def megawatts(self, session_j: float) -> float:
        """Mean power, in MW: Wh a query x queries a day / 24 h (arXiv 2506.04301, table III)."""
        return session_j / J_PER_WH * self.queries_per_day / H_PER_DAY / 1e6

    def usd_per_year(self, session_usd: float) -> float:
        """Dollars a year."""
        return session_usd * self.queries_per_day * DAYS_PER_YEAR

    def tonnes_per_year(self, session_j: float, g_per_kwh: float) -> float:
        """Tonnes of CO2-equivalent a year."""
        kwh = session_j / J_PER_WH / 1000
        return kwh * g_per_kwh * self.queries_per_day * DAYS_PER_YEAR / G_PER_T
