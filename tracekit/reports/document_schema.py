"""The schema of the document, as JSON Schema (2020-12): what every key holds, its unit, and when it is null.

`docs/reference/document.schema.json` is written from it. Keys may be added in a minor version; `schema_version`
rises when one changes its meaning.
"""

from __future__ import annotations

from typing import Any

from tracekit.reports.document import SCHEMA_VERSION, TIERS
from tracekit.reports.words import CAUSES, CLASSES, STATES

Schema = dict[str, Any]
_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_FLAG: Schema = {"type": "boolean"}
_SHARE: Schema = {"type": "number", "minimum": -1e-9, "maximum": 1 + 1e-9}
_AMOUNT: Schema = {"type": "number", "minimum": 0}
_SPREAD: Schema = {"$ref": "#/$defs/distribution"}
_STEPS = ["llm_call", "tool_span"]


def document_schema() -> Schema:
    """The schema of what `analyze` and `replay` write as JSON; a replay's own keys stand at its top."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tracekit document",
        "description": "Seconds, joules, US dollars and grams; shares are of 1; null is unknown.",
        "anyOf": [{"$ref": "#/$defs/analysis"}, {"$ref": "#/$defs/one_replay"}],
        "$defs": {
            "analysis": _analysis(),
            "one_replay": _one_replay(),
            "recorded": _recorded(),
            "replay": _object(_replay_keys()),
            "session": _session(),
            "fleet": _fleet(),
            "distribution": _distribution(),
            "shares": _object({name: _or_null(_SHARE) for name in ("llm", "tool", "overlap", "gap")}),
            "replica_shares": _object({name: _list(_SHARE) for name in STATES}, optional=tuple(STATES)),
            "error_band": _object({"mape": _AMOUNT, "median_ape": _AMOUNT, "on": _TEXT}),
            "critical_path": _critical_path(),
        },
    }


def _object(keys: dict[str, Schema], optional: tuple[str, ...] = (), about: str = "") -> Schema:
    required = [key for key in keys if key not in optional]
    schema = {"type": "object", "properties": keys, "required": required, "additionalProperties": False}
    return ({"description": about} if about else {}) | schema


def _list(item: Schema, about: str = "") -> Schema:
    return {"type": "array", "items": item} | ({"description": about} if about else {})


def _table(value: Schema, about: str = "") -> Schema:
    """An object with keys of its own."""
    return {"type": "object", "additionalProperties": value} | ({"description": about} if about else {})


def _or_null(schema: Schema, about: str = "") -> Schema:
    return {"anyOf": [schema, {"type": "null"}]} | ({"description": about} if about else {})


def _head() -> dict[str, Schema]:
    return {
        "schema_version": {"const": SCHEMA_VERSION},
        "trace": {"type": "string", "description": "The trace's file."},
        "assumptions": _list(_TEXT, "What the numbers take for granted, a sentence each."),
        "sources": _table(_TEXT, "Where each kind of number comes from, with its error."),
        "command": {"type": "string", "description": "The line that made the document."},
    }


def _analysis() -> Schema:
    keys = _head() | {
        "headline": {"type": "string", "description": "The answer in one sentence."},
        "origin": {"enum": ["recorded", "imported", "published-shape"]},
        "labels": _table(_TEXT, "What is no user's real workload."),
        "recorded": {"$ref": "#/$defs/recorded"},
        "replays": _list({"$ref": "#/$defs/replay"}, "One a fleet, in the order asked for."),
        "not_seen": _list(_TEXT, "What the recorder knows that it missed."),
    }
    return _object(keys, optional=("command",))


def _one_replay() -> Schema:
    release = {"type": "object", "properties": {"name": _TEXT}, "required": ["name"]}
    steady = _object(
        {
            "start_s": _NUMBER,
            "end_s": _NUMBER,
            "sessions": _COUNT,
            "unstable": _FLAG,
            "session_s": _or_null(_SPREAD),
            "unloaded_session_p95_s": _AMOUNT,
        },
        about="The part of the replay after the fleet has filled.",
    )
    keys = _head() | _replay_keys() | {"release": release, "steady": _or_null(steady)}
    return _object(keys, optional=("command",))


def _latencies() -> dict[str, Schema]:
    return {name: _or_null(_SPREAD) for name in ("ttft_s", "tpot_s", "e2e_s", "queue_s", "session_s")}


def _counts() -> dict[str, Schema]:
    return {"calls": _COUNT, "calls_failed": _COUNT, "sessions": _COUNT, "makespan_s": _AMOUNT}


def _token_sums() -> dict[str, Schema]:
    return {side: _or_null(_COUNT) for side in ("input", "output", "cached")}


def _classes() -> Schema:
    return _or_null(_object(dict.fromkeys(CLASSES, _COUNT)), "Input by what it is, and the output.")


def _recorded() -> Schema:
    by_source = _object({"calls": _COUNT, "input": _or_null(_COUNT), "output": _or_null(_COUNT)})
    return _object(
        _counts()
        | _latencies()
        | {
            "tools": _COUNT,
            "models": _list(_TEXT),
            "share": {"$ref": "#/$defs/shares"},
            "idle": _object(
                {name: _or_null(_NUMBER) for name in ("tool_share", "no_call_in_flight", "device_idle")}
            ),
            "tokens": _object(_token_sums() | {"by_class": _classes(), "by_source": _table(by_source)}),
            "prefix": _prefix(),
            "power": _list(_device()),
            "energy_j": _object(
                {
                    "total": _or_null(_NUMBER),
                    "error": _or_null(_NUMBER),
                    "source": _or_null(_TEXT),
                    "scope": {"const": "gpu"},
                }
            ),
            "per_session": _list({"$ref": "#/$defs/session"}),
            "timeline": _or_null(_recorded_timeline(), "What charts are drawn from; bounded."),
            "critical_paths": _or_null(_list({"$ref": "#/$defs/critical_path"}), "Slowest sessions first."),
        }
    )


def _prefix() -> Schema:
    agreement = _object(
        {
            **dict.fromkeys(("calls", "agreeing", "fewer", "more"), _COUNT),
            **{name: _or_null(_NUMBER) for name in ("explained", "found")},
        }
    )
    return _object(
        {
            "server_cached": _or_null(_NUMBER, "Of all input tokens, those that the server read from its cache."),
            "shareable": _or_null(_NUMBER, "Of all input tokens, those that were in an earlier prompt or answer."),
            "agreement": _or_null(agreement),
            "calls": _COUNT,
            "reporting_calls": _COUNT,
        }
    )  # fmt: skip


def _device() -> Schema:
    return _object(
        {
            "device": {"enum": ["gpu", "cpu", "dram"]},
            "gpu": _TEXT,
            "name": _or_null(_TEXT),
            "samples": _COUNT,
            "seconds": _NUMBER,
            "counter_resets": _COUNT,
            **{
                name: _or_null(_NUMBER)
                for name in (
                    "counter_j",
                    "counter_error_j",
                    "counter_known_j",
                    "counter_known_s",
                    "integral_j",
                    "integral_error_j",
                    "mean_utilization",
                )
            },
            "power_source": _or_null(_TEXT),
            **dict.fromkeys(("disagrees", "explained", "mig"), _FLAG),
            "reasons": _list(_TEXT),
        },
        about="A device's joules by its counter (measured) and by integrating its watts.",
    )


def _session() -> Schema:
    spread = _object({name: _or_null(_NUMBER) for name in ("mean", "p50", "p95")})
    return _object(
        {
            "session_id": {"type": "integer", "description": "Its row in the trace."},
            "name": _or_null(_TEXT),
            "start_ns": {"type": "integer"},
            "session_s": _or_null(_NUMBER),
            "calls": _COUNT,
            "tools": _COUNT,
            "tokens": _object(_token_sums() | {"estimated_calls": _COUNT, "by_class": _session_classes()}),
            **dict.fromkeys(("ttft_s", "tpot_s", "e2e_s"), spread),
            "share": {"$ref": "#/$defs/shares"},
        }
    )


def _session_classes() -> Schema:
    return _or_null(_object({name: _or_null(_COUNT) for name in CLASSES}))


def _distribution() -> Schema:
    return _object(
        {
            "n": {"type": "integer", "minimum": 1},
            **dict.fromkeys(("mean", "p50", "p90", "p95", "p99"), _NUMBER),
            "cv": _or_null(_NUMBER, "Standard deviation over mean."),
            "p95_over_p50": _or_null(_NUMBER),
            "curve": _list(_NUMBER, "The values at 0, 2, 4 ... 100 percent."),
        }
    )


def _recorded_timeline() -> Schema:
    mark = _object(
        {
            "kind": {"enum": _STEPS},
            "name": _or_null(_TEXT),
            "steps": {"type": "integer", "minimum": 1, "description": "More than 1: too close to tell apart."},
            "start_s": _NUMBER,
            "end_s": _NUMBER,
        }
    )  # fmt: skip
    line = _object(
        {
            "session_id": {"type": "integer"},
            "name": _or_null(_TEXT),
            "start_s": _NUMBER,
            "end_s": _NUMBER,
            "marks": _list(mark),
        }
    )
    means = {
        name: _list(_AMOUNT, "Mean number in each bin.")
        for name in ("sessions_open", "calls_open", "tools_open")
    }
    return _object({"bin_s": _AMOUNT, **means, "sessions": _list(line, "The slowest, in order of start.")})


def _critical_path() -> Schema:
    step = _object(
        {
            "row_id": {"type": "integer"},
            "kind": {"enum": _STEPS},
            "name": _or_null(_TEXT),
            "start_s": _NUMBER,
            "wait_s": _AMOUNT,
            "own_s": _AMOUNT,
        }
    )
    return _object(
        {
            "session_id": {"type": "integer"},
            "name": _or_null(_TEXT),
            **dict.fromkeys(("session_s", "llm_s", "tool_s", "wait_s"), _AMOUNT),
            "count": _COUNT,
            "steps": _list(step, "The longest, in order of start; seconds since the session's start."),
        }
    )


def _pool() -> dict[str, Schema]:
    return {
        **dict.fromkeys(("gpu", "model", "engine", "role", "batching"), _TEXT),
        **dict.fromkeys(("tp", "replicas", "max_num_seqs"), _COUNT),
        **dict.fromkeys(
            ("max_num_batched_tokens", "max_model_len", "kv_capacity_tokens", "kv_block_tokens"), _COUNT
        ),
        "min_replicas": _or_null(_COUNT),
        "calibration": _or_null(_TEXT),
        "prefix_cache": _FLAG,
        "usd_per_gpu_hour": _object({**dict.fromkeys(("low", "typical", "high"), _NUMBER), "date": _TEXT}),
    }


def _fleet() -> Schema:
    pools = _list(
        _object(_pool()), "All pools, where there are several; then the other keys are the first's."
    )
    keys = _pool() | {"router": _TEXT, "queue_order": _TEXT, "pools": pools}
    return _object(keys, optional=("pools",))


def _replay_keys() -> dict[str, Schema]:
    by_cause = _object(dict.fromkeys(CAUSES, _AMOUNT))
    paid = dict.fromkeys(("prefill", "decode", "mixed", "idle", "starting"), _AMOUNT)
    band = _or_null({"$ref": "#/$defs/error_band"})
    return (
        {"fleet": {"$ref": "#/$defs/fleet"}, "assumed": _list(_TEXT, "What nobody chose.")}
        | _counts()
        | _latencies()
        | {
            "share": {"$ref": "#/$defs/shares"},
            "tokens": _object(_token_sums() | {"by_class": {"type": "null"}}),
            "gpu_s": _object({"billed": _AMOUNT, **paid, "off": _AMOUNT}),
            "idle_s": by_cause,
            "energy_j": _object(
                {
                    "scope": {"const": "gpu"},
                    "total": _AMOUNT,
                    "by_phase": _object(paid),
                    "by_cause": by_cause,
                    "per_session": _AMOUNT,
                    "isolated_per_session": _or_null(_AMOUNT, "Each session alone on one replica."),
                }
            ),
            "cost_usd": _object(
                {
                    "total": _AMOUNT,
                    "per_session": _AMOUNT,
                    "isolated_per_session": _or_null(_AMOUNT),
                    "api_equivalent": _or_null(_AMOUNT),
                }
            ),
            "carbon_g": _object({"low": _AMOUNT, "high": _AMOUNT, "grid": _TEXT, "scope": {"const": "gpu"}}),
            "prefix_hit_fraction": _or_null(_SHARE),
            "preemptions": _COUNT,
            "kv_fraction": _object({"mean": _or_null(_SHARE), "max": _SHARE}),
            "engine_steps": _COUNT,
            "tier": {"enum": list(TIERS)},
            "error": _object({"itl": band, "power": band}),
            "timeline": _or_null(_replica_timeline(), "What charts are drawn from; bounded."),
            "costliest_sessions": _or_null(_list(_costliest())),
        }
    )


def _replica_timeline() -> Schema:
    shares = {"$ref": "#/$defs/replica_shares"}
    return _object(
        {"bin_s": _AMOUNT, "replicas": _COUNT, "fleet": shares, "first_replicas": _list(shares)},
        about="Shares of each bin by what replicas do; a state that never is has no key.",
    )


def _costliest() -> Schema:
    return _object(
        {
            "session_id": {"type": "integer"},
            "name": _or_null(_TEXT),
            "session_s": _AMOUNT,
            "energy_j": _AMOUNT,
            "isolated_energy_j": _or_null(_AMOUNT),
            "cost_usd": _AMOUNT,
        },
        about="Of the average view: its calls, the idleness it caused, its part of the rest.",
    )
