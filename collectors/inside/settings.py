"""What a request asks for beside its prompt: its model, its limits, and the ids that it names."""

from __future__ import annotations

from .json_text import or_null, quoted
from .named_session import client_session
from .parts import tools_of
from .plain import counted, label, real
from .wire import is_streamed, model_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TRUTH = {True: "true", False: "false", None: "null"}
_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")


def settings_text(api: str, body: dict[str, Any], path: str) -> str:
    """The first members of a `request`, from api to client_session, as `tracekit.spool` lists them, in JSON."""
    limit, temperature, choices = _limit(body), real(body.get("temperature")), counted(body.get("n"), 32)
    return (
        f'"api":"{api}","model":{quoted(label(model_of(body, path)))},"stream":{_TRUTH[is_streamed(body, path)]},'
        f'"include_usage":{_TRUTH[_asks_for_usage(body)]},"max_tokens":{or_null(limit, limit)},'
        f'"temperature":{or_null(temperature, temperature)},"choice_count":{or_null(choices, choices)},'
        f'"tools_offered":{len(tools_of(body))},'
        f'"previous_response_id":{quoted(label(body.get("previous_response_id")))},'
        f'"conversation_id":{quoted(_conversation(body.get("conversation")))},'
        f'"client_session":{quoted(client_session(body))}'
    )


def _asks_for_usage(body: dict[str, Any]) -> bool | None:
    options = body.get("stream_options")
    asked = options.get("include_usage") if isinstance(options, dict) else None
    return asked if isinstance(asked, bool) else None


def _limit(body: dict[str, Any]) -> int | None:
    for key in _LIMITS:
        value = counted(body.get(key))
        if value is not None:
            return value
    return None


def _conversation(value: Any) -> str | None:
    return label(value.get("id")) if isinstance(value, dict) else label(value)
