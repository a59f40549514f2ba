"""A streamed answer put together again: what the server would have sent as one JSON body."""

from __future__ import annotations

import json

from .answer import items
from .sse import events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_SAID_ONCE = frozenset(
    ("id", "type", "role", "index", "name", "call_id", "item_id", "status", "finish_reason", "model")
)


def assembled(api: str, stream: bytes) -> Any:
    """The choices, output items or content blocks that a stream of this API's events spells."""
    return _ASSEMBLE.get(api, _chat)(list(_objects(stream)))


def _objects(stream: bytes) -> Iterator[dict[str, Any]]:
    for _end, data in events(stream):
        try:
            value = json.loads(data.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value


def _chat(found: list[dict[str, Any]]) -> dict[str, Any]:
    choices: dict[Any, dict[str, Any]] = {}
    whole: dict[str, Any] = {}
    for event in found:
        if event.get("error"):
            whole["error"] = event["error"]
        for choice in items(event.get("choices")):
            index = choice.get("index") or 0
            into = choices.setdefault(index if isinstance(index, int) else 0, {})
            _merge(into, {"message" if key == "delta" else key: item for key, item in choice.items()})
    return {**whole, "choices": [choices[index] for index in sorted(choices)]}


def _merge(into: dict[str, Any], delta: dict[str, Any]) -> None:
    for key, item in delta.items():
        known = into.get(key)
        if item is None:
            continue
        if isinstance(item, dict):
            if not isinstance(known, dict):
                known = into[key] = {}
            _merge(known, item)
        elif isinstance(item, list):
            into[key] = _merged_list(known if isinstance(known, list) else [], item)
        elif isinstance(item, str) and isinstance(known, str) and key not in _SAID_ONCE:
            into[key] = known + item
        else:
            into[key] = item


def _merged_list(known: list[Any], delta: list[Any]) -> list[Any]:
    """Items that have an index go where that says; others go behind."""
    for item in delta:
        place = item.get("index") if isinstance(item, dict) else None
        same = [
            one for one in known if isinstance(one, dict) and place is not None and one.get("index") == place
        ]
        if same:
            _merge(same[0], item)
        elif isinstance(item, dict):
            fresh: dict[str, Any] = {}
            _merge(fresh, item)
            known.append(fresh)
        else:
            known.append(item)
    return known


def _responses(found: list[dict[str, Any]]) -> dict[str, Any]:
    whole = [event["response"] for event in found if isinstance(event.get("response"), dict)]
    done = [response for response in whole if response.get("output")]
    if done:
        return {key: done[-1][key] for key in ("output", "error", "status") if done[-1].get(key)}
    pieces: dict[str, dict[str, Any]] = {}
    for event in found:
        kind = str(event.get("type"))
        if isinstance(event.get("item"), dict):
            item = event["item"]
            pieces.setdefault(str(item.get("id")), {}).update(
                {key: item[key] for key in ("type", "name") if key in item}
            )
        elif kind.endswith(".delta") and isinstance(event.get("delta"), str):
            _merge(pieces.setdefault(str(event.get("item_id")), {}), {kind[: -len(".delta")]: event["delta"]})
    return {"output": list(pieces.values())}


def _messages(found: list[dict[str, Any]]) -> dict[str, Any]:
    blocks: dict[str, dict[str, Any]] = {}
    for event in found:
        block = blocks.setdefault(str(event["index"]), {}) if "index" in event else {}
        if isinstance(event.get("content_block"), dict):
            block.update(event["content_block"])
        if event.get("type") == "content_block_delta" and isinstance(event.get("delta"), dict):
            delta = {key: item for key, item in event["delta"].items() if key != "type"}
            if isinstance(delta.get("partial_json"), str):
                block["input"] = (block["input"] if isinstance(block.get("input"), str) else "") + delta.pop(
                    "partial_json"
                )
            _merge(block, delta)
    return {"content": list(blocks.values())}


_ASSEMBLE = {"chat": _chat, "completions": _chat, "responses": _responses, "messages": _messages}
