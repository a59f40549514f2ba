"""The demo agent's two tools: a search in the bundled articles, and Python in a process of its own."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from tracekit.demo.library import ranked

PYTHON_TIMEOUT_S: Final = 10.0
SEARCH_PACE_S: Final = (0.15, 0.6)

Definition = dict[str, Any]


def _definition(name: str, description: str, **properties: Definition) -> Definition:
    required = [key for key, value in properties.items() if "default" not in value]
    parameters = {"type": "object", "properties": properties, "required": required}
    return {
        "type": "function",
        "function": {"name": name, "description": description, "parameters": parameters},
    }


DEFINITIONS: Final = (
    _definition(
        "search",
        "Search a small library of articles on computing, power and energy. Returns the passages that fit "
        "best, each with the title of its article.",
        query={"type": "string", "description": "What to look for, in a few words."},
        limit={"type": "integer", "description": "How many passages to return.", "default": 3},
    ),
    _definition(
        "python",
        "Run a Python snippet in a fresh interpreter. Returns what it prints; nothing is kept between runs.",
        code={"type": "string", "description": "The snippet. Print what you want to know."},
    ),
)


def search(query: str, limit: int = 3) -> str:
    """The passages that fit the query best, ranked here and now.

    The ranking is real work; before it, the call waits 0.15 to 0.6 s as a search service over a network would
    make it wait. That pacing is drawn from the query, so a query always waits the same.
    """
    time.sleep(random.Random(query).uniform(*SEARCH_PACE_S))
    found = ranked(query, limit)
    return "\n\n".join(f"[{passage.title}] {passage.text}" for passage in found) or "Nothing found."


def python(code: str) -> str:
    """What the snippet prints (and its error, if it fails), run by this Python in a process of its own."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", code],
            capture_output=True,
            text=True,
            timeout=PYTHON_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"The snippet was stopped after {PYTHON_TIMEOUT_S:.0f} s."
    return (done.stdout + done.stderr).strip() or "The snippet printed nothing."


TOOLS: Final[dict[str, Callable[..., str]]] = {"search": search, "python": python}


def run_tool(name: str, arguments: str) -> str:
    """The tool's answer; a wrong name or wrong arguments come back as text for the model to read."""
    try:
        return TOOLS[name](**json.loads(arguments))
    except KeyError:
        return f"There is no tool named {name}. There are: {', '.join(TOOLS)}."
    except (TypeError, ValueError) as wrong:
        return f"The arguments of {name} do not fit: {wrong}."
