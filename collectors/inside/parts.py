"""The parts of a prompt as each API words it: what stands before its list of items, and what each item is."""

from __future__ import annotations

from .plain import label
from .prompt import Part

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

LIST_KEY = {"chat": "messages", "responses": "input", "messages": "messages"}
"""Under which an API has a list of items; the others have a text, or texts of one kind."""


def tools_of(body: dict[str, Any]) -> list[Any]:
    """The tools that the model may call."""
    tools = body.get("tools") or body.get("functions")
    return tools if isinstance(tools, list) else []


def leading_parts(api: str, body: dict[str, Any]) -> list[Part]:
    """The parts before the items, wherever in the body they stand."""
    if api not in LIST_KEY:
        return []
    tools = tools_of(body)
    parts = [Part("tools", tools, "", [], None)] if tools else []
    system = body.get(_SYSTEM_KEY[api]) if api in _SYSTEM_KEY else None
    if system:
        parts.append(Part("system", system, text_of(system), [], None))
    return parts


def items_of(api: str, body: dict[str, Any]) -> list[Any]:
    """The items behind them, or the part that stands for them."""
    given = body.get(LIST_KEY[api]) if api in LIST_KEY else body.get("prompt", body.get("input"))
    if api not in LIST_KEY or (api == "responses" and isinstance(given, str)):
        return [Part("user", given, text_of(given), [], None)]
    return _dicts(given)


def text_of(content: Any) -> str:
    """The text in a message's content: a string, or the texts among its pieces."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = []
    for piece in content:
        text = piece.get("text") if isinstance(piece, dict) else piece
        if isinstance(text, str):
            texts.append(text)
    return "".join(texts)


def _chat_parts(message: dict[str, Any]) -> list[Part]:
    role = label(message.get("role")) or "unknown"
    result = label(message.get("tool_call_id"))
    return [Part(role, message, text_of(message.get("content")), _ids(message.get("tool_calls")), result)]


def _responses_parts(item: dict[str, Any]) -> list[Part]:
    kind = label(item.get("type")) or "message"
    call_id = label(item.get("call_id"))
    if kind.endswith("_output"):
        return [Part("tool", item, text_of(item.get("output")), [], call_id)]
    if kind.endswith("_call"):
        return [Part("assistant", item, "", [call_id] if call_id else [], None)]
    if kind == "message":
        return [Part(label(item.get("role")) or "unknown", item, text_of(item.get("content")), [], None)]
    return [Part(kind, item, "", [], None)]


def _messages_parts(message: dict[str, Any]) -> list[Part]:
    role, content = label(message.get("role")) or "unknown", message.get("content")
    pieces = _dicts(content)
    results = [piece for piece in pieces if piece.get("type") == "tool_result"]
    if not results:
        calls = _ids([piece for piece in pieces if piece.get("type") == "tool_use"])
        return [Part(role, message, text_of(content), calls, None)]
    parts = [
        Part("tool", result, text_of(result.get("content")), [], label(result.get("tool_use_id")))
        for result in results
    ]
    pieces = [piece for piece in pieces if piece.get("type") != "tool_result"]
    if pieces:
        parts.append(Part(role, {"role": role, "content": pieces}, text_of(pieces), [], None))
    return parts


def _no_parts(_item: Any) -> list[Part]:
    return []


SPLIT: dict[str, Callable[[Any], list[Part]]] = {
    "chat": _chat_parts,
    "completions": _no_parts,
    "responses": _responses_parts,
    "embeddings": _no_parts,
    "messages": _messages_parts,
}
"""By API, the parts of an item that is no part itself."""
_SYSTEM_KEY = {"responses": "instructions", "messages": "system"}


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _ids(calls: Any) -> list[str]:
    ids = [label(call.get("id")) for call in _dicts(calls)] if calls else []
    return [call_id for call_id in ids if call_id is not None]
