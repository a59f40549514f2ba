"""The schema of what `compare` writes as JSON."""

from __future__ import annotations

from tracekit.reports.schema_parts import (
    AMOUNT,
    COUNT,
    NUMBER,
    SHARE,
    TEXT,
    Schema,
    list_of,
    object_of,
    or_null,
    table_of,
)

_SPREAD: Schema = {"$ref": "#/$defs/distribution"}


def comparison_schema(head: dict[str, Schema], tiers: tuple[str, ...]) -> Schema:
    """`head` is what every document begins with; here `trace` are the files, in the workflows' order."""
    keys = head | {
        "trace": list_of(TEXT, "The workflows' files."),
        "headline": {"type": "string", "description": "The answer in a sentence or two."},
        "baseline": {"type": "string", "description": "The workflow that every `x` is against."},
        "queries_per_day": or_null(AMOUNT, "Sessions a day that `at_demand` is for."),
        "workflows": list_of(_workflow(tiers), "In the order asked for, each replayed on the same fleets."),
    }
    return object_of(keys, optional=("command",))


def _workflow(tiers: tuple[str, ...]) -> Schema:
    return object_of(
        {
            "name": TEXT,
            "trace": TEXT,
            "labels": table_of(TEXT, "What is no user's real workload."),
            "models": list_of(TEXT),
            "sessions": {"type": "integer", "minimum": 1},
            "calls_per_session": AMOUNT,
            "tools_per_session": AMOUNT,
            "tokens_per_session": object_of({side: or_null(AMOUNT) for side in ("input", "output")}),
            "score": or_null(object_of({"mean": NUMBER, "sessions": COUNT}), "Of the sessions that carry one."),
            "recorded": object_of(
                {
                    "session_s": or_null(_SPREAD),
                    "session_x": _ratios(),
                    "share": {"$ref": "#/$defs/shares"},
                    "measured_wh_per_session": or_null(AMOUNT, "All sampled GPUs over the recording, by session."),
                    "measured_wh_x": or_null(AMOUNT),
                }
            ),
            "replays": list_of(_replay(tiers), "One a fleet, the same fleets for every workflow."),
        }
    )  # fmt: skip


def _ratios() -> Schema:
    parts = object_of({name: or_null(AMOUNT) for name in ("mean", "p50", "p95")})
    return or_null(parts, "How many times the baseline's, statistic by statistic.")


def _replay(tiers: tuple[str, ...]) -> Schema:
    views = ("average", "isolated")
    band = or_null({"$ref": "#/$defs/error_band"})
    return object_of(
        {
            "fleet": {"$ref": "#/$defs/fleet"},
            "assumed": list_of(TEXT, "What nobody chose."),
            "calls": COUNT,
            "calls_failed": COUNT,
            "session_s": or_null(_SPREAD),
            "session_x": _ratios(),
            "idle": or_null(SHARE, "Idle GPU seconds over paid ones."),
            "wh_per_session": object_of(dict.fromkeys(views, AMOUNT)),
            "wh_x": object_of({view: or_null(AMOUNT) for view in views}),
            "cost_usd_per_session": AMOUNT,
            "cost_x": or_null(AMOUNT),
            "prefix_hit_fraction": or_null(SHARE),
            "at_demand": or_null(_at_demand(), "If so many sessions a day were asked for."),
            "tier": {"enum": list(tiers)},
            "error": object_of({"itl": band, "power": band}),
        }
    )


def _at_demand() -> Schema:
    carbon = {"low": AMOUNT, "high": AMOUNT, "grid": TEXT, "scope": {"const": "gpu"}}
    return object_of(
        {
            "mw": object_of(dict.fromkeys(("average", "isolated"), AMOUNT), about="Mean power in megawatts."),
            "usd_per_year": AMOUNT,
            "carbon_t_per_year": object_of(carbon),
        }
    )
