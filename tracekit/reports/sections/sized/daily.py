"""What elasticity saves over a day."""

from __future__ import annotations

from tracekit import units
from tracekit.reports.sections.section import Cell, Document, Section, Table
from tracekit.reports.sections.sized.cells import interval_cell, interval_text

GAPS_SHOWN = 3


def daily_section(document: Document) -> Section:
    """What replicas that come and go save over a day against a fleet for its peak."""
    daily = document["daily"]
    if daily is None:
        return Section("daily", "Over the day", "", [])
    fleets = [
        (words, daily[key])
        for key, words in (
            ("static", "standing all day"),
            ("elastic", "elastic"),
            ("nearest", "elastic, nearest"),
        )
        if daily[key] is not None
    ]
    rows = [
        [
            Cell(words),
            Cell(_day_size(day)),
            interval_cell(day["gpus"], lambda value: f"{value:.1f}"),
            interval_cell(day["usd_per_day"], units.dollars),
            Cell(f"{day['meeting']} of {day['replicates']}"),
        ]
        for words, day in fleets
    ]
    return Section(
        "daily",
        "Over the day",
        _daily_words(daily),
        [Table("A day", ("fleet", "replicas", "GPUs paid for, mean", "a day", "replicates met"), rows)],
    )


def _day_size(day: Document) -> str:
    if day["least_replicas"] is None:
        return units.count(day["most_replicas"])
    return f"{day['least_replicas']} to {day['most_replicas']}, one more above {day['scale_up_calls']} calls each"


def _daily_words(daily: Document) -> str:
    words = [
        f"{daily['mean_rate_per_s']:.3g} sessions/s in the mean, {daily['trough_rate_per_s']:.3g} to "
        f"{daily['peak_rate_per_s']:.3g}; the fleet above is sized for the busiest hours. A replica takes "
        f"{units.seconds(daily['startup_s'])} to start."
    ]
    saved = daily["saved_share"]
    if saved is not None and saved["median"] <= 0:
        words.append("Replicas that come and go save nothing here; the cheapest that hold are shown.")
    elif saved is not None:
        words.append(
            f"Replicas that come and go cost {interval_text(saved, units.percent)} less: "
            f"{interval_text(daily['saved_usd_per_year'], units.dollars)} a year."
        )
    elif daily["static"] is not None:
        words.append(
            "No elastic fleet that was tried meets the objectives over the day; the nearest is shown."
        )
    if daily["part"] is not None and daily["part"] > 1:
        words.append(
            f"A day has too many calls to replay: every {daily['part']}th session was, on as small a part of the "
            "fleet, which smooths less and so understates what is saved."
        )
    if daily["gaps"]:
        words.append(_gap_words(daily["gaps"]))
    return " ".join(words)


def _gap_words(gaps: list[list[float]]) -> str:
    between = [f"{start:g} and {end % 24:g}" for start, end in gaps[:GAPS_SHOWN]]
    more = f", and in {len(gaps) - GAPS_SHOWN} gaps more" if len(gaps) > GAPS_SHOWN else ""
    return (
        f"The profile names no hour between {', between '.join(between)}{more}; the level before a gap holds until its "
        "end."
    )
