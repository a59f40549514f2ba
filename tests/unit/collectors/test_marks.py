"""tool, session and mark: transparent to the program, and recorded if anything is."""

from __future__ import annotations

import asyncio
import enum
import inspect
import os
import shutil
import threading
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tracekit import mark, session, tool
from tracekit.collectors.inside.state import STATE


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


class Odd:
    """An object that neither speaks nor counts, as proxies and closed handles do."""

    def __str__(self) -> str:
        raise RuntimeError("odd")

    def __bool__(self) -> bool:
        raise RuntimeError("odd")

    def __float__(self) -> float:
        raise RuntimeError("odd")

    def __call__(self) -> int:
        return 1


@pytest.mark.parametrize(
    ("score", "kept"),
    [
        (np.float32(0.5), 0.5),
        (Decimal("0.25"), 0.25),
        (Fraction(1, 2), 0.5),
        (True, 1.0),
        (None, None),
        (np.array([1.0, 2.0]), None),
        (float("nan"), None),
        (10**400, None),
        ("good", None),
        (Odd(), None),
    ],
)
def test_scores_are_numbers_or_nothing(recorded: Any, score: Any, kept: float | None) -> None:
    with session() as task:
        task.score(score)
    assert recorded("session_end")[0]["score"] == kept
    notes = [(note["what"], note["detail"]) for note in recorded("note")]
    assert notes == ([] if kept is not None or score is None else [("score_not_read", type(score).__name__)])


def test_names_and_ids_are_text(recorded: Any) -> None:
    file = os.fsdecode(b"caf\xe9")
    for name, kept in ((7, "7"), (Odd(), "Odd"), (b"x", "b'x'"), (file, "caf?"), ("x" * 999, "x" * 512)):
        with session(name, name), tool(name if name.__class__ is not Odd else "Odd", call_id=name):  # type: ignore[call-overload]
            mark(name)  # type: ignore[arg-type]
        [start], [work] = recorded("session_start")[-1:], recorded("tool_start")[-1:]
        assert (start["name"], start["conversation_id"]) == (kept, kept)
        assert (work["name"], work["tool_call_id"], recorded("mark")[-1]["name"]) == (kept, kept, kept)


def test_mark_values_are_text_or_numbers(recorded: Any) -> None:
    class Level(enum.IntEnum):
        HIGH = 3

    class Colour(str, enum.Enum):  # noqa: UP042  (Python 3.10 and libraries spell it so)
        RED = "red"

    values = [
        Level.HIGH,
        Colour.RED,
        np.float64(0.5),
        np.int64(4),
        2**70,
        10**5000,
        Odd(),
        os.fsdecode(b"\xe9"),
        True,
    ]
    for value in values:
        mark("m", value)
    kept = [record["value"] for record in recorded("mark")]
    assert kept == [3, "red", 0.5, "4", str(2**70), "int", "Odd", "?", True]


def test_an_object_that_cannot_be_wrapped_stays_itself(
    recorded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tracekit.collectors.inside import functions

    monkeypatch.setattr(functions, "recorded", None)
    odd = Odd()
    assert tool(odd) is odd
    assert tool(odd)() == 1
    assert recorded("note")[0]["detail"] == "decorator: TypeError"


def test_marks_outlive_the_recording(recorded: Any, tmp_path: Path) -> None:
    """A daemon goes on when the spool is merged and gone; its children have no file at all."""

    @tool
    def work() -> int:
        return 42

    shutil.rmtree(tmp_path)
    assert STATE.writer is not None
    STATE.writer._reset()
    with session("s") as task:
        assert work() == 42
        task.score(1)
        mark("m")
    tmp_path.mkdir()


def test_a_session_decorates_functions_of_every_kind(recorded: Any) -> None:
    inside: list[Any] = []

    @session
    def plain(x: int) -> int:
        """Doubles."""
        inside.append(STATE.session.get())
        return 2 * x

    @session("named")
    async def coroutine(x: int) -> int:
        await asyncio.sleep(0)
        inside.append(STATE.session.get())
        return 2 * x

    @session(name="numbers", conversation_id="c7")
    def generator() -> Iterator[int]:
        inside.append(STATE.session.get())
        yield 1

    class Agent:
        @session
        @staticmethod
        def run() -> None:
            raise KeyError("x")

    assert (plain(2), plain.__doc__, asyncio.run(coroutine(3))) == (4, "Doubles.", 6)
    running = generator()
    assert next(running) == 1
    assert STATE.session.get() is None  # between two items the caller is in no session
    assert list(running) == []
    with pytest.raises(KeyError):
        Agent.run()
    starts = recorded("session_start")
    assert [start["name"] for start in starts] == ["plain", "named", "numbers", "run"]
    assert inside == [start["id"] for start in starts[:3]]
    assert starts[2]["conversation_id"] == "c7"
    assert [end["status"] for end in recorded("session_end")] == ["ok", "ok", "ok", "error"]
    assert not STATE.open_sessions


def test_a_session_decorator_is_the_function_itself_where_nothing_is_recorded() -> None:
    def function() -> int:
        return 1

    assert session(function) is function
    assert session("name")(function) is function
