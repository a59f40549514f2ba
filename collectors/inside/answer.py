"""What a model's answer says about itself, gathered piece by piece from JSON or from a stream's events."""

from __future__ import annotations

from .plain import label

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_REASONING_KEYS = ("reasoning_content", "reasoning", "reasoning_text", "thinking")
_REASONING_DETAILS = "reasoning_details"  # OpenRouter's
REASONING = frozenset((*_REASONING_KEYS, _REASONING_DETAILS))
"""Under one of these names an answer has its reasoning."""


class Answer:
    """One answer so far. Each `add_*` method takes one decoded object and says whether it carried output."""

    response_id: str | None = None
    model: str | None = None
    finish_reason: str | None = None
    error_type: str | None = None
    is_complete = False
    usage: dict[str, Any] | None = None
    timings: dict[str, Any] | None = None
    output_bytes = 0

    def __init__(self) -> None:
        self.texts: list[str] = []  # the first choice's own text
        self._calls: dict[Any, dict[str, str | None]] = {}

    @property
    def text(self) -> str:
        """The first choice's text, without reasoning."""
        return "".join(self.texts)

    @property
    def tool_calls(self) -> list[dict[str, str | None]]:
        """The tool calls that have an id or a name, in the order in which they began."""
        calls = self._calls
        return [call for call in calls.values() if call["id"] or call["name"]] if calls else []

    def add_common(self, item: dict[str, Any]) -> None:
        """Take what every kind of object may carry at its top."""
        take = item.get
        self.response_id = self.response_id or label(take("id"))
        self.model = self.model or label(take("model"))
        usage, timings, error = take("usage"), take("timings"), take("error")
        if usage and isinstance(usage, dict):
            self.usage = usage
        if isinstance(timings, dict):
            self.timings = timings
        if error:
            self.fail(error)
        elif take("object") == "error":  # as vLLM said it until 2025
            self.fail(item)

    def take_usage(self, usage: Any) -> None:
        """Take an object of token counts; the last one that says anything counts."""
        if usage and isinstance(usage, dict):
            self.usage = usage

    def add_text(self, text: Any, *, is_answer: bool = True) -> bool:
        """Take generated text; `is_answer` is False for reasoning, tool arguments and further choices."""
        if not isinstance(text, str) or not text:
            return False
        if is_answer:
            self.texts.append(text)
        self.output_bytes += len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
        return True

    def add_call(self, key: Any, call_id: Any, name: Any) -> bool:
        """Take a tool call's id and name.

        Servers that number every call 0 still give each its own id, or at least no id and another name.
        """
        call_id, name = label(call_id) or None, label(name) or None
        call = self._calls.get(key)
        if call is not None and _is_another(call, call_id, name):
            self._calls[key, len(self._calls)] = call
            call = None
            del self._calls[key]
        if call is None:
            call = self._calls[key] = {"id": None, "name": None}
        call["id"] = call["id"] or call_id
        call["name"] = call["name"] or name
        return bool(call_id or name)

    def finish(self, reason: Any, *, is_complete: bool = True) -> None:
        """Generation is over, for this reason; the first one given counts."""
        if isinstance(reason, str) and reason:
            self.finish_reason = self.finish_reason or label(reason)
            self.is_complete = self.is_complete or is_complete

    def fail(self, error: Any) -> None:
        """The server said that it failed."""
        self.error_type = self.error_type or error_name(error) or "server_error"


def _is_another(call: dict[str, str | None], call_id: str | None, name: str | None) -> bool:
    if call_id and call["id"]:
        return call["id"] != call_id
    return bool(not call_id and not call["id"] and name and call["name"] and call["name"] != name)


def add_reasoning(answer: Answer, item: dict[str, Any]) -> bool:
    """Take the reasoning text of a message or delta, under whichever name the server gives it."""
    for key in _REASONING_KEYS:
        if key in item and answer.add_text(item[key], is_answer=False):
            return True
    has_output = False
    for detail in items(item.get(_REASONING_DETAILS)):
        text = detail.get("text") or detail.get("summary") or detail.get("data")
        has_output = answer.add_text(text, is_answer=False) or has_output
    return has_output


def error_name(error: Any) -> str | None:
    """A server's own short name for an error, if it is a name and not a sentence."""
    if not isinstance(error, dict):
        return None
    for key in ("code", "type", "status"):
        name = error.get(key)
        if isinstance(name, str) and 0 < len(name) <= 64 and name.replace("_", "").replace("-", "").isalnum():
            return label(name)
    code = error.get("code")
    return f"http_{code}" if type(code) is int and 400 <= code < 600 else None


def string(value: Any) -> str | None:
    """The value if it is a string."""
    return value if isinstance(value, str) else None


def items(value: Any) -> list[dict[str, Any]]:
    """The objects in a JSON list."""
    return [item for item in value if isinstance(item, dict)] if value and isinstance(value, list) else []


def object_of(item: dict[str, Any], key: str) -> dict[str, Any]:
    """The object under a key; an empty one if there is none."""
    value = item.get(key)
    return value if isinstance(value, dict) else {}
