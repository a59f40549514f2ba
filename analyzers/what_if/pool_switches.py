"""Switches of pools: another engine setting, another model, other machines."""

from __future__ import annotations

from typing import Any

from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.scenario import RETENTIONS, Pool
from tracekit.analyzers.what_if.domain import Domain, Value, choice, flag, name, number, whole
from tracekit.analyzers.what_if.switch import Subject, Switch
from tracekit.errors import WhatIfInvalid

MOST = 1_000_000
_UNCAPPED = "a capped GPU is modelled by its clock alone; no measured row of one stands behind it"
_QUALITY = "quality is not modelled: answers, and how many steps an agent takes, stay the recorded ones"


Fields = dict[str, Any]


def _of_pool(key: str, domain: Domain, meaning: str, **words: str) -> Switch:
    def turned(fields: Fields, value: Value) -> Fields:
        return fields | {key: value}

    return Switch(key, Subject.POOL, domain, meaning, lambda pool: getattr(pool, key), turned, **words)


def _batching(fields: Fields, value: Value) -> Fields:
    if fields["batching"] == "slots":
        raise WhatIfInvalid.slots(str(value))
    return fields | {"batching": value}


def _precision(pool: Pool) -> Value:
    return catalog.model(pool.model).precision


def _with_precision(fields: Fields, value: Value) -> Fields:
    return fields | {"model": catalog.model(fields["model"]).at(str(value).lower()).name}


def _with_model(fields: Fields, value: Value) -> Fields:
    return fields | {"model": catalog.model(str(value)).name}


def _with_gpu(fields: Fields, value: Value) -> Fields:
    return fields | {"gpu": catalog.gpu(str(value)).name}


_NAMES = {"gpu": (_with_gpu, "a GPU of the catalog"), "model": (_with_model, "a model of the catalog")}


def _named(key: str, meaning: str, warning: str = "") -> Switch:
    turned, takes = _NAMES[key]
    return Switch(
        key, Subject.POOL, name(takes), meaning, lambda pool: getattr(pool, key), turned, warning=warning
    )


POOL_SWITCHES = (
    _named("gpu", "Another GPU; the number of GPUs stays."),
    _named("model", "Another model; token counts stay the recorded tokenizer's.", _QUALITY),
    Switch(
        "precision",
        Subject.POOL,
        name("a precision of weights, such as fp8 or int4"),
        "The same model with weights of another precision.",
        _precision,
        _with_precision,
        warning=_QUALITY,
    ),
    _of_pool("tp", whole(1, 1024), "GPUs that serve one copy of the model; replicas stay.", unit="GPUs"),
    _of_pool("replicas", whole(1, MOST), "Copies of the model.", unit="replicas"),
    _of_pool(
        "power_cap_w", number(0, 1e5, "off", open_=True), "No GPU draws more.", unit="W a GPU", warning=_UNCAPPED
    ),
    _of_pool("prefix_cache", flag(), "Whether a prompt's beginning is looked up among the KV that is there."),
    _of_pool(
        "retention",
        choice("retention", RETENTIONS),
        "What becomes of a session's KV until its next call.",
    ),
    _of_pool("retention_s", number(0, 1e8), "How long `retention=ttl` keeps it.", unit="s"),
    _of_pool("offload_gb", number(0, 1e8), "Host memory of a replica for `retention=offload`.", unit="GB"),
    _of_pool(
        "kv_compression",
        number(0, 16, open_=True),
        "Bytes of a token's KV as a part of the recorded format's: more tokens fit, and are read and sent faster.",
        warning="compressing and unpacking are taken to cost nothing, and quality is not modelled",
    ),
    Switch(
        "batching",
        Subject.POOL,
        choice("batching", ("continuous", "static")),
        "Calls join a running batch at every step, or wait until the one before has ended as a whole.",
        lambda pool: pool.batching,
        _batching,
    ),
    _of_pool("max_num_seqs", whole(1, MOST, "engine"), "Sequences in a step.", unit="sequences"),
    _of_pool("max_num_batched_tokens", whole(1, 10**8, "engine"), "Tokens in a step.", unit="tokens"),
    _of_pool(
        "min_replicas",
        whole(1, MOST, "off"),
        "Replicas that are never switched off; others come and go with demand.",
        unit="replicas",
    ),
    _of_pool("startup_s", number(0, 1e8), "How long a replica of an elastic pool takes to start.", unit="s"),
)  # fmt: skip
