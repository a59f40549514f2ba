"""Which HTTP requests are LLM calls: told by the end of the path and the shape of the body, on any host."""

from __future__ import annotations

from functools import lru_cache

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
    ("/api/chat", "chat"),
    ("/api/generate", "completions"),
    ("/api/embed", "embeddings"),
)
_OLLAMA = tuple(suffix for suffix, _ in _SUFFIXES if suffix.startswith("/api/"))
_PROMPT_KEY = {
    "chat": "messages",
    "completions": "prompt",
    "responses": "input",
    "embeddings": "input",
    "messages": "messages",
}
_KNOWN_PATHS = 256
_MODEL_IS_OPTIONAL = frozenset(("chat", "completions"))  # single-model servers and Azure deployments


@lru_cache(maxsize=_KNOWN_PATHS)
def api_of(method: str, path: str) -> str | None:
    """The API that a request of this method and path may belong to."""
    if method != "POST":
        return None
    path = path.rstrip("/")
    for suffix, api in _SUFFIXES:
        if path.endswith(suffix):
            return api
    return None


def is_call(api: str, body: Any, path: str = "") -> bool:
    """Whether a decoded JSON body is a request to this API's model."""
    if not isinstance(body, dict):
        return False
    has_prompt = isinstance(body.get(_PROMPT_KEY[api]), (str, list))
    if api == "responses" and not has_prompt:
        has_prompt = "previous_response_id" in body or "prompt" in body or "conversation" in body
    is_optional = (api in _MODEL_IS_OPTIONAL and not is_ollama(path)) or "/deployments/" in path
    return has_prompt and (isinstance(body.get("model"), str) or is_optional)


@lru_cache(maxsize=_KNOWN_PATHS)
def is_ollama(path: str) -> bool:
    """Whether this is a path of Ollama's own API, whose answers are streams unless the request says no."""
    return path.rstrip("/").endswith(_OLLAMA)


def is_streamed(body: dict[str, Any], path: str) -> bool:
    """Whether the request asks for its answer in pieces, as every one over a WebSocket does."""
    if body.get("type") == "response.create":
        return True
    stream = body.get("stream")
    return stream is True or (stream is None and is_ollama(path) and not path.rstrip("/").endswith("/embed"))


def model_of(body: dict[str, Any], path: str) -> str | None:
    """The model asked for: the body's, or Azure's deployment in the path."""
    model = body.get("model")
    if isinstance(model, str):
        return model
    _, found, after = path.partition("/deployments/")
    return after.split("/", 1)[0] if found else None
