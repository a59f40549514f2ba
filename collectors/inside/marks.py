"""What a program may say about itself: `tool`, `session`, `mark`. They do nothing unless it is recorded."""

from __future__ import annotations

import os

from .context import place, restore, session_id
from .plain import finite, mark_value
from .plain import name as plain_name
from .state import STATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token
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
    """One task given to the agent: `with session("task 7") as task:`, plain or async, or a decorator.

    As a decorator, `@session` or `@session("task")` on any kind of function, every run of it is a session.

    Parameters
    ----------
    name : what to call it in reports; a decorated function's own name if not given.
    conversation_id : the id the program itself knows it by.
    """

    def __new__(cls, name: Any = None, conversation_id: str | None = None) -> Any:
        """The session; the function itself, recorded, where it decorates one without further words."""
        if _is_function(name) and not _is_only_callable(name):
            return cls(None, conversation_id)(name)
        return super().__new__(cls)

    def __init__(self, name: str | None = None, conversation_id: str | None = None) -> None:
        self._name = name
        self._conversation_id = conversation_id
        self._score: float | None = None
        self._run: _SessionRun | None = None

    @property
    def id(self) -> str | None:
        """Names the session in the spool while it is open and recorded."""
        return None if self._run is None else self._run.id

    def score(self, score: float) -> None:
        """How well the task went; the last score counts."""
        if STATE.writer is None:
            return
        self._score = finite(score)
        if self._score is None and score is not None:
            STATE.note("score_not_read", type(score).__name__)

    def __call__(self, function: Function) -> Function:
        if STATE.writer is None:
            return function
        return _decorated(function, self._name, lambda name: _SessionRun(name, self._conversation_id))

    def __enter__(self) -> Self:
        if STATE.writer is not None:
            self._run = _SessionRun(plain_name(self._name), self._conversation_id)
            self._run.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        run, self._run = self._run, None
        if run is not None:
            run.leave()
            run.end(kind, self._score)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)


class _SessionRun:
    """One session that is open: from when it is made to `end`, current between `enter` and `leave`."""

    __slots__ = ("_token", "id")

    def __init__(self, name: str | None, conversation_id: str | None) -> None:
        self.id: str | None = None
        self._token: Token[str | None] | None = None
        writer = STATE.writer
        if writer is not None:
            self.id = writer.new_id()
            fields = {
                "id": self.id,
                "pid": os.getpid(),
                "name": name,
                "conversation_id": plain_name(conversation_id),
            }
            writer.write("session_start", writer.clock.now_ns(), fields)
            STATE.open_sessions[self.id] = os.getpid()

    def enter(self) -> None:
        """What runs from here on belongs to this session."""
        self._token = STATE.session.set(self.id)

    def leave(self) -> None:
        """What runs from here on belongs to the session before."""
        restore(STATE.session, self._token)

    def end(self, kind: type[BaseException] | None, score: float | None = None) -> None:
        """The task is done; `kind` is the class of the exception that ended it."""
        writer = STATE.writer
        if self.id is None:
            return
        STATE.open_sessions.pop(self.id, None)
        if writer is not None:
            fields = {
                "id": self.id,
                "status": _status(kind),
                "error_type": _class_name(kind),
                "score": score,
            }
            writer.write("session_end", writer.clock.now_ns(), fields)
        self.id = None


class Span:
    """One tool execution: opened when made, closed by `end`, current between `enter` and `leave`.

    Parameters
    ----------
    name, call_id : what the tool is called, and the id of the model's tool call that it answers.
    adapter : the framework that reported it; None for a mark of the program's own.
    """

    __slots__ = ("_end_ns", "_token", "id")

    def __init__(self, name: str | None, call_id: str | None, adapter: str | None = None) -> None:
        self.id: str | None = None
        self._token: Token[str | None] | None = None
        self._end_ns: int | None = None
        writer = STATE.writer
        if writer is not None:
            self.id = writer.new_id()
            STATE.open_tools[self.id] = self
            fields = {"id": self.id, "pid": os.getpid()}
            fields.update(place())
            fields.update(
                name=plain_name(name) or "tool",
                tool_call_id=plain_name(call_id),
                source="framework",
                adapter=adapter,
                scope=STATE.scope.get(),
            )
            writer.write("tool_start", writer.clock.now_ns(), fields)

    def enter(self) -> None:
        """What runs from here on belongs to this tool."""
        self._token = STATE.tool.set(self.id)

    def leave(self) -> None:
        """What runs from here on belongs to whatever it did before."""
        restore(STATE.tool, self._token)

    def has_result(self) -> None:
        """The tool itself is done: what runs until `end` is what its framework does with the result."""
        writer = STATE.writer
        if writer is not None and self._end_ns is None:
            self._end_ns = writer.clock.now_ns()

    def end(self, kind: type[BaseException] | None) -> None:
        """The tool is done; `kind` is the class of the exception that it raised."""
        writer = STATE.writer
        if self.id is None:
            return
        STATE.open_tools.pop(self.id, None)
        if writer is not None:
            fields = {"id": self.id, "status": _status(kind), "error_type": _class_name(kind)}
            writer.write("tool_end", self._end_ns or writer.clock.now_ns(), fields)
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
        call_id = plain_name(self._call_id)
        return _decorated(function, self._name, lambda name: Span(name, call_id))

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
    if _is_function(name):
        return _Tool(None, call_id)(name)
    return _Tool(name, call_id)


def _is_function(name: Any) -> bool:
    return callable(name) or isinstance(name, (staticmethod, classmethod))


def _is_only_callable(name: Any) -> bool:
    """Whether it can be called, yet is no function: a session may be named by any object."""
    return isinstance(name, type) or not (hasattr(name, "__name__") or hasattr(name, "__func__"))


def _decorated(function: Function, name: Any, open_span: Callable[[str | None], Any]) -> Function:
    """The function with a span around each run, called as given, else as the function is; itself if that fails."""
    from .functions import recorded

    try:
        plain = getattr(function, "__func__", function)
        called = plain_name(name) or plain_name(getattr(plain, "__name__", None))
        wrapped: Function = recorded(function, lambda args, kwargs: open_span(called))
    except Exception as error:  # an object that can be called and little else
        STATE.failed("decorator", error)
        return function
    return wrapped


def _status(kind: type[BaseException] | None) -> str:
    if kind is None:
        return "ok"
    return (
        "cancelled" if kind.__name__ in ("CancelledError", "GeneratorExit", "KeyboardInterrupt") else "error"
    )


def _class_name(kind: type[BaseException] | None) -> str | None:
    return None if kind is None else plain_name(getattr(kind, "__name__", "Exception"))
