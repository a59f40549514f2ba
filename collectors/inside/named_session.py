"""The session that a request names itself, beside the Responses API's own `conversation`.

Clients send it in `metadata` (session_id, conversation_id, thread_id; Claude Code puts it at the end of
`user_id`), LiteLLM's clients as `litellm_session_id`, Dynamo's in `nvext.agent_context`. `prompt_cache_key` and
`user` are not taken: a program's sessions share the one, a person's sessions the other.
"""

from __future__ import annotations

from .plain import label

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_KEYS = ("session_id", "conversation_id", "thread_id")
_IN_USER_ID = "_session_"


def client_session(body: dict[str, Any]) -> str | None:
    """The session's id as the client sends it, or None."""
    extension = body.get("nvext")
    for holder in (body.get("metadata"), _agent_context(extension)):
        if isinstance(holder, dict):
            for key in _KEYS:
                named = label(holder.get(key))
                if named:
                    return named
            _, found, named = (label(holder.get("user_id")) or "").rpartition(_IN_USER_ID)
            if found and named:
                return named
    return label(body.get("litellm_session_id")) or None


def _agent_context(extension: Any) -> Any:
    return extension.get("agent_context") if isinstance(extension, dict) else None
