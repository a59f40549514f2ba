"""Where the running code stands: its session, its tool, its thread and its asyncio task."""

from __future__ import annotations

import sys
from _thread import get_ident

from .plain import name
from .state import STATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def session_id() -> str | None:
    """The session the code runs in.

    A worker thread does not inherit context variables; if this process has one session open, it is that one.
    """
    session = STATE.session.get()
    if session is None and len(STATE.open_sessions) == 1:
        return next(iter(STATE.open_sessions), None)
    return session


def task_name() -> str | None:
    """The name of the running asyncio task, if any; asyncio is never imported for it."""
    asyncio: Any = sys.modules.get("asyncio")
    try:
        if asyncio is None or asyncio._get_running_loop() is None:
            return None
        task = asyncio.current_task()
        return None if task is None else name(task.get_name())
    except Exception:
        return None


def scope_id(new_id: Callable[[], str]) -> str:
    """Names the flow of control: asyncio tasks inherit it from the code that started them, threads do not.

    It is made at the first LLM call of a flow, so tasks that are started before it have one each.
    """
    scope = STATE.scope.get()
    if scope is None:
        scope = new_id()
        STATE.scope.set(scope)
    return scope


def place() -> dict[str, Any]:
    """The keys every started span shares."""
    return {"thread": get_ident(), "task": task_name(), "session": session_id(), "tool": STATE.tool.get()}
