"""How each API words its answers: a reader for whole JSON bodies and one for a stream's events."""

from __future__ import annotations

import json
from functools import partial

from .answer import REASONING, Answer, add_reasoning, items, object_of, string
from .plain import real

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Reader = Callable[[Answer, dict[str, Any]], bool]


def _chat(message_key: str, answer: Answer, item: dict[str, Any]) -> bool:
    """Chat completions and legacy completions, also in Ollama's own words."""
    answer.add_common(item)
    if "done" in item and "choices" not in item:
        return _ollama(answer, item)
    has_output = False
    choices = item.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if not isinstance(choice, dict):
            continue
        index = choice.get("index") or 0
        message = choice.get(message_key)
        if isinstance(message, dict):
            has_output = _message(answer, message, index) or has_output
        elif "text" in choice:
            has_output = answer.add_text(choice["text"], is_answer=index == 0) or has_output
        if choice.get("finish_reason"):
            answer.finish(choice["finish_reason"])
            if "usage" in choice:
                answer.take_usage(choice["usage"])  # where Moonshot puts it
    if "x_groq" in item:
        answer.take_usage(object_of(item, "x_groq").get("usage"))
    return has_output


def _ollama(answer: Answer, item: dict[str, Any]) -> bool:
    """What /api/chat and /api/generate answer, whole or line by line; the last one counts tokens and time."""
    message = item.get("message")
    has_output = _message(answer, message, 0) if isinstance(message, dict) else False
    has_output = answer.add_text(item.get("response")) or has_output
    has_output = add_reasoning(answer, item) or has_output
    if item["done"] is True:
        answer.finish(item.get("done_reason") or "stop")
        counts = {"prompt_tokens": item.get("prompt_eval_count"), "completion_tokens": item.get("eval_count")}
        answer.take_usage({name: count for name, count in counts.items() if count is not None})
        prefill_ns, decode_ns = real(item.get("prompt_eval_duration")), real(item.get("eval_duration"))
        answer.timings = {
            "prompt_ms": None if prefill_ns is None else prefill_ns / 1e6,
            "predicted_ms": None if decode_ns is None else decode_ns / 1e6,
        }
    return has_output


def _message(answer: Answer, message: dict[str, Any], choice: Any) -> bool:
    content = message.get("content")
    if isinstance(content, list):
        has_output = _pieces(answer, content, choice)
    else:
        has_output = answer.add_text(content, is_answer=choice == 0)
        if len(message) == 1 and content is not None:  # the usual chunk of a stream: nothing but content
            return has_output
    if not REASONING.isdisjoint(message):
        has_output = add_reasoning(answer, message) or has_output
    refusal, audio = message.get("refusal"), message.get("audio")
    if refusal:
        has_output = answer.add_text(refusal, is_answer=False) or has_output
    if isinstance(audio, dict):
        has_output = answer.add_text(audio.get("transcript"), is_answer=False) or has_output
        has_output = bool(audio.get("data")) or has_output
    if message.get("tool_calls") or message.get("function_call"):
        has_output = _calls(answer, message, choice) or has_output
    return has_output


def _pieces(answer: Answer, content: list[Any], choice: Any) -> bool:
    """Content in pieces, as Mistral sends it: texts, and thoughts that are made of texts."""
    has_output = False
    for piece in items(content):
        has_output = answer.add_text(piece.get("text"), is_answer=choice == 0) or has_output
        for thought in items(piece.get("thinking")):
            has_output = answer.add_text(thought.get("text"), is_answer=False) or has_output
        has_output = answer.add_text(piece.get("thinking"), is_answer=False) or has_output
    return has_output


def _calls(answer: Answer, message: dict[str, Any], choice: Any) -> bool:
    calls = items(message.get("tool_calls"))
    function_call = message.get("function_call")
    if isinstance(function_call, dict):
        calls.append({"function": function_call, "index": "function_call"})
    has_output = False
    for position, call in enumerate(calls):
        function = object_of(call, "function") or object_of(call, "custom")
        index = call.get("index", function.get("index"))
        key = (str(choice), position if index is None else str(index))
        has_output = answer.add_call(key, call.get("id"), function.get("name")) or has_output
        for argument in ("arguments", "input"):
            has_output = _given(answer, function.get(argument)) or has_output
    return has_output


def _given(answer: Answer, value: Any) -> bool:
    """Take a tool call's arguments: JSON text, or with some servers the object itself."""
    if isinstance(value, dict) and value:
        value = json.dumps(value, separators=(",", ":"))
    return answer.add_text(value, is_answer=False)


def responses_body(answer: Answer, body: dict[str, Any]) -> bool:
    """Responses API: the whole answer, also as the last event carries it."""
    answer.add_common(body)
    has_output = False
    for item in items(body.get("output")):
        has_output = _output_item(answer, item) or has_output
    status = string(body.get("status"))
    details = body.get("incomplete_details")
    reason = string(details.get("reason")) if isinstance(details, dict) else None
    if status in ("failed", "cancelled") and answer.error_type is None:
        answer.fail({"code": status})
    if status not in ("in_progress", "queued"):
        answer.finish(reason or status)
    return has_output


def _output_item(answer: Answer, item: dict[str, Any]) -> bool:
    kind = string(item.get("type")) or ""
    has_output = False
    for piece in items(item.get("content")):
        is_answer = kind == "message" and "text" in piece
        has_output = (
            answer.add_text(piece.get("text") or piece.get("refusal"), is_answer=is_answer) or has_output
        )
    for piece in items(item.get("summary")):
        has_output = answer.add_text(piece.get("text"), is_answer=False) or has_output
    if kind.endswith("_call") and string(item.get("call_id")):
        has_output = answer.add_call(item["call_id"], item["call_id"], item.get("name") or kind) or has_output
        for argument in ("arguments", "input"):
            has_output = answer.add_text(item.get(argument), is_answer=False) or has_output
    return has_output


def responses_event(answer: Answer, event: dict[str, Any]) -> bool:
    """Responses API: one event; its deltas count as output, its last event brings the facts."""
    kind = string(event.get("type")) or ""
    if kind.endswith(".delta"):
        return answer.add_text(event.get("delta"), is_answer=kind == "response.output_text.delta")
    item = event.get("item")
    if kind == "response.output_item.added" and isinstance(item, dict):
        call_id, name = string(item.get("call_id")), string(item.get("name"))
        item_kind = string(item.get("type")) or ""
        return (
            bool(call_id)
            and item_kind.endswith("_call")
            and answer.add_call(call_id, call_id, name or item_kind)
        )
    if kind == "response.output_item.done" and isinstance(item, dict):
        call_id = string(item.get("call_id"))
        if call_id and (string(item.get("type")) or "").endswith("_call"):
            answer.add_call(call_id, call_id, item.get("name") or item["type"])
    if kind == "error" or event.get("error"):
        answer.fail(event.get("error") or event)
    response = event.get("response")
    if isinstance(response, dict):
        _last_response(answer, response)
    return False


def _last_response(answer: Answer, response: dict[str, Any]) -> None:
    """Take the response object of an event; its output was counted from the deltas, if there were any."""
    if answer.output_bytes:
        response = {key: value for key, value in response.items() if key != "output"}
    responses_body(answer, response)


def messages_body(answer: Answer, body: dict[str, Any]) -> bool:
    """Anthropic messages: the whole answer."""
    answer.add_common(body)
    has_output = False
    for position, block in enumerate(items(body.get("content"))):
        has_output = _block(answer, position, block) or has_output
    answer.finish(body.get("stop_reason"))
    return has_output


def _block(answer: Answer, position: Any, block: dict[str, Any]) -> bool:
    has_output = answer.add_text(block.get("text"))
    has_output = answer.add_text(block.get("thinking"), is_answer=False) or has_output
    if block.get("type") == "tool_use":
        has_output = answer.add_call(position, block.get("id"), block.get("name")) or has_output
        _given(answer, block.get("input"))
    return has_output


def messages_event(answer: Answer, event: dict[str, Any]) -> bool:
    """Anthropic messages: one event."""
    kind = event.get("type")
    message, delta, block = event.get("message"), event.get("delta"), event.get("content_block")
    if kind == "message_start" and isinstance(message, dict):
        answer.add_common(message)
    elif kind == "content_block_start" and isinstance(block, dict):
        return _block(answer, str(event.get("index")), block)
    elif kind == "content_block_delta" and isinstance(delta, dict):
        has_output = answer.add_text(delta.get("text"))
        has_output = answer.add_text(delta.get("thinking"), is_answer=False) or has_output
        return answer.add_text(delta.get("partial_json"), is_answer=False) or has_output
    elif kind == "message_delta":
        if isinstance(delta, dict):
            answer.finish(delta.get("stop_reason"))
        if isinstance(event.get("usage"), dict):
            said = {key: count for key, count in event["usage"].items() if count is not None}
            answer.take_usage({**(answer.usage or {}), **said})
    elif kind == "message_stop":
        answer.is_complete = True
    elif kind == "error":
        answer.fail(event.get("error"))
    return False


def plain_body(answer: Answer, body: dict[str, Any]) -> bool:
    """Embeddings: no generated text."""
    answer.add_common(body)
    if "prompt_eval_count" in body:  # Ollama's own words
        answer.take_usage({"prompt_tokens": body["prompt_eval_count"]})
    answer.is_complete = True
    return False


chat_body: Reader = partial(_chat, "message")
"""The whole answer to a chat or a legacy completion."""
chat_event: Reader = partial(_chat, "delta")
"""One chunk of it."""
BODY: dict[str, Reader] = {
    "chat": chat_body,
    "completions": chat_body,
    "responses": responses_body,
    "messages": messages_body,
    "embeddings": plain_body,
}
EVENT: dict[str, Reader] = {
    "chat": chat_event,
    "completions": chat_event,
    "responses": responses_event,
    "messages": messages_event,
    "embeddings": plain_body,
}
