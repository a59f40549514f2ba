"""Frameworks report their tools and runs themselves; stand-ins of their shape show that nothing changes for them."""

from __future__ import annotations

import asyncio
import inspect
import pickle
import sys
import types
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tracekit import session, tool
from tracekit.collectors.inside import framework_hooks, frameworks, import_hook
from tracekit.collectors.inside.state import STATE


class BaseTool:
    """LangChain's shape: two entries that subclasses do not override, bodies that they do."""

    name = "base"

    def run(self, tool_input: Any, verbose: bool | None = None, *, tool_call_id: str | None = None) -> Any:
        """Runs the tool."""
        return self._run(tool_input)

    async def arun(self, tool_input: Any, *, tool_call_id: str | None = None) -> Any:
        return self._run(tool_input)

    def _run(self, tool_input: Any) -> Any:
        raise NotImplementedError


class Search(BaseTool):
    name = "search"

    def _run(self, tool_input: Any) -> Any:
        if tool_input is None:
            raise ValueError("nothing to look for")
        return ("found", tool_input, STATE.tool.get())


class Loud(Search):
    def run(self, tool_input: Any, *args: Any, **kwargs: Any) -> Any:
        return super().run(tool_input, *args, **kwargs), "!"


class Pregel:
    """LangGraph's shape: generators."""

    def stream(self, items: list[int]) -> Iterator[Any]:
        for item in items:
            yield item, STATE.agent_run.get()

    async def astream(self, items: list[int]) -> AsyncIterator[Any]:
        for item in items:
            yield item, STATE.agent_run.get()


class Assistant:
    """A static method that takes the model's call, as some frameworks have."""

    @staticmethod
    async def execute(call: Any, *, sink: list[Any]) -> Any:
        sink.append(call)
        return call.name

    @classmethod
    def made(cls, name: str) -> Any:
        return cls, name


def module(name: str, **members: Any) -> types.ModuleType:
    made = types.ModuleType(name)
    vars(made).update(members)
    return made


@pytest.fixture
def langchain(recorded: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("run", "arun"):
        monkeypatch.setattr(BaseTool, name, vars(BaseTool)[name])
    framework_hooks.patch(module("langchain_core.tools.base", BaseTool=BaseTool))
    return recorded


def rows(records: Any) -> list[tuple[Any, ...]]:
    ends = {end["id"]: end for end in records("tool_end")}
    return [
        (start["name"], start["tool_call_id"], start["adapter"], ends[start["id"]]["status"])
        for start in records("tool_start")
    ]


def test_a_tool_run_is_a_span_with_its_name_and_call_id(langchain: Any) -> None:
    found = Search().run("x", tool_call_id="call_1")
    assert found == ("found", "x", langchain("tool_start")[0]["id"])
    assert asyncio.run(Search().arun("y", tool_call_id="call_2"))[:2] == ("found", "y")
    assert Loud().run("z")[1] == "!"
    assert rows(langchain) == [
        ("search", "call_1", "langchain_core", "ok"),
        ("search", "call_2", "langchain_core", "ok"),
        ("search", None, "langchain_core", "ok"),
    ]
    assert STATE.tool.get() is None


def test_what_a_tool_raises_passes_and_is_named(langchain: Any) -> None:
    with pytest.raises(ValueError, match="nothing to look for"):
        Search().run(None)
    assert rows(langchain) == [("search", None, "langchain_core", "error")]
    assert langchain("tool_end")[0]["error_type"] == "ValueError"


def test_nothing_that_looks_at_the_method_sees_a_difference(langchain: Any) -> None:
    assert inspect.signature(BaseTool.run).parameters.keys() == {
        "self",
        "tool_input",
        "verbose",
        "tool_call_id",
    }
    assert (BaseTool.run.__name__, BaseTool.run.__doc__) == ("run", "Runs the tool.")
    assert inspect.iscoroutinefunction(BaseTool.arun)
    assert isinstance(pickle.loads(pickle.dumps(Search())), Search)
    assert pickle.loads(pickle.dumps(BaseTool.run)) is BaseTool.run
    before = BaseTool.run
    framework_hooks.patch(module("langchain_core.tools.base", BaseTool=BaseTool))
    assert BaseTool.run is before


def test_a_name_that_cannot_be_read_costs_the_name_only(langchain: Any) -> None:
    class Nameless(Search):
        @property
        def name(self) -> str:  # type: ignore[override]
            raise RuntimeError("no name yet")

    assert Nameless().run("x", tool_call_id="c")[0] == "found"
    assert rows(langchain) == [("tool", "c", "langchain_core", "ok")]


def test_a_framework_of_another_shape_is_left_alone_and_told_of(recorded: Any) -> None:
    class Other:
        def run(self, tool_input: Any) -> str:
            return "as ever"

    run = Other.run
    framework_hooks.patch(module("langchain_core.tools.base", BaseTool=Other))
    framework_hooks.patch(module("smolagents.tools"))
    assert Other.run is run
    assert [(note["what"], note["detail"]) for note in recorded("note")] == [
        ("framework_not_hooked", "langchain_core.tools.base.BaseTool.run"),
        ("framework_not_hooked", "langchain_core.tools.base.BaseTool.arun"),
        ("framework_not_hooked", "smolagents.tools.Tool.__call__"),
    ]


def test_static_and_class_methods_stay_what_they_are(recorded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    table = {"odd": ((frameworks.TOOL, "Assistant.execute", "call.name", "call.id"),
                     (frameworks.RUN, "Assistant.made", "", ""))}  # fmt: skip
    monkeypatch.setattr(framework_hooks, "FRAMEWORKS", table)
    for name in ("execute", "made"):
        monkeypatch.setattr(Assistant, name, vars(Assistant)[name])
    framework_hooks.patch(module("odd", Assistant=Assistant))
    call, sink = types.SimpleNamespace(name="read", id="c9"), []
    assert asyncio.run(Assistant.execute(call, sink=sink)) == "read"
    assert sink == [call]
    assert Assistant.made("x") == (Assistant, "x")
    assert rows(recorded) == [("read", "c9", "odd", "ok")]
    assert len(recorded("run_start")) == 1


def test_one_run_holds_all_that_it_starts_and_nothing_between_its_items(
    recorded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("stream", "astream"):
        monkeypatch.setattr(Pregel, name, vars(Pregel)[name])
    framework_hooks.patch(module("langgraph.pregel.main", Pregel=Pregel))

    running = Pregel().stream([1, 2])
    first = next(running)
    assert STATE.agent_run.get() is None
    assert [first, *running] == [(1, first[1]), (2, first[1])]

    async def nested() -> list[Any]:
        return [(item, list(Pregel().stream([0]))) async for item in Pregel().astream([3])]

    ((_item, run), [(_zero, inner)]), *_ = asyncio.run(nested())
    starts = recorded("run_start")
    assert [start["id"] for start in starts] == [first[1], run, inner]
    assert None not in (first[1], run)


def test_what_mcp_does_with_a_result_is_no_part_of_the_tool(recorded: Any) -> None:
    class ClientSession:
        async def call_tool(self, name: str) -> str:
            await asyncio.sleep(0.001)
            await self.validate_tool_result(name)
            return name

        async def validate_tool_result(self, name: str) -> None:
            arrived.append(STATE.writer.clock.now_ns())
            await asyncio.sleep(0.05)  # asks the server for its list of tools
            if name == "wrong":
                raise RuntimeError("does not conform to the schema")

    async def three() -> list[Any]:
        session = ClientSession()
        calls = (session.call_tool(name) for name in ("search", "wrong", "read"))
        return await asyncio.gather(*calls, return_exceptions=True)

    arrived: list[int] = []
    framework_hooks.patch(module("mcp.client.session", ClientSession=ClientSession))
    search, wrong, read = asyncio.run(three())
    assert (search, type(wrong), read) == ("search", RuntimeError, "read")
    assert [row[3] for row in rows(recorded)] == ["ok", "error", "ok"]
    assert max(end["ns"] for end in recorded("tool_end")) <= max(arrived)
    asyncio.run(ClientSession().validate_tool_result("search"))  # of no tool
    assert STATE.open_tools == {}
    assert recorded("note") == []


def test_a_run_inside_a_run_is_the_same_run(recorded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Agent:
        def run(self, depth: int) -> list[Any]:
            return [STATE.agent_run.get(), *(self.run(depth - 1) if depth else [])]

    monkeypatch.setattr(framework_hooks, "FRAMEWORKS", {"odd": ((frameworks.RUN, "Agent.run", "", ""),)})
    framework_hooks.patch(module("odd", Agent=Agent))
    outer, inner = Agent().run(1)
    assert outer == inner == recorded("run_start")[0]["id"]
    assert Agent().run(0) != [outer]


def test_a_request_is_a_flow_of_its_own_unless_an_agent_asks_itself(
    recorded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Starlette:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
            return STATE.scope.get()

    framework_hooks.patch(module("starlette.applications", Starlette=Starlette))

    async def served() -> list[Any]:
        STATE.scope.set("start-up")
        alone = await Starlette()({}, None, None)
        with tool("ask myself"):
            inside = await Starlette()({}, None, None)
        return [alone, inside, STATE.scope.get()]

    assert asyncio.run(served()) == [None, "start-up", "start-up"]


def test_every_row_of_the_table_can_be_read() -> None:
    for name, listed in frameworks.FRAMEWORKS.items():
        assert import_hook.HOOKS[name] == "framework_hooks"
        for what, function, called, call_id in listed:
            assert what in (frameworks.TOOL, frameworks.RESULT, frameworks.RUN, frameworks.REQUEST)
            assert function.strip("?")
            assert bool(called) == (what == frameworks.TOOL), (name, function)
            assert not call_id or what == frameworks.TOOL


def test_a_dotted_module_is_hooked_when_the_agent_imports_it(
    recorded: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "smolagents"
    package.mkdir()
    (package / "__init__.py").write_text("from smolagents.tools import Tool\n")
    (package / "tools.py").write_text(
        "class Tool:\n    name = 'look'\n    def __call__(self, *args, **kwargs):\n        return args, kwargs\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "meta_path", [import_hook.PatchingFinder(), *sys.meta_path])
    try:
        from smolagents import Tool  # type: ignore[import-not-found]

        assert Tool()(1, a=2) == ((1,), {"a": 2})
    finally:
        for name in ("smolagents", "smolagents.tools"):
            sys.modules.pop(name, None)
    assert rows(recorded) == [("look", None, "smolagents", "ok")]


def test_marks_around_and_inside_know_each_other(langchain: Any) -> None:
    class Marked(Search):
        @tool
        def _run(self, tool_input: Any) -> Any:
            return tool_input

    with session("s"), tool("outer"):
        Marked().run("x", tool_call_id="c")
    outer, framework, inner = langchain("tool_start")
    assert (outer["tool"], framework["tool"], inner["tool"]) == (None, outer["id"], framework["id"])
    assert (outer["adapter"], framework["adapter"], inner["adapter"]) == (None, "langchain_core", None)
