"""The shapes of OpenAI's chat completions: whole answers, stream chunks, model lists, errors."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

from tracekit.demo.labels import RANDOM, Model
from tracekit.demo.turn import Fragment, SampledUnfolding, Turn, Unfolding

Json = dict[str, Any]


class Answer:
    """One answer on its way from the engine's output to OpenAI's shape; times are Unix seconds."""

    def __init__(self, turn: Turn, model: Model = RANDOM) -> None:
        self._turn = turn
        self._model = model
        self._unfolding = SampledUnfolding(turn) if model.is_sampled else Unfolding(turn)
        self._identifier = f"chatcmpl-{uuid.uuid4().hex}"
        self._call_ids = [f"call_{uuid.uuid4().hex[:24]}" for _ in turn.calls]
        self._created = int(time.time())

    def completion(self, engine: Json) -> Json:
        """The engine's whole answer as a `chat.completion`, with the engine's own usage and timings."""
        choice = engine["choices"][0]
        message = self._message(choice["message"]["content"] or "")
        reason = self._finish_reason(choice["finish_reason"])
        choices = [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}]
        return self._envelope("chat.completion", choices, engine)

    def chunks(self, event: Json) -> Iterator[Json]:
        """The `chat.completion.chunk`s that one event of the engine's stream gives."""
        if not event["choices"]:
            yield self._envelope("chat.completion.chunk", [], event)
            return
        choice = event["choices"][0]
        for delta in self._deltas(choice["delta"]):
            yield self._chunk(delta, None, {})
        if choice["finish_reason"]:
            yield self._chunk({}, self._finish_reason(choice["finish_reason"]), event)

    def _deltas(self, delta: Json) -> Iterator[Json]:
        if delta.get("role"):
            yield {"role": "assistant", "content": "" if self._turn.text else None}
        for fragment in self._unfolding.feed(delta.get("content") or ""):
            yield from self._fragment_deltas(fragment)

    def _fragment_deltas(self, fragment: Fragment) -> Iterator[Json]:
        match fragment.piece.kind:
            case "content":
                yield {"content": fragment.text}
            case "opening" if fragment.last:
                yield {"tool_calls": [{"index": fragment.piece.call, **self._call(fragment.piece.call, "")}]}
            case "arguments":
                named = {"index": fragment.piece.call, "function": {"arguments": fragment.text}}
                yield {"tool_calls": [named]}

    def _message(self, emitted: str) -> Json:
        content = ""
        arguments: dict[int, str] = {}
        for fragment in self._unfolding.feed(emitted):
            if fragment.piece.kind == "content":
                content += fragment.text
            elif fragment.piece.kind == "arguments":
                index = fragment.piece.call
                arguments[index] = arguments.get(index, "") + fragment.text
        message: Json = {"role": "assistant", "content": content or None, "refusal": None}
        if arguments:
            message["tool_calls"] = [self._call(index, text) for index, text in arguments.items()]
        return message

    def _call(self, index: int, arguments: str) -> Json:
        function = {"name": self._turn.calls[index].name, "arguments": arguments}
        return {"id": self._call_ids[index], "type": "function", "function": function}

    def _finish_reason(self, engine_reason: str) -> str:
        return "tool_calls" if self._turn.calls and self._unfolding.complete else engine_reason

    def _chunk(self, delta: Json, reason: str | None, event: Json) -> Json:
        choices = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]
        return self._envelope("chat.completion.chunk", choices, event)

    def _envelope(self, kind: str, choices: list[Json], engine: Json) -> Json:
        measured: Json = {name: engine[name] for name in ("usage", "timings") if name in engine}
        return {
            "id": self._identifier,
            "object": kind,
            "created": self._created,
            "model": self._model.identifier,
            "choices": choices,
            **measured,
        }


def models(model: Model) -> Json:
    """The answer to /v1/models: one model, whose owner says what it is."""
    told = {"id": model.identifier, "object": "model", "created": 0}
    return {"object": "list", "data": [told | {"owned_by": model.owner(), "labels": model.labels}]}


def error(message: str, status: int) -> Json:
    """An error body in OpenAI's shape."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}
