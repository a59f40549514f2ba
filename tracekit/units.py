"""Numbers as people read them. Inside the program: seconds, ns, W, J, USD; here they become text."""

from __future__ import annotations

from decimal import Decimal

NS_PER_S = 1_000_000_000
J_PER_WH = 3600.0


def seconds(value_s: float | None) -> str:
    """A duration with the unit that keeps three digits: 12.3 ms, 4.56 s, 2 min 05 s, 45 min, 3.1 h."""
    if value_s is None:
        return "-"
    if value_s == 0:
        return "0 s"
    if value_s < 0:
        return f"-{seconds(-value_s)}"
    size = float(f"{abs(value_s):.3g}")
    if size < 1e-3:
        return f"{value_s * 1e6:.3g} us"
    if size < 1:
        return f"{value_s * 1e3:.3g} ms"
    if size < 120:
        return f"{value_s:.3g} s"
    if size < 7200:
        minutes, rest_s = divmod(round(value_s), 60)
        return f"{minutes} min {rest_s:02d} s" if rest_s else f"{minutes} min"
    return f"{value_s / 3600:,.1f} h"


def energy(value_j: float | None, *, is_least: bool = False) -> str:
    """Watt-hours with three digits that count: 0.0781 Wh, 12.3 Wh, 4.56 kWh; >= 12.3 Wh where a part is not known."""
    if value_j is None:
        return "-"
    value_wh, least = value_j / J_PER_WH, ">= " if is_least else ""
    if float(f"{abs(value_wh):.3g}") < 1000:
        return f"{least}{value_wh:.3g} Wh"
    return f"{least}{value_wh / 1000:,.3g} kWh"


def watts(value_w: float | None) -> str:
    """A power with three digits that count: 123 W, 86.9 kW, 1.23 MW, 4.5 GW."""
    if value_w is None:
        return "-"
    size = float(f"{abs(value_w):.3g}")
    if size < 1e3:
        return f"{value_w:.3g} W"
    if size < 1e6:
        return f"{value_w / 1e3:.3g} kW"
    return f"{value_w / 1e6:.3g} MW" if size < 1e9 else f"{value_w / 1e9:.3g} GW"


def dollars(value_usd: float | None) -> str:
    """USD: whole ones, with cents, or three digits that count: $1,234, $12.30, $0.00421, $0.0000889."""
    if value_usd is None:
        return "-"
    if abs(value_usd) >= 999.995:
        return f"${value_usd:,.0f}"
    if abs(value_usd) >= 1:
        return f"${value_usd:,.2f}"
    return f"${Decimal(f'{value_usd:.3g}'):f}"


def percent(share: float | None) -> str:
    """A share of 1 as percent: 0.0421 -> 4.2 %."""
    return "-" if share is None else f"{share * 100:.1f} %"


def count(value: float | None) -> str:
    """A count with thousands separators."""
    return "-" if value is None else f"{value:,.0f}"


def ratio(value: float | None) -> str:
    """A dimensionless ratio with three digits."""
    return "-" if value is None else f"{value:.3g}"


def ratio_of(part: float, whole: float) -> float | None:
    """The share of 1, None where there is no whole."""
    return part / whole if whole else None
