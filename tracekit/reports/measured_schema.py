"""The schema of what was sampled: devices, servers' metrics, measured joules and whose they are."""

from __future__ import annotations

from tracekit.reports.schema_parts import (
    AMOUNT,
    COUNT,
    FLAG,
    NUMBER,
    TEXT,
    Schema,
    list_of,
    object_of,
    or_null,
    table_of,
)

_KNOWN_OR_NULL = or_null(NUMBER)
_BY_NAME = table_of(_KNOWN_OR_NULL)
_SPLIT = {"enum": ["modelled", "equal", "modelled and equal"]}


def device() -> Schema:
    """A sampled device."""
    gap = object_of(
        {
            "start_ns": {"type": "integer"},
            "end_ns": {"type": "integer"},
            "seconds": AMOUNT,
            "reason": TEXT,
            "energy_j": {"type": "null"},
            "counter_advance_j": or_null(NUMBER, "What the counter advanced in all across it."),
        },
        about="Time whose joules are unknown.",
    )
    return object_of(
        {
            "device": {"enum": ["gpu", "cpu", "dram"]},
            "gpu": TEXT,
            "name": or_null(TEXT),
            "samples": COUNT,
            "counter_resets": COUNT,
            **dict.fromkeys(("seconds", "measured_s"), NUMBER),
            **dict.fromkeys(
                (
                    "energy_j",
                    "bound_j",
                    "counter_j",
                    "counter_error_j",
                    "integral_j",
                    "integral_error_j",
                    "difference",
                    "mean_utilization",
                ),
                _KNOWN_OR_NULL,
            ),
            **dict.fromkeys(("source", "power_source"), or_null(TEXT)),
            **dict.fromkeys(("disagrees", "explained", "mig"), FLAG),
            "serves": list_of(TEXT, "Endpoints whose calls its joules go to."),
            "why": TEXT,
            "reasons": list_of(TEXT, "The driver's, for values that it did not give."),
            "gaps": list_of(gap),
        },
        about="A device's joules by its counter (measured) and by integrating its watts.",
    )


def engine_load() -> Schema:
    """One model behind one endpoint, by the server's own metrics."""
    level = or_null(object_of({"mean": NUMBER, "max": NUMBER}))
    return object_of(
        {
            **dict.fromkeys(("endpoint", "engine"), TEXT),
            "model": or_null(TEXT),
            "samples": COUNT,
            "restarts": COUNT,
            "seconds": NUMBER,
            **dict.fromkeys(("running", "waiting", "kv_fraction"), level),
            **dict.fromkeys(
                (
                    "prefix_query_tokens",
                    "prefix_hit_tokens",
                    "hit_share",
                    "preemptions",
                    "prompt_tokens",
                    "generation_tokens",
                ),
                _KNOWN_OR_NULL,
            ),
        },
        about="All clients of the server are in it.",
    )


def energy() -> Schema:
    """Measured joules of all sampled GPUs, and where they went; with nothing sampled only the first three keys."""
    divided = {
        "by_phase": _BY_NAME,
        "by_cause": _BY_NAME,
        "per_session": _KNOWN_OR_NULL,
        "no_session": _KNOWN_OR_NULL,
        "bound": object_of({"total": _KNOWN_OR_NULL, "by_phase": _BY_NAME, "by_cause": _BY_NAME}),
        "unmeasured_s": object_of({"by_phase": _BY_NAME, "by_cause": _BY_NAME}),
        "unmeasured_gpu_s": AMOUNT,
    }
    keys = {"total": _KNOWN_OR_NULL, "source": or_null(TEXT), "scope": {"const": "gpu"}} | divided
    return object_of(keys, optional=tuple(divided))


def of_serving_gpus() -> dict[str, Schema]:
    """Keys of `recorded` that are there only if a sampled GPU serves the calls."""
    cost = {"total": _KNOWN_OR_NULL, "per_session": _KNOWN_OR_NULL, "api_equivalent": {"type": "null"}}
    row = {"session_id": or_null({"type": "integer"}), "energy_j": _KNOWN_OR_NULL}
    rest = {"additionalProperties": or_null({"type": ["number", "string"]})}
    return {
        "gpu_s": table_of(AMOUNT, "By phase, between the first event and the last."),
        "idle_s": table_of(AMOUNT, "By cause."),
        "cost_usd": object_of(cost),
        "per_call": list_of(
            {"type": "object", "properties": {"call_id": COUNT, "split": or_null(_SPLIT)} | row} | rest
        ),
        "per_tool": list_of({"type": "object", "properties": row} | rest),
    }


def of_session() -> dict[str, Schema]:
    """Keys of a session that a sampled GPU served."""
    joules = object_of(
        {
            **dict.fromkeys(("direct", "bound", "calls", "loaded", "unmeasured_gpu_s"), _KNOWN_OR_NULL),
            "idle": _BY_NAME,
        }
    )
    return {"energy_j": joules, "cost_usd": _KNOWN_OR_NULL}


def comparison(fleet: Schema) -> Schema:
    """Measured and modelled joules, phase by phase."""
    names = (
        "measured_j",
        "bound_j",
        "measured_gpu_s",
        "unmeasured_gpu_s",
        "measured_w",
        "modelled_j",
        "modelled_gpu_s",
        "modelled_w",
        "difference",
    )
    phases = table_of(object_of(dict.fromkeys(names, _KNOWN_OR_NULL)))
    return or_null(object_of({"fleet": fleet, "assumed": list_of(TEXT), "phases": phases}))
