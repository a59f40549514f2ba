"""Functions of every kind (plain, async, generator, async generator) with a span around each run of them."""

from __future__ import annotations

import functools
import inspect

from .state import STATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from typing import Any

    Open = Callable[[tuple[Any, ...], dict[str, Any]], Any]


def recorded(function: Any, open_span: Open) -> Any:
    """The function, recording one span a run; it takes, gives and raises exactly what it did.

    Parameters
    ----------
    open_span : makes the span of a run from the run's arguments: a tuple and a dict.
    """
    if isinstance(function, (staticmethod, classmethod)):
        return type(function)(recorded(function.__func__, open_span))
    if inspect.isasyncgenfunction(function):
        wrapper: Any = _async_generator(function, open_span)
    elif inspect.isgeneratorfunction(function):
        wrapper = _generator(function, open_span)
    elif inspect.iscoroutinefunction(function):
        wrapper = _coroutine(function, open_span)
    else:
        wrapper = _plain(function, open_span)
    return functools.wraps(function)(wrapper)


def _plain(function: Any, open_span: Open) -> Any:
    def run(*args: Any, **kwargs: Any) -> Any:
        span = _opened(open_span, args, kwargs)
        span.enter()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            span.leave()
            span.end(type(error))
            raise
        span.leave()
        span.end(None)
        return result

    return run


def _coroutine(function: Any, open_span: Open) -> Any:
    async def run(*args: Any, **kwargs: Any) -> Any:
        span = _opened(open_span, args, kwargs)
        span.enter()
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            span.leave()
            span.end(type(error))
            raise
        span.leave()
        span.end(None)
        return result

    return run


def _generator(function: Any, open_span: Open) -> Any:
    def run(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        """Drive the generator by hand, so that the span is current only while it runs, not while it waits."""
        generator = function(*args, **kwargs)
        span = _opened(open_span, args, kwargs)
        resume, value = generator.send, None
        try:
            while True:
                span.enter()
                try:
                    item = resume(value)
                except StopIteration as stop:
                    span.end(None)
                    return stop.value
                finally:
                    span.leave()
                try:
                    resume, value = generator.send, (yield item)
                except GeneratorExit:
                    generator.close()
                    raise
                except BaseException as error:
                    resume, value = generator.throw, error
        except BaseException as error:
            span.end(type(error))
            raise

    return run


def _async_generator(function: Any, open_span: Open) -> Any:
    async def run(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        generator = function(*args, **kwargs)
        span = _opened(open_span, args, kwargs)
        resume, value = generator.asend, None
        try:
            while True:
                span.enter()
                try:
                    item = await resume(value)
                except StopAsyncIteration:
                    span.end(None)
                    return
                finally:
                    span.leave()
                try:
                    resume, value = generator.asend, (yield item)
                except GeneratorExit:
                    await generator.aclose()
                    raise
                except BaseException as error:
                    resume, value = generator.athrow, error
        except BaseException as error:
            span.end(type(error))
            raise

    return run


class Nothing:
    """In place of a span, where none is to be opened or could be."""

    def enter(self) -> None: ...

    def leave(self) -> None: ...

    def end(self, kind: type[BaseException] | None) -> None: ...


NOTHING = Nothing()


def _opened(open_span: Open, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        return open_span(args, kwargs)
    except Exception as error:
        STATE.failed("tool", error)
        return NOTHING
