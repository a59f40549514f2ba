"""What the document's keys are called in reports, and how names that users and models chose are shown."""

from __future__ import annotations

import unicodedata
from typing import Any

Document = dict[str, Any]

CAUSES = {
    "transfer": "waiting for KV transfer",
    "imbalance": "work queued elsewhere",
    "tool_wait": "tools running",
    "client_wait": "client thinking",
    "peer_call": "session busy elsewhere",
    "no_demand": "no demand",
}
CLASSES = {
    "instruction": "instruction",
    "few_shot": "few-shot",
    "user": "user",
    "llm_history": "LLM history",
    "tool_history": "tool history",
    "output": "output",
}
STATES = {
    "prefill": "prefill",
    "mixed": "prefill and decode",
    "decode": "decode",
    **{f"idle_{cause}": f"idle: {words}" for cause, words in CAUSES.items()},
    "starting": "starting",
    "off": "off (not paid for)",
}
"""A replica's states, idleness by its cause."""
MEASURED_PHASES = {
    "prefill": "prefill (request to first token)",
    "mixed": "mixed (some of each)",
    "decode": "decode (first token to end)",
    "unphased": "calls that were not streamed",
    "idle": "idle",
    "outside": "before the first and after the last event",
    "not_serving": "GPUs that are not serving",
}
"""What GPUs that serve did, as the client sees it."""
SHARES = {
    "llm": "LLM calls",
    "tool": "tools",
    "overlap": "both at once",
    "gap": "neither (client, think time)",
}
PARTS = {
    "call": "LLM calls, computing",
    "queue": "LLM calls, in the queue",
    "tool": "tools",
    "gap": "calls that are not replayed",
    "lag": "client, before a step",
    "tail": "client, after the last step",
}
"""Of the time on a session's critical path."""
LATENCIES = {
    "ttft_s": "time to first token",
    "tpot_s": "time per output token",
    "e2e_s": "call, end to end",
    "queue_s": "queue",
    "session_s": "session",
}
LONGEST_NAME = 48
_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn")


def shown_name(name: object, longest: int = LONGEST_NAME) -> str:
    """A name on one line, without characters that steer (control, direction, half a pair), cut to `longest`."""
    visible = (" " if mark.isspace() else mark for mark in str(name)[: 20 * longest])
    text = " ".join(shown_text("".join(visible)).split())
    return text if len(text) <= longest else text[: longest - 1] + "…"


def shown_text(text: str) -> str:
    """A text without characters that steer."""
    if text.isprintable():
        return text
    return "".join(mark for mark in text if mark.isspace() or unicodedata.category(mark) not in _INVISIBLE)


def session_name(session: Document) -> str:
    """A session's name, else its row in the trace."""
    return shown_name(session.get("name") or "") or f"session {session['session_id']}"


def model_names(fleet: Document) -> list[str]:
    """The models that a fleet serves, each once."""
    return list(dict.fromkeys(pool["model"] for pool in fleet.get("pools", [fleet]) if "model" in pool))


def served_fleet_name(fleet: Document, joint: str = " with ") -> str:
    """A fleet and its model; where its pools serve several, each has its own already."""
    models = model_names(fleet)
    return fleet_name(fleet) + (f"{joint}{models[0]}" if len(models) == 1 else "")


def fleet_name(fleet: Document) -> str:
    """A fleet by its pools: 2 x H100-SXM-80GB TP2 (prefill) + ...; with their models where these differ."""
    pools = fleet.get("pools", [fleet])
    names_models = len(model_names(fleet)) > 1
    return " + ".join(_pool_name(pool, names_model=names_models) for pool in pools)


def _pool_name(pool: Document, *, names_model: bool) -> str:
    tp = f" TP{pool['tp']}" if pool["tp"] > 1 else ""
    least = f"{pool['min_replicas']}-" if pool["min_replicas"] else ""
    role = "" if pool["role"] == "both" else f" ({pool['role']})"
    model = f" with {pool['model']}" if names_model else ""
    calls = f" for {shown_name(pool['calls'])}" if pool.get("calls") else ""
    return f"{least}{pool['replicas']} x {pool['gpu']}{tp}{role}{model}{calls}"


def token_sum(tokens: Document, side: str) -> str:
    """A sum of tokens: >= where some calls are not counted, ~ where some are estimated."""
    if tokens[side] is None:
        return "-"
    least, about = (
        ">= " if tokens["uncounted_calls"][side] else "",
        "~" if tokens.get("estimated_calls") else "",
    )
    return f"{least}{about}{tokens[side]:,}"


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """1 call, 2 calls, 1,000 calls."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"
