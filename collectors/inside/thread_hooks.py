"""Lets threads belong to the session, tool and flow of the code that starts them, as asyncio tasks do.

Only our own context variables are carried. A pool's thread takes those of the code that submitted the job, for
as long as the job runs; the hooked methods run outside the agent's frames, so no traceback shows them.
"""

from __future__ import annotations

import functools

from .context import enter, flow, leave, thread_id
from .state import STATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any


def patch(module: ModuleType) -> None:
    """Hook threads, or the jobs of thread pools, once."""
    if module.__name__ == "threading":
        _wrap(module.Thread, "start", _start)
        _wrap(module.Thread, "_bootstrap_inner", _bootstrap)
    else:
        _wrap(module._WorkItem, "__init__", _submitted)
        _wrap(module._WorkItem, "run", _job)


def _wrap(owner: Any, name: str, wrapped: Any) -> None:
    original = getattr(owner, name)
    if not hasattr(original, "__tracekit__"):
        wrapper: Any = functools.wraps(original)(wrapped(original))
        wrapper.__tracekit__ = True
        setattr(owner, name, wrapper)


def _start(original: Any) -> Any:
    def start(self: Any) -> None:
        _carry(self)
        original(self)

    return start


def _carry(thread: Any) -> None:
    try:
        ours = flow()
        if not any(ours):
            return
        if getattr(thread, "_context", "none") is None:  # Python 3.14 runs threads in a context of their own
            from contextvars import copy_context

            context = copy_context() if _inherits() else _empty_context()
            context.run(enter, ours)
            thread._context = context
        else:
            thread._tracekit_flow = ours
    except Exception as error:
        STATE.failed("thread", error)


def _inherits() -> bool:
    import sys

    return bool(getattr(sys.flags, "thread_inherit_context", False))


def _empty_context() -> Any:
    from contextvars import Context

    return Context()


def _bootstrap(original: Any) -> Any:
    def _bootstrap_inner(self: Any) -> None:
        ours = self.__dict__.pop("_tracekit_flow", None)
        if ours is not None:
            enter(ours)
        before = _begin_job()
        try:
            original(self)
        finally:
            _end_job(before)

    return _bootstrap_inner


def _submitted(original: Any) -> Any:
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        original(self, *args, **kwargs)
        self._tracekit_flow = flow()

    return __init__


def _job(original: Any) -> Any:
    def run(self: Any, *args: Any, **kwargs: Any) -> None:
        tokens = enter(getattr(self, "_tracekit_flow", (None,) * len(STATE.flow)))
        before = _begin_job()
        try:
            original(self, *args, **kwargs)
        finally:
            _end_job(before)
            leave(tokens)

    return run


def _begin_job() -> str | None:
    """Name what the thread does from here on; what it did before."""
    thread, writer = thread_id(), STATE.writer
    before = STATE.jobs.get(thread)
    if writer is not None:
        STATE.jobs[thread] = writer.new_id()
    return before


def _end_job(before: str | None) -> None:
    thread = thread_id()
    if before is None:
        STATE.jobs.pop(thread, None)
    else:
        STATE.jobs[thread] = before
