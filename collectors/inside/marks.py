"""What a program may say about itself: `tool`, `session`, `mark`. They do nothing unless it is recorded."""

from __future__ import annotations

import os

from .context import place, session_id
from .plain import finite, mark_value
from .plain import name as plain_name
from .state import STATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import ContextVar, Token
    from types import TracebackType
    from typing import Any, TypeVar, overload

    from typing_extensions import Self

    Function = TypeVar("Function", bound=Callable[..., Any])


def mark(name: str, value: Any = None) -> None:
    """Write a named value at this moment into the recording."""
    writer = STATE.writer
    if writer is None:
        return
    fields = {
        "pid": os.getpid(),
        "session": session_id(),
        "name": plain_name(name) or "",
        "value": mark_value(value),
    }
    writer.write("mark", writer.clock.now_ns(), fields)


class session:  # noqa: N801  (reads as a verb: `with session("task 7"):`)
    """One task given to the agent, as a context manager, plain or async.

    Parameters
    ----------
    name : what to call it in reports.
    conversation_id : the id the program itself knows it by.
    """

    def __init__(self, name: str | None = None, conversation_id: str | None = None) -> None:
        self.id: str | None = None
        self._name = name
        self._conversation_id = conversation_id
        self._score: float | None = None
        self._token: Token[str | None] | None = None

    def score(self, score: float) -> None:
        """How well the task went; the last score counts."""
        if STATE.writer is None:
            return
        self._score = finite(score)
        if self._score is None and score is not None:
            STATE.note("score_not_read", type(score).__name__)

    def __enter__(self) -> Self:
        writer = STATE.writer
        if writer is not None:
            self.id = writer.new_id()
            fields = {
                "id": self.id,
                "pid": os.getpid(),
                "name": plain_name(self._name),
                "conversation_id": plain_name(self._conversation_id),
            }
            writer.write("session_start", writer.clock.now_ns(), fields)
            self._token = STATE.session.set(self.id)
            STATE.open_sessions[self.id] = os.getpid()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.id is None:
            return
        writer, session_id, self.id = STATE.writer, self.id, None
        STATE.open_sessions.pop(session_id, None)
        _restore(STATE.session, self._token)
        if writer is not None:
            fields = {
                "id": session_id,
                "status": _status(kind),
                "error_type": _class_name(kind),
                "score": self._score,
            }
            writer.write("session_end", writer.clock.now_ns(), fields)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)


class Span:
    """One tool execution: opened when made, closed by `end`, current between `enter` and `leave`."""

    __slots__ = ("_token", "id")

    def __init__(self, name: str | None, call_id: str | None) -> None:
        self.id: str | None = None
        self._token: Token[str | None] | None = None
        writer = STATE.writer
        if writer is not None:
            self.id = writer.new_id()
            fields = {"id": self.id, "pid": os.getpid()}
            fields.update(place())
            fields.update(
                name=plain_name(name) or "tool", tool_call_id=plain_name(call_id), source="framework"
            )
            writer.write("tool_start", writer.clock.now_ns(), fields)

    def enter(self) -> None:
        """What runs from here on belongs to this tool."""
        self._token = STATE.tool.set(self.id)

    def leave(self) -> None:
        """What runs from here on belongs to whatever it did before."""
        _restore(STATE.tool, self._token)

    def end(self, kind: type[BaseException] | None) -> None:
        """The tool is done; `kind` is the class of the exception that it raised."""
        writer = STATE.writer
        if writer is not None and self.id is not None:
            fields = {"id": self.id, "status": _status(kind), "error_type": _class_name(kind)}
            writer.write("tool_end", writer.clock.now_ns(), fields)
            self.id = None


class _Tool:
    """A tool with a name: a decorator for functions, and a context manager."""

    def __init__(self, name: str | None, call_id: str | None) -> None:
        self._name = name
        self._call_id = call_id
        self._spans: list[Span] = []

    def __call__(self, function: Function) -> Function:
        if STATE.writer is None:
            return function
        from .functions import recorded

        try:
            plain = getattr(function, "__func__", function)
            name = plain_name(self._name) or plain_name(getattr(plain, "__name__", None))
            call_id = plain_name(self._call_id)
            wrapped: Function = recorded(function, lambda: Span(name, call_id))
        except Exception as error:  # an object that can be called and little else
            STATE.failed("tool", error)
            return function
        return wrapped

    def __enter__(self) -> Self:
        if STATE.writer is not None:
            span = Span(self._name, self._call_id)
            span.enter()
            self._spans.append(span)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._spans:
            span = self._spans.pop()
            span.leave()
            span.end(kind)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)


if TYPE_CHECKING:

    @overload
    def tool(name: Function) -> Function: ...

    @overload
    def tool(name: str | None = None, *, call_id: str | None = None) -> _Tool: ...


def tool(name: Any = None, *, call_id: str | None = None) -> Any:
    """Record a tool: `@tool`, `@tool("search")` on any kind of function, or `with tool("search"):`.

    Parameters
    ----------
    name : what to call it; a decorated function's own name if not given.
    call_id : the id of the model's tool call that is being answered, if the program knows it.
    """
    if callable(name) or isinstance(name, (staticmethod, classmethod)):
        return _Tool(None, call_id)(name)
    return _Tool(name, call_id)


def _restore(variable: ContextVar[str | None], token: Token[str | None] | None) -> None:
    if token is None:
        return
    try:
        variable.reset(token)
    except ValueError:  # entered in another context, as async fixtures do
        old = token.old_value
        variable.set(old if isinstance(old, str) else None)


def _status(kind: type[BaseException] | None) -> str:
    if kind is None:
        return "ok"
    return (
        "cancelled" if kind.__name__ in ("CancelledError", "GeneratorExit", "KeyboardInterrupt") else "error"
    )


def _class_name(kind: type[BaseException] | None) -> str | None:
    return None if kind is None else plain_name(getattr(kind, "__name__", "Exception"))
