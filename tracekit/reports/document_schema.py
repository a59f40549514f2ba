"""The schema of the document, as JSON Schema (2020-12): what every key holds, its unit, and when it is null.

`docs/reference/document.schema.json` is written from it. Keys may be added in a minor version; `schema_version`
rises when one changes its meaning.
"""

from __future__ import annotations

from tracekit.reports.comparison_schema import comparison_schema
from tracekit.reports.difference_schema import difference_schema
from tracekit.reports.document import SCHEMA_VERSION
from tracekit.reports.measured_schema import (
    comparison,
    device,
    energy,
    engine_load,
    of_serving_gpus,
    of_session,
)
from tracekit.reports.replay_sources import TIERS
from tracekit.reports.savings import savings_schema
from tracekit.reports.schema_parts import (
    AMOUNT,
    COUNT,
    FLAG,
    NUMBER,
    SHARE,
    TEXT,
    Schema,
    list_of,
    object_of,
    or_null,
    table_of,
)
from tracekit.reports.sizing_schema import interval, verdict
from tracekit.reports.sizing_schema import sizing as sizing_keys
from tracekit.reports.sweep_schema import sweep_schema
from tracekit.reports.what_if import what_if_schema
from tracekit.reports.words import CAUSES, CLASSES, STATES

_SPREAD: Schema = {"$ref": "#/$defs/distribution"}
_STEPS = ["llm_call", "tool_span"]


def document_schema() -> Schema:
    """The schema of what commands write as JSON; a replay's own keys stand at its top."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tracekit document",
        "description": "Seconds, joules, US dollars and grams; shares are of 1; null is unknown.",
        "anyOf": [
            {"$ref": f"#/$defs/{kind}"}
            for kind in ("analysis", "one_replay", "comparison", "difference", "sizing", "sweep")
        ],
        "$defs": {
            "sweep": sweep_schema(_head()),
            "analysis": _analysis(),
            "one_replay": _one_replay(),
            "comparison": comparison_schema(_head(), TIERS),
            "difference": difference_schema(_head()),
            "sizing": object_of(_head() | sizing_keys(), optional=("command",)),
            "verdict": verdict(),
            "interval": interval(),
            "recorded": _recorded(),
            "replay": object_of(_replay_keys()),
            "session": _session(),
            "fleet": _fleet(),
            "distribution": _distribution(),
            "shares": object_of({name: or_null(SHARE) for name in ("llm", "tool", "overlap", "gap")}),
            "replica_shares": object_of({name: list_of(SHARE) for name in STATES}, optional=tuple(STATES)),
            "error_band": object_of({"mape": AMOUNT, "median_ape": AMOUNT, "on": TEXT}),
            "critical_path": _critical_path(),
        },
    }


def _head() -> dict[str, Schema]:
    return {
        "schema_version": {"const": SCHEMA_VERSION},
        "trace": {"type": "string", "description": "The trace's file."},
        "assumptions": list_of(TEXT, "What the numbers take for granted, a sentence each."),
        "sources": table_of(TEXT, "Where each kind of number comes from, with its error."),
        "command": {"type": "string", "description": "The line that made the document."},
    }


def _analysis() -> Schema:
    keys = _head() | {
        "headline": {"type": "string", "description": "The answer in one sentence."},
        "origin": {"enum": ["recorded", "imported", "published-shape"]},
        "labels": table_of(TEXT, "What is no user's real workload."),
        "recorded": {"$ref": "#/$defs/recorded"},
        "replays": list_of({"$ref": "#/$defs/replay"}, "One a fleet, in the order asked for."),
        "not_seen": list_of(TEXT, "What the recorder knows that it missed."),
    }
    keys["measured_against_modelled"] = comparison({"$ref": "#/$defs/fleet"})
    return object_of(keys, optional=("command", "measured_against_modelled"))


def _one_replay() -> Schema:
    release = {"type": "object", "properties": {"name": TEXT}, "required": ["name"]}
    steady = object_of(
        {
            "start_s": NUMBER,
            "end_s": NUMBER,
            "sessions": COUNT,
            "unstable": FLAG,
            "may_be_chance": FLAG,
            "session_s": or_null(_SPREAD),
            "unloaded_session_p95_s": AMOUNT,
        },
        about="The part of the replay after the fleet has filled.",
    )
    keys = _head() | _replay_keys() | {"release": release, "steady": or_null(steady)}
    return object_of(keys, optional=("command",))


def _latencies() -> dict[str, Schema]:
    return {name: or_null(_SPREAD) for name in ("ttft_s", "tpot_s", "e2e_s", "queue_s", "session_s")}


def _counts() -> dict[str, Schema]:
    return {"calls": COUNT, "calls_failed": COUNT, "sessions": COUNT, "makespan_s": AMOUNT}


def _token_sums() -> dict[str, Schema]:
    return {side: or_null(COUNT) for side in ("input", "output", "cached")}


def _by_side() -> Schema:
    return object_of({"input": COUNT, "output": COUNT})


def _classes() -> Schema:
    return or_null(object_of(dict.fromkeys(CLASSES, COUNT)), "Input by what it is, and the output.")


def _recorded() -> Schema:
    by_source = object_of({"calls": COUNT, "input": or_null(COUNT), "output": or_null(COUNT)})
    return object_of(
        _counts()
        | _latencies()
        | {
            "tools": COUNT,
            "models": list_of(TEXT),
            "share": {"$ref": "#/$defs/shares"},
            "idle": object_of(
                {name: or_null(NUMBER) for name in ("tool_share", "no_call_in_flight", "device_idle")}
            ),
            "tokens": object_of(
                _token_sums()
                | {"uncounted_calls": _by_side(), "by_class": _classes(), "by_source": table_of(by_source)}
            ),
            "prefix": _prefix(),
            "power": list_of(device()),
            "engines": list_of(engine_load()),
            "energy_j": energy(),
            **of_serving_gpus(),
            "per_session": list_of({"$ref": "#/$defs/session"}),
            "timeline": or_null(_recorded_timeline(), "What charts are drawn from; bounded."),
            "critical_paths": or_null(list_of({"$ref": "#/$defs/critical_path"}), "Slowest sessions first."),
        },
        optional=tuple(of_serving_gpus()),
    )


def _prefix() -> Schema:
    agreement = object_of(
        {
            **dict.fromkeys(("calls", "agreeing", "fewer", "more"), COUNT),
            **{name: or_null(NUMBER) for name in ("explained", "found")},
        }
    )
    return object_of(
        {
            "server_cached": or_null(NUMBER, "Of all input tokens, those that the server read from its cache."),
            "shareable": or_null(NUMBER, "Of all input tokens, those that were in an earlier prompt or answer."),
            "agreement": or_null(agreement),
            "calls": COUNT,
            "reporting_calls": COUNT,
        }
    )  # fmt: skip


def _session() -> Schema:
    spread = object_of({name: or_null(NUMBER) for name in ("mean", "p50", "p95")})
    counted = {"estimated_calls": COUNT, "uncounted_calls": _by_side()}
    return object_of(
        {
            "session_id": {"type": "integer", "description": "Its row in the trace."},
            "name": or_null(TEXT),
            "start_ns": {"type": "integer"},
            "session_s": or_null(NUMBER),
            "calls": COUNT,
            "tools": COUNT,
            "tokens": object_of(_token_sums() | counted | {"by_class": _session_classes()}),
            **dict.fromkeys(("ttft_s", "tpot_s", "e2e_s"), spread),
            "share": {"$ref": "#/$defs/shares"},
            **of_session(),
        },
        optional=tuple(of_session()),
    )


def _session_classes() -> Schema:
    return or_null(object_of({name: or_null(COUNT) for name in CLASSES}))


def _distribution() -> Schema:
    return object_of(
        {
            "n": {"type": "integer", "minimum": 1},
            **dict.fromkeys(("mean", "p50", "p90", "p95", "p99"), NUMBER),
            "cv": or_null(NUMBER, "Standard deviation over mean."),
            "p95_over_p50": or_null(NUMBER),
            "curve": list_of(NUMBER, "The values at 0, 2, 4 ... 100 percent."),
        }
    )


def _recorded_timeline() -> Schema:
    mark = object_of(
        {
            "kind": {"enum": _STEPS},
            "name": or_null(TEXT),
            "steps": {"type": "integer", "minimum": 1, "description": "More than 1: too close to tell apart."},
            "start_s": NUMBER,
            "end_s": NUMBER,
        }
    )  # fmt: skip
    line = object_of(
        {
            "session_id": {"type": "integer"},
            "name": or_null(TEXT),
            "start_s": NUMBER,
            "end_s": NUMBER,
            "marks": list_of(mark),
        }
    )
    means = {
        name: list_of(AMOUNT, "Mean number in each bin.")
        for name in ("sessions_open", "calls_open", "tools_open")
    }
    return object_of({"bin_s": AMOUNT, **means, "sessions": list_of(line, "The slowest, in order of start.")})


def _critical_path() -> Schema:
    step = object_of(
        {
            "row_id": {"type": "integer"},
            "kind": {"enum": _STEPS},
            "name": or_null(TEXT),
            "start_s": NUMBER,
            "wait_s": AMOUNT,
            "own_s": AMOUNT,
        }
    )
    return object_of(
        {
            "session_id": {"type": "integer"},
            "name": or_null(TEXT),
            **dict.fromkeys(("session_s", "llm_s", "tool_s", "wait_s"), AMOUNT),
            "count": COUNT,
            "steps": list_of(step, "The longest, in order of start; seconds since the session's start."),
        }
    )


def _pool() -> dict[str, Schema]:
    return {
        **dict.fromkeys(("gpu", "model", "engine", "role", "calls", "batching"), TEXT),
        **dict.fromkeys(("tp", "replicas", "max_num_seqs"), COUNT),
        **dict.fromkeys(
            ("max_num_batched_tokens", "max_model_len", "kv_capacity_tokens", "kv_block_tokens"), COUNT
        ),
        "min_replicas": or_null(COUNT),
        "calibration": or_null(TEXT),
        "prefix_cache": FLAG,
        "kv_compression": AMOUNT,
        "usd_per_gpu_hour": object_of({**dict.fromkeys(("low", "typical", "high"), NUMBER), "date": TEXT}),
    }


def _fleet() -> Schema:
    pools = list_of(
        object_of(_pool()), "All pools, where there are several; then the other keys are the first's."
    )
    keys = _pool() | {"router": TEXT, "queue_order": TEXT, "pools": pools}
    return object_of(keys, optional=("pools",))


def _replay_keys() -> dict[str, Schema]:
    by_cause = object_of(dict.fromkeys(CAUSES, AMOUNT))
    paid = dict.fromkeys(("prefill", "decode", "mixed", "idle", "starting"), AMOUNT)
    band = or_null({"$ref": "#/$defs/error_band"})
    return (
        {"fleet": {"$ref": "#/$defs/fleet"}, "assumed": list_of(TEXT, "What nobody chose.")}
        | _counts()
        | _latencies()
        | {
            "share": {"$ref": "#/$defs/shares"},
            "tokens": object_of(_token_sums() | {"by_class": {"type": "null"}}),
            "gpu_s": object_of({"billed": AMOUNT, **paid, "off": AMOUNT}),
            "idle_s": by_cause,
            "energy_j": object_of(
                {
                    "scope": {"const": "gpu"},
                    "total": AMOUNT,
                    "by_phase": object_of(paid),
                    "by_cause": by_cause,
                    "per_session": AMOUNT,
                    "isolated_per_session": or_null(AMOUNT, "Each session alone on one replica."),
                }
            ),
            "cost_usd": object_of(
                {
                    "total": AMOUNT,
                    "per_session": AMOUNT,
                    "isolated_per_session": or_null(AMOUNT),
                    "api_equivalent": or_null(AMOUNT),
                }
            ),
            "carbon_g": object_of({"low": AMOUNT, "high": AMOUNT, "grid": TEXT, "scope": {"const": "gpu"}}),
            "prefix_hit_fraction": or_null(SHARE),
            "preemptions": COUNT,
            "kv_fraction": object_of({"mean": or_null(SHARE), "max": SHARE}),
            "engine_steps": COUNT,
            "tier": {"enum": list(TIERS)},
            "error": object_of({"itl": band, "power": band}),
            "timeline": or_null(_replica_timeline(), "What charts are drawn from; bounded."),
            "costliest_sessions": or_null(list_of(_costliest())),
            "what_if": what_if_schema(),
            "savings": savings_schema(),
        }
    )


def _replica_timeline() -> Schema:
    shares = {"$ref": "#/$defs/replica_shares"}
    return object_of(
        {"bin_s": AMOUNT, "replicas": COUNT, "fleet": shares, "first_replicas": list_of(shares)},
        about="Shares of each bin by what replicas do; a state that never is has no key.",
    )


def _costliest() -> Schema:
    return object_of(
        {
            "session_id": {"type": "integer"},
            "name": or_null(TEXT),
            "session_s": AMOUNT,
            "energy_j": AMOUNT,
            "isolated_energy_j": or_null(AMOUNT),
            "cost_usd": AMOUNT,
        },
        about="Of the average view: its calls, the idleness it caused, its part of the rest.",
    )
