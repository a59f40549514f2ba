"""Threads belong to the code that starts them; a pool's threads to the code that gave them the job."""

from __future__ import annotations

import asyncio
import concurrent.futures
import concurrent.futures.thread
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, ContextVar, copy_context
from typing import Any

import pytest

from tracekit.collectors.inside import thread_hooks
from tracekit.collectors.inside.context import flow
from tracekit.collectors.inside.state import STATE

THEIRS: ContextVar[str] = ContextVar("theirs", default="default")


@pytest.fixture
def hooked_threads(recorded: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    for owner, names in (
        (threading.Thread, ("start", "_bootstrap_inner")),
        (concurrent.futures.thread._WorkItem, ("__init__", "run")),
    ):
        for name in names:
            monkeypatch.setattr(owner, name, vars(owner)[name])
    thread_hooks.patch(threading)
    thread_hooks.patch(concurrent.futures.thread)
    return recorded


def alone(function: Any) -> Any:
    """The function's result in a context where nothing of ours is set."""
    return Context().run(function)


def in_thread(function: Any) -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def test_a_thread_belongs_to_the_code_that_started_it(hooked_threads: Any) -> None:
    def agent() -> Any:
        STATE.scope.set("one")
        STATE.tool.set("t")
        THEIRS.set("set")
        return in_thread(
            lambda: (STATE.scope.get(), STATE.tool.get(), in_thread(STATE.scope.get), THEIRS.get())
        )

    assert alone(agent) == ("one", "t", "one", "default")  # none of the agent's own variables
    assert alone(lambda: in_thread(flow)) == (None,) * len(STATE.flow)


def test_a_pools_thread_belongs_to_each_job_in_turn(hooked_threads: Any) -> None:
    with ThreadPoolExecutor(1) as pool:

        def job(scope: str | None) -> Any:
            STATE.scope.set(scope)
            return pool.submit(STATE.scope.get).result()

        assert [alone(lambda: job("one")), alone(lambda: job("two"))] == ["one", "two"]
        assert alone(lambda: job(None)) is None
        assert alone(lambda: list(pool.map(lambda _: STATE.scope.set("left behind"), range(1))))
        assert alone(lambda: pool.submit(STATE.scope.get).result()) is None


def test_executors_of_event_loops_belong_to_the_task(hooked_threads: Any) -> None:
    async def request(name: str) -> tuple[Any, Any]:
        STATE.scope.set(name)
        loop = asyncio.get_running_loop()
        return await asyncio.to_thread(STATE.scope.get), await loop.run_in_executor(None, STATE.scope.get)

    async def main() -> Any:
        return await asyncio.gather(*(request(name) for name in "abc"))

    assert asyncio.run(main()) == [("a", "a"), ("b", "b"), ("c", "c")]


def test_subclasses_errors_and_tracebacks_are_untouched(hooked_threads: Any) -> None:
    class Worker(threading.Thread):
        def __init__(self) -> None:
            super().__init__()
            self.found: Any = None

        def run(self) -> None:
            self.found = STATE.scope.get()

    def work() -> Any:
        STATE.scope.set("s")
        worker = Worker()
        worker.start()
        worker.join()
        left = [name for name in vars(worker) if name not in vars(Worker())]
        with pytest.raises(RuntimeError):
            worker.start()
        return worker.found, left

    assert alone(work) == ("s", [])

    with ThreadPoolExecutor(1) as pool:
        failing: Any = pool.submit(lambda: 1 / 0)
        error = failing.exception()
    frames = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    assert thread_hooks.__file__ not in frames
    assert len(frames) == 2


def test_every_job_has_a_name_of_its_own(hooked_threads: Any) -> None:
    def job(_: Any = None) -> Any:
        return STATE.jobs.get(threading.get_ident())

    with ThreadPoolExecutor(1) as pool:
        names = [*pool.map(job, range(2)), in_thread(job), copy_context().run(in_thread, job)]
    assert None not in names
    assert len(set(names)) == 4
    assert job() is None
    assert not STATE.jobs


def test_hooking_twice_hooks_once(hooked_threads: Any) -> None:
    start = threading.Thread.start
    thread_hooks.patch(threading)
    assert threading.Thread.start is start
