"""The answers of the four APIs, as streams of events and as whole bodies."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.clients.plan import Plan, ToolCall

CREATED = 1_700_000_000
OPENING, OUTPUT, CLOSING, USAGE = "opening", "output", "closing", "usage"


@dataclass
class Event:
    """One event of a stream. `role` says when it is sent, and whether it counts as output."""

    role: str
    data: Any
    name: str | None = None


def chat_usage(plan: Plan) -> dict[str, Any]:
    """Usage as chat completions tell it."""
    usage = plan.usage
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": 0},
    }


def chat_tool(call: ToolCall) -> dict[str, Any]:
    """A tool call as chat completions tell it."""
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def chat_body(plan: Plan) -> dict[str, Any]:
    """A whole chat completion."""
    message: dict[str, Any] = {"role": "assistant", "content": plan.text or None, "refusal": None}
    if plan.reasoning:
        message["reasoning_content"] = "".join(plan.reasoning)
    if plan.tools:
        message["tool_calls"] = [chat_tool(call) for call in plan.tools]
    reason = "tool_calls" if plan.tools else "stop"
    return {
        "id": plan.response_id,
        "object": "chat.completion",
        "created": CREATED,
        "model": plan.model,
        "choices": [
            {"index": index, "message": message, "finish_reason": reason, "logprobs": None}
            for index in range(plan.choices)
        ],
        "usage": chat_usage(plan),
    }


def chat_stream(plan: Plan, asks_usage: bool) -> Iterator[Event]:
    """Chunks: the role first, then a word or a tool call each, the reason, usage if asked for, [DONE]."""

    def chunk(choices: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        head = {"id": plan.response_id, "object": "chat.completion.chunk", "created": CREATED}
        return {
            **head,
            "model": plan.model,
            "choices": choices,
            **({"usage": None} if asks_usage else {}),
            **more,
        }

    def delta(index: int, said: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        return chunk([{"index": index, "delta": said, "finish_reason": reason, "logprobs": None}])

    if plan.has("no-choices"):  # as Azure opens a stream
        yield Event(
            OPENING, chunk([], prompt_filter_results=[{"prompt_index": 0, "content_filter_results": {}}])
        )
    for index in range(plan.choices):
        yield Event(OPENING, delta(index, {"role": "assistant", "content": None if plan.tools else ""}))
    for piece in plan.reasoning:
        yield Event(OUTPUT, delta(0, {"reasoning_content": piece}))
    for position, call in enumerate(plan.tools):
        opened = {**chat_tool(call), "index": position}
        opened["function"] = {"name": call.name, "arguments": ""}
        yield Event(OUTPUT, delta(0, {"tool_calls": [opened]}))
        said = {"index": position, "function": {"arguments": call.arguments}}
        yield Event(OUTPUT, delta(0, {"tool_calls": [said]}))
    for piece in plan.pieces:
        for index in range(plan.choices):
            yield Event(OUTPUT, delta(index, {"content": piece}))
    for index in range(plan.choices):
        yield Event(CLOSING, delta(index, {}, "tool_calls" if plan.tools else "stop"))
    if asks_usage:
        yield Event(USAGE, chunk([], usage=chat_usage(plan)))
    yield Event(CLOSING, "[DONE]")


def completion_usage(plan: Plan) -> dict[str, Any]:
    """Usage as legacy completions tell it."""
    usage = plan.usage
    total = usage.input + usage.output
    return {"prompt_tokens": usage.input, "completion_tokens": usage.output, "total_tokens": total}


def completion_body(plan: Plan) -> dict[str, Any]:
    """A whole legacy completion."""
    return {
        "id": plan.response_id,
        "object": "text_completion",
        "created": CREATED,
        "model": plan.model,
        "choices": [{"index": 0, "text": plan.text, "finish_reason": "stop", "logprobs": None}],
        "usage": completion_usage(plan),
    }


def completion_stream(plan: Plan, asks_usage: bool) -> Iterator[Event]:
    """Chunks of a legacy completion."""
    head = {"id": plan.response_id, "object": "text_completion", "created": CREATED, "model": plan.model}
    for piece in plan.pieces:
        choice = {"index": 0, "text": piece, "finish_reason": None, "logprobs": None}
        yield Event(OUTPUT, {**head, "choices": [choice]})
    yield Event(
        CLOSING, {**head, "choices": [{"index": 0, "text": "", "finish_reason": "stop", "logprobs": None}]}
    )
    if asks_usage:
        yield Event(USAGE, {**head, "choices": [], "usage": completion_usage(plan)})
    yield Event(CLOSING, "[DONE]")


def response_items(plan: Plan) -> list[dict[str, Any]]:
    """Output items of a Responses answer."""
    items: list[dict[str, Any]] = []
    if plan.reasoning:
        summary = [{"type": "summary_text", "text": "".join(plan.reasoning)}]
        items.append({"id": f"rs_{plan.response_id}", "type": "reasoning", "summary": summary})
    for call in plan.tools:
        named = {"call_id": call.id, "name": call.name, "arguments": call.arguments}
        items.append({"id": f"fc_{call.id}", "type": "function_call", "status": "completed", **named})
    if plan.pieces:
        part = {"type": "output_text", "text": plan.text, "annotations": [], "logprobs": []}
        said = {"role": "assistant", "status": "completed", "content": [part]}
        items.append({"id": f"msg_{plan.response_id}", "type": "message", **said})
    return items


def response_body(plan: Plan, status: str = "completed") -> dict[str, Any]:
    """A Responses object; with its output and usage once completed."""
    done, usage = status == "completed", plan.usage
    told = {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    }
    return {
        "id": plan.response_id,
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "model": plan.model,
        "output": response_items(plan) if done else [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "temperature": 1.0,
        "top_p": 1.0,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "usage": told if done else None,
    }


def response_stream(plan: Plan) -> Iterator[Event]:
    """Events of a streamed Responses answer; each says its number."""
    number = -1

    def event(role: str, name: str, /, **data: Any) -> Event:
        nonlocal number
        number += 1
        return Event(role, {"type": name, "sequence_number": number, **data}, name)

    yield event(OPENING, "response.created", response=response_body(plan, "in_progress"))
    yield event(OPENING, "response.in_progress", response=response_body(plan, "in_progress"))
    for position, item in enumerate(response_items(plan)):
        place = {"output_index": position, "item_id": item["id"]}
        empty = {"message": {"content": []}, "function_call": {"arguments": ""}, "reasoning": {"summary": []}}
        opened = {**item, "status": "in_progress", **empty[item["type"]]}
        calls = item["type"] == "function_call"  # whose name is output already
        yield event(
            OUTPUT if calls else OPENING, "response.output_item.added", output_index=position, item=opened
        )
        if item["type"] == "reasoning":
            blank = {"type": "summary_text", "text": ""}
            yield event(
                OPENING, "response.reasoning_summary_part.added", **place, summary_index=0, part=blank
            )
            for piece in plan.reasoning:
                yield event(
                    OUTPUT, "response.reasoning_summary_text.delta", **place, summary_index=0, delta=piece
                )
            text = "".join(plan.reasoning)
            yield event(CLOSING, "response.reasoning_summary_text.done", **place, summary_index=0, text=text)
        elif item["type"] == "function_call":
            said = item["arguments"]
            yield event(OUTPUT, "response.function_call_arguments.delta", **place, delta=said)
            yield event(
                CLOSING, "response.function_call_arguments.done", **place, name=item["name"], arguments=said
            )
        else:
            where, part = {**place, "content_index": 0}, item["content"][0]
            yield event(OPENING, "response.content_part.added", **where, part={**part, "text": ""})
            for piece in plan.pieces:
                yield event(OUTPUT, "response.output_text.delta", **where, delta=piece, logprobs=[])
            yield event(CLOSING, "response.output_text.done", **where, text=plan.text, logprobs=[])
            yield event(CLOSING, "response.content_part.done", **where, part=part)
        yield event(CLOSING, "response.output_item.done", output_index=position, item=item)
    yield event(USAGE, "response.completed", response=response_body(plan))


def message_usage(plan: Plan) -> dict[str, Any]:
    """Usage as Anthropic tells it: what was read from or written to the cache is not part of input_tokens."""
    usage = plan.usage
    cached, written = usage.cached or 0, usage.cache_write or 0
    return {
        "input_tokens": usage.input - cached - written,
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": written,
        "output_tokens": usage.output,
    }


def message_blocks(plan: Plan) -> list[dict[str, Any]]:
    """Content blocks of an Anthropic message."""
    blocks: list[dict[str, Any]] = []
    if plan.reasoning:
        blocks.append({"type": "thinking", "thinking": "".join(plan.reasoning), "signature": "c2ln"})
    if plan.pieces:
        blocks.append({"type": "text", "text": plan.text})
    used = {call.id: {"name": call.name, "input": json.loads(call.arguments)} for call in plan.tools}
    blocks += [{"type": "tool_use", "id": identity, **call} for identity, call in used.items()]
    return blocks


def message_body(plan: Plan) -> dict[str, Any]:
    """A whole Anthropic message."""
    return {
        "id": plan.response_id,
        "type": "message",
        "role": "assistant",
        "model": plan.model,
        "content": message_blocks(plan),
        "stop_reason": "tool_use" if plan.tools else "end_turn",
        "stop_sequence": None,
        "usage": message_usage(plan),
    }


def message_stream(plan: Plan) -> Iterator[Event]:
    """Events of a streamed Anthropic message: input tokens in the first, output tokens in the last but one."""

    def event(role: str, name: str, /, **data: Any) -> Event:
        return Event(role, {"type": name, **data}, name)

    opened = {**message_body(plan), "content": [], "stop_reason": None}
    opened["usage"] = {**message_usage(plan), "output_tokens": 1}
    yield event(OPENING, "message_start", message=opened)
    yield event(OPENING, "ping")
    for position, block in enumerate(message_blocks(plan)):
        empty = {
            "text": {"text": ""},
            "thinking": {"thinking": "", "signature": ""},
            "tool_use": {"input": {}},
        }
        role = OUTPUT if block["type"] == "tool_use" else OPENING
        started = {**block, **empty[block["type"]]}
        yield event(role, "content_block_start", index=position, content_block=started)
        deltas: list[dict[str, Any]]
        if block["type"] == "text":
            deltas = [{"type": "text_delta", "text": piece} for piece in plan.pieces]
        elif block["type"] == "thinking":
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in plan.reasoning]
        else:
            deltas = [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
        for delta in deltas:
            yield event(OUTPUT, "content_block_delta", index=position, delta=delta)
        yield event(CLOSING, "content_block_stop", index=position)
    stop = {"stop_reason": "tool_use" if plan.tools else "end_turn", "stop_sequence": None}
    yield event(USAGE, "message_delta", delta=stop, usage={"output_tokens": plan.usage.output})
    yield event(CLOSING, "message_stop")


def embedding_body(plan: Plan, body: dict[str, Any]) -> dict[str, Any]:
    """Vectors of three numbers, in the encoding asked for."""
    given = body.get("input")
    vector = [0.25, -0.5, 0.75]
    packed: Any = vector
    if body.get("encoding_format") == "base64":
        packed = base64.b64encode(struct.pack("<3f", *vector)).decode()
    count = len(given) if isinstance(given, list) and given and not isinstance(given[0], int) else 1
    return {
        "object": "list",
        "model": plan.model,
        "data": [{"object": "embedding", "index": index, "embedding": packed} for index in range(count)],
        "usage": {"prompt_tokens": plan.usage.input, "total_tokens": plan.usage.input},
    }


def whole_body(api: str, plan: Plan, body: dict[str, Any]) -> dict[str, Any]:
    """The answer of an API in one piece."""
    if api == "embeddings":
        return embedding_body(plan, body)
    makers = {
        "chat": chat_body,
        "completions": completion_body,
        "responses": response_body,
        "messages": message_body,
    }
    return makers[api](plan)


def stream_of(api: str, plan: Plan, asks_usage: bool) -> Iterator[Event]:
    """The answer of an API as a stream."""
    if api == "chat":
        return chat_stream(plan, asks_usage)
    if api == "completions":
        return completion_stream(plan, asks_usage)
    return response_stream(plan) if api == "responses" else message_stream(plan)
