"""Tokens estimated by bytes, held to tokenizers: prompts of known text, half of them counted."""

from __future__ import annotations

import json
import random
import statistics
from pathlib import Path
from typing import Any

from tracekit.assembly.attempt import Attempt
from tracekit.assembly.call import Call
from tracekit.assembly.estimate import estimate_tokens
from tracekit.collectors.inside.identity import Hashing
from tracekit.collectors.inside.request import request_text
from tracekit.schema import Status

ROOT = Path(__file__).parents[1]
ENCODINGS = ("o200k_base", "llama3", "qwen3")
CALLS = 400
SEED = 11
MESSAGE_TOKENS = 4
"""Of the template around a message (ChatML: start, role, line end, end)."""
KINDS = {
    "prose": (ROOT / "tracekit" / "demo" / "corpus", "*.txt"),
    "code": (ROOT / "analyzers", "*.py"),
    "docs": (ROOT / "docs", "*.md"),
}


def print_estimates() -> None:
    """A line an encoding: errors when counted and uncounted calls are alike, and when they are not."""
    try:
        import quicktok  # noqa: PLC0415
    except ImportError:
        print(
            "estimates: the package quicktok-v1 is missing; it counts the tokens that estimates are held to"
        )
        return
    print("prompt tokens by bytes, error as share of the true count\n")
    print(
        "| tokenizer | counted | estimated | median | p95 | sum | told (median) |\n|---|---|---|---|---|---|---|"
    )
    for name in ENCODINGS:
        encoding = quicktok.get_encoding(name)
        for counted, uncounted in (
            ("mixed", "mixed"),
            ("prose", "prose"),
            ("prose", "code"),
            ("code", "docs"),
        ):
            print(_line(name, encoding, counted, uncounted))


def _line(name: str, encoding: Any, counted: str, uncounted: str) -> str:
    draw = random.Random(SEED)
    calls = [
        _call(draw, encoding, counted if number % 2 else uncounted, counts=bool(number % 2))
        for number in range(CALLS)
    ]
    told = estimate_tokens([call for call, _ in calls])[0]
    pairs = [(call.estimate["input"], truth) for call, truth in calls if call.estimate]
    off = sorted(abs(made - truth) / truth for made, truth in pairs)
    total = sum(made for made, _ in pairs) / sum(truth for _, truth in pairs) - 1
    figures = (statistics.median(off), off[len(off) * 95 // 100])
    shares = " | ".join(f"{figure:.1%}" for figure in figures)
    return f"| {name} | {counted} | {uncounted} | {shares} | {total:+.1%} | {told.median_error or 0:.1%} |"


def _call(draw: random.Random, encoding: Any, kind: str, *, counts: bool) -> tuple[Call, int]:
    """A conversation of some messages, and its true tokens."""
    roles = ["system", *(role for _ in range(draw.randint(1, 8)) for role in ("user", "assistant"))]
    messages = [{"role": role, "content": _passage(draw, kind)} for role in roles]
    truth = sum(MESSAGE_TOKENS + encoding.count(message["content"]) for message in messages)
    body = {"model": "m", "messages": messages}
    facts = json.loads(request_text("chat", body, json.dumps(body).encode(), "/", Hashing(b"benchmark")))
    usage = {"input": truth, "output": None} if counts else None
    attempt = Attempt("a", 0, {"request": facts}, 1, Status.OK, {"response": {"usage": usage}})
    return Call([attempt]), truth


def _passage(draw: random.Random, kind: str) -> str:
    folder, pattern = KINDS[draw.choice(sorted(KINDS)) if kind == "mixed" else kind]
    text = draw.choice(sorted(folder.glob(pattern))).read_text()
    start = draw.randrange(max(1, len(text) - 200))
    return text[start : start + draw.randint(100, 3000)]
