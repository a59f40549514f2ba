"""Where the running code stands: its session, its tool, its thread and its asyncio task."""

from __future__ import annotations

import _thread
import sys

from .plain import name
from .state import STATE
from .trace_context import AGENTS, OTEL, trace_identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import ContextVar, Token
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


def thread_id() -> int:
    """The running thread; the greenlet, where gevent has put its own function in the place of this one."""
    return _thread.get_ident()


def whereabouts() -> dict[str, Any]:
    """The thread, the job that it does, and the asyncio task."""
    thread = _thread.get_ident()
    return {"thread": thread, "job": STATE.jobs.get(thread), "task": task_name()}


def place() -> dict[str, Any]:
    """The keys every started span shares."""
    keys = whereabouts()
    keys["session"] = STATE.session.get() or session_id()
    keys["tool"] = STATE.tool.get()
    keys["agent_run"] = STATE.agent_run.get()
    if OTEL in sys.modules or AGENTS in sys.modules:
        conversation, trace = trace_identity()
        if conversation is not None or trace is not None:
            keys.update(trace_session=conversation, trace=trace)
    return keys


def child_facts() -> dict[str, Any]:
    """What a process that is started now belongs to; empty if nothing."""
    facts = {
        "session": session_id(),
        "tool": STATE.tool.get(),
        "scope": STATE.scope.get(),
        "agent_run": STATE.agent_run.get(),
    }
    return facts if any(facts.values()) else {}


def flow() -> tuple[str | None, ...]:
    """What the code belongs to, for a thread that it starts to belong to as well."""
    return tuple(variable.get() for variable in STATE.flow)


def enter(flow: tuple[Any, ...]) -> list[Any]:
    """Belong to this flow from here on; what `leave` takes to undo it."""
    return [variable.set(value) for variable, value in zip(STATE.flow, flow)]


def leave(tokens: list[Any]) -> None:
    """Belong to what was before."""
    for variable, token in zip(STATE.flow, tokens):
        restore(variable, token)


def restore(variable: ContextVar[Any], token: Token[Any] | None) -> None:
    """Give the variable the value that it had before the token's setting."""
    if token is None:
        return
    try:
        variable.reset(token)
    except ValueError:  # set in another context: async fixtures, generators that are carried about
        old = token.old_value
        variable.set(None if old is token.MISSING else old)
