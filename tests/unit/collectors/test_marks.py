"""tool, session and mark: transparent to the program, and recorded if anything is."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tracekit import mark, session, tool


def test_nothing_happens_when_not_recorded() -> None:
    def function() -> int:
        return 1

    assert tool(function) is function
    assert tool("name")(function) is function
    with session("s") as task, tool("t"):
        task.score(1)
        mark("m", 2)
    assert task.id is None


def spans(records: Any) -> list[tuple[str, str, str | None]]:
    ends = {end["id"]: end for end in records("tool_end")}
    return [
        (start["name"], ends[start["id"]]["status"], ends[start["id"]]["error_type"])
        for start in records("tool_start")
    ]


def test_functions_of_every_kind(recorded: Any) -> None:
    @tool
    def plain(x: int) -> int:
        """Doubles."""
        return 2 * x

    @tool("named")
    async def coroutine(x: int) -> int:
        await asyncio.sleep(0)
        return 2 * x

    @tool(name="numbers")
    def generator(x: int) -> Iterator[int]:
        got = yield x
        return got

    @tool()
    async def async_generator(x: int) -> AsyncIterator[int]:
        yield x
        yield x + 1

    assert plain(2) == 4
    assert (plain.__name__, plain.__doc__) == ("plain", "Doubles.")
    assert inspect.iscoroutinefunction(coroutine)
    assert asyncio.run(coroutine(3)) == 6
    assert inspect.isgeneratorfunction(generator)
    running = generator(5)
    assert next(running) == 5
    with pytest.raises(StopIteration) as stop:
        running.send(7)  # type: ignore[attr-defined]
    assert stop.value.value == 7
    assert inspect.isasyncgenfunction(async_generator)

    async def collect() -> list[int]:
        return [item async for item in async_generator(1)]

    assert asyncio.run(collect()) == [1, 2]
    names = ["plain", "named", "numbers", "async_generator"]
    assert spans(recorded) == [(name, "ok", None) for name in names]
    assert {start["source"] for start in recorded("tool_start")} == {"framework"}


def test_exceptions_pass_and_are_named(recorded: Any) -> None:
    error = KeyError("secret")

    @tool
    def failing() -> None:
        raise error

    @tool
    def closing() -> Iterator[int]:
        try:
            yield 1
        finally:
            pass

    @tool
    def throwing() -> Iterator[int]:
        try:
            yield 1
        except ValueError:
            yield 2

    with pytest.raises(KeyError) as caught:
        failing()
    assert caught.value is error
    running: Any = closing()
    next(running)
    running.close()
    thrown: Any = throwing()
    next(thrown)
    assert thrown.throw(ValueError()) == 2
    with pytest.raises(RuntimeError, match="out"), tool("block"):
        raise RuntimeError("out")
    thrown.close()
    found = spans(recorded)
    assert found == [
        ("failing", "error", "KeyError"),
        ("closing", "cancelled", "GeneratorExit"),
        ("throwing", "cancelled", "GeneratorExit"),
        ("block", "error", "RuntimeError"),
    ]
    assert "secret" not in str(recorded())


def test_a_waiting_generator_is_not_the_current_tool(recorded: Any) -> None:
    @tool
    def generator() -> Iterator[int]:
        with tool("inside"):
            pass
        yield 1
        with tool("inside again"):
            pass

    running = generator()
    next(running)
    with tool("between"):
        pass
    next(running, None)
    starts = {start["name"]: start for start in recorded("tool_start")}
    outer = starts["generator"]["id"]
    assert starts["inside"]["tool"] == starts["inside again"]["tool"] == outer
    assert starts["between"]["tool"] is None


def test_sessions(recorded: Any) -> None:
    with session("task", conversation_id="c") as task:
        mark("step", 1.5)
        with tool("t", call_id="call_1"):
            pass
        task.score(0.25)
        thread = threading.Thread(target=lambda: mark("from a thread", "text"))
        thread.start()
        thread.join()
    mark("outside", object)
    [start], [end] = recorded("session_start"), recorded("session_end")
    assert (start["name"], start["conversation_id"], start["pid"]) == ("task", "c", os.getpid())
    assert (end["id"], end["status"], end["score"]) == (start["id"], "ok", 0.25)
    [tool_start] = recorded("tool_start")
    assert (tool_start["session"], tool_start["tool_call_id"]) == (start["id"], "call_1")
    marks = [(record["name"], record["session"], record["value"]) for record in recorded("mark")]
    assert marks == [
        ("step", start["id"], 1.5),
        ("from a thread", start["id"], "text"),
        ("outside", None, "<class 'object'>"),
    ]


def test_parallel_async_sessions_keep_apart(recorded: Any) -> None:
    async def one(number: int) -> None:
        async with session(f"s{number}"):
            await asyncio.sleep(0.001 * (5 - number))
            async with tool(f"t{number}"):
                await asyncio.sleep(0.001)

    async def main() -> None:
        await asyncio.gather(*(one(number) for number in range(5)))

    asyncio.run(main())
    names = {start["id"]: start["name"] for start in recorded("session_start")}
    assert {start["name"]: names[start["session"]] for start in recorded("tool_start")} == {
        f"t{n}": f"s{n}" for n in range(5)
    }


def test_a_failed_session(recorded: Any) -> None:
    with pytest.raises(ValueError, match="x"), session():
        raise ValueError("x")
    assert recorded("session_end")[0]["status"] == "error"


def test_a_session_left_in_another_context(recorded: Any) -> None:
    import contextvars

    task = session("s")
    contextvars.copy_context().run(task.__enter__)
    task.__exit__(None, None, None)
    mark("after")
    assert recorded("mark")[0]["session"] is None


def test_methods_of_every_kind_stay_what_they_are(recorded: Any) -> None:
    class Kit:
        @tool
        @staticmethod
        def fixed(a: int) -> int:
            return a

        @tool
        @classmethod
        def made(cls, a: int) -> tuple[str, int]:
            return cls.__name__, a

        @tool
        def bound(self, a: int) -> int:
            return a

    assert (Kit().fixed(6), Kit.fixed(7), Kit.made(8), Kit().bound(9)) == (6, 7, ("Kit", 8), 9)
    assert [record["name"] for record in recorded("tool_start")] == ["fixed", "fixed", "made", "bound"]
