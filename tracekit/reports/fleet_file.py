"""A sizing's fleet as the TOML file that `--fleet` and `--check` read."""

from __future__ import annotations

import json
from typing import Any

Document = dict[str, Any]


def fleet_file(document: Document) -> str:
    """The file's text; what made it stands above as a comment."""
    spec = document["answer"]["spec"]
    head = "".join(f"# {line}\n" for line in (document["headline"], document["command"]) if line)
    routing = "".join(f"{key} = {_value(spec[key])}\n" for key in ("router", "queue_order"))
    pools = spec["pools"]
    if len(pools) == 1:
        return f"{head}[fleet]\n{routing}{_keys(pools[0])}"
    return f"{head}[fleet]\n{routing}" + "".join(f"\n[[pool]]\n{_keys(pool)}" for pool in pools)


def _keys(pool: Document) -> str:
    return "".join(f"{key} = {_value(value)}\n" for key, value in pool.items() if value is not None)


def _value(value: object) -> str:
    """Words, numbers and flags are written alike in JSON and TOML."""
    return json.dumps(value)
