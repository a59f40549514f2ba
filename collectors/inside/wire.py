"""Which HTTP requests are LLM calls: told by the end of the path and the shape of the body, on any host."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# the path's last words -> the API; longer ones first
_SUFFIXES = (
    ("/chat/completions", "chat"),
    ("/completions", "completions"),
    ("/responses", "responses"),
    ("/embeddings", "embeddings"),
    ("/messages", "messages"),
)
_PROMPT_KEY = {
    "chat": "messages",
    "completions": "prompt",
    "responses": "input",
    "embeddings": "input",
    "messages": "messages",
}
_MODEL_IS_OPTIONAL = frozenset(("chat", "completions"))  # single-model servers and Azure deployments


def api_of(method: str, path: str) -> str | None:
    """The API that a request of this method and path may belong to."""
    if method != "POST":
        return None
    path = path.rstrip("/")
    for suffix, api in _SUFFIXES:
        if path.endswith(suffix):
            return api
    return None


def is_call(api: str, body: Any) -> bool:
    """Whether a decoded JSON body is a request to this API's model."""
    if not isinstance(body, dict):
        return False
    has_prompt = isinstance(body.get(_PROMPT_KEY[api]), (str, list))
    if api == "responses" and not has_prompt:
        has_prompt = "previous_response_id" in body or "prompt" in body or "conversation" in body
    return has_prompt and (isinstance(body.get("model"), str) or api in _MODEL_IS_OPTIONAL)


def model_of(body: dict[str, Any], path: str) -> str | None:
    """The model asked for: the body's, or Azure's deployment in the path."""
    model = body.get("model")
    if isinstance(model, str):
        return model
    _, found, after = path.partition("/deployments/")
    return after.split("/", 1)[0] if found else None
