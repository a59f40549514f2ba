"""The text that the demo's vocabulary is trained on, and the file that holds the weights made from it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from tracekit.demo.library import passages
from tracekit.demo.questions import EXAMPLE, QUESTIONS, SYSTEM_PROMPT
from tracekit.demo.template import CHAT_TEMPLATE
from tracekit.demo.tools import DEFINITIONS
from tracekit.demo.turn import spelling
from tracekit.demo.weights import DEFAULT_SHAPE, write_weights


def training_text() -> str:
    """Everything that the demo's prompts and answers are made of."""
    articles = (f"[{passage.title}] {passage.text}" for passage in passages())
    dialogue = (spelling(turn) for question in QUESTIONS for turn in question.turns)
    asked = (text for question in QUESTIONS for text in question.asked)
    examples = (str(message["content"]) for message in EXAMPLE)
    return "\n".join((SYSTEM_PROMPT, json.dumps(DEFINITIONS), *examples, *articles, *asked, *dialogue))


def default_weights() -> Path:
    """Where the weights are kept between runs: the user's cache, under a name that changes with the texts."""
    import platformdirs  # noqa: PLC0415

    made_of = f"{training_text()}{CHAT_TEMPLATE}{DEFAULT_SHAPE}"
    digest = hashlib.sha256(made_of.encode()).hexdigest()[:12]
    return platformdirs.user_cache_path("tracekit") / f"demo-{digest}.gguf"


def ensured_weights(path: Path | None = None) -> Path:
    """The path of the weights (the default one if none is given), written if they are not there yet."""
    path = path or default_weights()
    if not path.exists():
        write_weights(path, training_text())
    return path
