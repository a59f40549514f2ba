"""Puts a span around each run of a framework's tools, as `frameworks` lists them.

A function is replaced in its class (or module) by one that takes, gives and raises the same; what the table says
of its parameters is checked when it is hooked, so a framework that changed its shape is left alone, with a note.
"""

from __future__ import annotations

import inspect
import os
from operator import attrgetter

from .context import restore, whereabouts
from .frameworks import FRAMEWORKS, REQUEST, RESULT, RUN
from .functions import NOTHING, Nothing, recorded
from .marks import Span
from .state import STATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token
    from types import ModuleType
    from typing import Any

    Read = Callable[[tuple[Any, ...], dict[str, Any]], Any]


def patch(module: ModuleType) -> None:
    """Hook what the table lists of this module, once each."""
    for what, function, name, call_id in FRAMEWORKS[module.__name__]:
        _try_to_hook(module, what, function, name, call_id)


def _try_to_hook(module: ModuleType, what: str, function: str, name: str, call_id: str) -> None:
    try:
        _hook(module, what, function, name, call_id)
    except Exception:
        STATE.note("framework_not_hooked", module.__name__ + "." + function)


def _hook(module: ModuleType, what: str, function: str, name: str, call_id: str) -> None:
    found = _find(module, function.lstrip("?"))
    if found is None:
        if not function.startswith("?"):
            raise LookupError(function)
        return
    owner, attribute, original = found
    plain = getattr(original, "__func__", original)
    if hasattr(plain, "__tracekit__"):
        return
    if what == RUN:
        wrapped = recorded(original, lambda args, kwargs: Run())
    elif what == REQUEST:
        wrapped = recorded(original, lambda args, kwargs: Request())
    elif what == RESULT:
        wrapped = recorded(original, _tell_result)
    else:
        adapter = module.__name__.partition(".")[0]
        wrapped = recorded(original, _opener(adapter, _reader(plain, name), _reader(plain, call_id)))
    getattr(wrapped, "__func__", wrapped).__tracekit__ = True
    setattr(owner, attribute, wrapped)


def _find(module: ModuleType, function: str) -> tuple[Any, str, Any] | None:
    """The first of the functions that this release has: where it lives, under which name, and itself."""
    for path in function.split("|"):
        owner_name, _, attribute = path.rpartition(".")
        owner: Any = getattr(module, owner_name, None) if owner_name else module
        original = vars(owner).get(attribute) if owner is not None else None
        if original is not None:
            return owner, attribute, original
    return None


def _tell_result(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Nothing:
    """The tool that this runs in has its result."""
    tool = STATE.open_tools.get(STATE.tool.get() or "")
    if tool is not None:
        tool.has_result()
    return NOTHING


def _opener(adapter: str, name: Read, call_id: Read) -> Callable[[Any, Any], Span]:
    def open_span(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span:
        return Span(name(args, kwargs), call_id(args, kwargs), adapter)

    return open_span


def _reader(function: Any, path: str) -> Read:
    """Reads `parameter.attribute...` off a call's arguments; None where a call has none.

    Raises
    ------
    LookupError : the function has no such parameter, and should.
    """
    parameter, _, attributes = path.lstrip("?").partition(".")
    if not parameter or (path.startswith("?") and parameter not in inspect.signature(function).parameters):
        return lambda args, kwargs: None
    position, default = _place(function, parameter)
    read = _attributes(attributes)

    def argument(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            if parameter in kwargs:
                return read(kwargs[parameter])
            return read(args[position]) if 0 <= position < len(args) else read(default)
        except Exception:  # an object of another shape: the span stays, without this
            return None

    return argument


def _place(function: Any, parameter: str) -> tuple[int, Any]:
    """Where the parameter stands among the positional ones (-1 if it is given by name only), and its default."""
    parameters = inspect.signature(function).parameters
    found = parameters[parameter]
    default = None if found.default is found.empty else found.default
    by_position = [
        name
        for name, each in parameters.items()
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    return (by_position.index(parameter) if parameter in by_position else -1), default


def _attributes(path: str) -> Callable[[Any], Any]:
    if not path:
        return lambda value: value
    attributes = attrgetter(path)

    def read(value: Any) -> Any:
        return value.get(path) if isinstance(value, dict) else attributes(value)

    return read


class Run:
    """One task given to an agent: the outermost run names all that is done in it, also by tasks it starts."""

    __slots__ = ("_id", "_token")

    def __init__(self) -> None:
        self._id: str | None = None
        self._token: Token[str | None] | None = None
        writer = STATE.writer
        if writer is not None and STATE.agent_run.get() is None:
            self._id = writer.new_id()
            fields: dict[str, Any] = {"id": self._id, "pid": os.getpid()}
            fields.update(whereabouts())
            writer.write("run_start", writer.clock.now_ns(), fields)

    def enter(self) -> None:
        """What runs from here on belongs to this run."""
        if self._id is not None:
            self._token = STATE.agent_run.set(self._id)

    def leave(self) -> None:
        """What runs from here on does not."""
        token, self._token = self._token, None
        restore(STATE.agent_run, token)

    def end(self, kind: type[BaseException] | None) -> None:
        """Nothing is written of a run's end."""


class Request:
    """One request to a server: a flow of control of its own, whatever the server did when it started."""

    __slots__ = ("_tokens",)

    def __init__(self) -> None:
        self._tokens: list[tuple[Any, Any]] = []

    def enter(self) -> None:
        """What runs from here on is a new flow, in no run and no tool."""
        inside = STATE.in_request.get() or STATE.agent_run.get() or STATE.tool.get()
        if STATE.writer is not None and not inside:  # an agent may ask a server of its own process
            self._tokens = [
                (STATE.in_request, STATE.in_request.set(True)),
                (STATE.scope, STATE.scope.set(None)),
            ]

    def leave(self) -> None:
        """What runs from here on is what it was."""
        tokens, self._tokens = self._tokens, []
        for variable, token in tokens:
            restore(variable, token)

    def end(self, kind: type[BaseException] | None) -> None:
        """Nothing is written of a request itself."""
