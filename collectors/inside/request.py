"""The facts of an LLM request that are kept: sizes, keyed hashes, roles, ids and settings, never its text."""

from __future__ import annotations

from .identity import BLOCK_BYTES, Hashing
from .media import StandIns, holds_media, without_media
from .named_session import client_session
from .plain import counted, label, real
from .prompt import Memory, Part
from .wire import is_streamed, model_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_memory = Memory()
_stand_ins = StandIns()


def request_facts(api: str, body: dict[str, Any], raw: bytes, path: str, hashing: Hashing) -> dict[str, Any]:
    """The `request` of an attempt's start, as `tracekit.spool` lists it."""
    if b'"cache_control"' in raw:  # a marker that moves from turn to turn and is no part of the prompt
        body = _without_cache_control(body)
    media = 0
    if holds_media(raw):  # not text, and long: known by its hash
        body, media = without_media(body, lambda payload: _stand_ins.of(payload, hashing))
    prompt = _memory.prompt(list(_PARTS[api](body)), hashing)
    options = body.get("stream_options")
    tools = body.get("tools") or body.get("functions")
    return {
        "api": api,
        "model": label(model_of(body, path)),
        "stream": is_streamed(body, path),
        "include_usage": _flag(options.get("include_usage")) if isinstance(options, dict) else None,
        "max_tokens": _first(body, "max_completion_tokens", "max_tokens", "max_output_tokens"),
        "temperature": real(body.get("temperature")),
        "choice_count": counted(body.get("n"), 32),
        "tools_offered": len(tools) if isinstance(tools, list) else 0,
        "previous_response_id": label(body.get("previous_response_id")),
        "conversation_id": _conversation(body.get("conversation")),
        "client_session": client_session(body),
        "media_count": media,
        "body_bytes": len(raw),
        "body_hash": hashing.of_bytes(raw),
        "prompt_bytes": prompt.prefix.length,
        "block_bytes": BLOCK_BYTES,
        "block_hashes": prompt.prefix.blocks(),
        "parts": prompt.facts,
    }


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


def _chat_parts(body: dict[str, Any]) -> Iterator[Part]:
    yield from _tools(body)
    for message in _dicts(body.get("messages")):
        role = label(message.get("role")) or "unknown"
        result = label(message.get("tool_call_id"))
        yield Part(role, message, text_of(message.get("content")), _ids(message.get("tool_calls")), result)


def _responses_parts(body: dict[str, Any]) -> Iterator[Part]:
    yield from _tools(body)
    instructions = body.get("instructions")
    if instructions:
        yield Part("system", instructions, text_of(instructions), [], None)
    given = body.get("input")
    if isinstance(given, str):
        yield Part("user", given, given, [], None)
        return
    for item in _dicts(given):
        yield _responses_item(item)


def _responses_item(item: dict[str, Any]) -> Part:
    kind = label(item.get("type")) or "message"
    call_id = label(item.get("call_id"))
    if kind.endswith("_output"):
        return Part("tool", item, text_of(item.get("output")), [], call_id)
    if kind.endswith("_call"):
        return Part("assistant", item, "", [call_id] if call_id else [], None)
    if kind == "message":
        return Part(label(item.get("role")) or "unknown", item, text_of(item.get("content")), [], None)
    return Part(kind, item, "", [], None)


def _messages_parts(body: dict[str, Any]) -> Iterator[Part]:
    yield from _tools(body)
    system = body.get("system")
    if system:
        yield Part("system", system, text_of(system), [], None)
    for message in _dicts(body.get("messages")):
        role, content = label(message.get("role")) or "unknown", message.get("content")
        pieces = _dicts(content)
        results = [piece for piece in pieces if piece.get("type") == "tool_result"]
        for result in results:
            yield Part("tool", result, text_of(result.get("content")), [], label(result.get("tool_use_id")))
        if results:
            pieces = [piece for piece in pieces if piece.get("type") != "tool_result"]
            if pieces:
                yield Part(role, {"role": role, "content": pieces}, text_of(pieces), [], None)
            continue
        calls = _ids([piece for piece in pieces if piece.get("type") == "tool_use"])
        yield Part(role, message, text_of(content), calls, None)


def _plain_parts(body: dict[str, Any]) -> Iterator[Part]:
    prompt = body.get("prompt", body.get("input"))
    yield Part("user", prompt, text_of(prompt), [], None)


_PARTS = {
    "chat": _chat_parts,
    "completions": _plain_parts,
    "responses": _responses_parts,
    "embeddings": _plain_parts,
    "messages": _messages_parts,
}


def _tools(body: dict[str, Any]) -> Iterator[Part]:
    tools = body.get("tools") or body.get("functions")
    if isinstance(tools, list):
        yield Part("tools", tools, "", [], None)


def _without_cache_control(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_cache_control(item) for key, item in value.items() if key != "cache_control"}
    if isinstance(value, list):
        return [_without_cache_control(item) for item in value]
    return value


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _ids(calls: Any) -> list[str]:
    ids = [label(call.get("id")) for call in _dicts(calls)] if calls else []
    return [call_id for call_id in ids if call_id is not None]


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _first(body: dict[str, Any], *keys: str) -> int | None:
    for key in keys:
        value = counted(body.get(key))
        if value is not None:
            return value
    return None


def _conversation(value: Any) -> str | None:
    return label(value.get("id")) if isinstance(value, dict) else label(value)
