"""otlp and openinference: spans in OTLP JSON and the SDKs' JSON become sessions."""

import pytest

from tests.unit.interchange.importing import MS, Import
from tracekit.errors import SourceUnreadable

T0 = 1_700_000_000_000_000_000


def value(raw):
    for kind, name in ((bool, "boolValue"), (int, "intValue"), (float, "doubleValue"), (str, "stringValue")):
        if isinstance(raw, kind):
            return {name: str(raw) if name == "intValue" else raw}
    return {"arrayValue": {"values": [value(part) for part in raw]}}


def span(span_id, start_ms, end_ms, parent="", trace="t1", name="x", failed=False, events=(), **attributes):
    return {
        "traceId": trace, "spanId": span_id, "parentSpanId": parent, "name": name,
        "startTimeUnixNano": str(T0 + start_ms * MS), "endTimeUnixNano": str(T0 + end_ms * MS),
        "attributes": [{"key": key.replace("__", "."), "value": value(raw)} for key, raw in attributes.items()],
        "status": {"code": 2} if failed else {},
        "events": [{"name": what, "timeUnixNano": str(T0 + at * MS)} for what, at in events],
    }  # fmt: skip


def document(*spans):
    return {"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]}


def chat(*where, tokens=(100, 20), **more):
    names = {
        "gen_ai__operation__name": "chat", "gen_ai__request__model": "gpt", "gen_ai__provider__name": "openai",
        "gen_ai__usage__input_tokens": tokens[0], "gen_ai__usage__output_tokens": tokens[1],
    }  # fmt: skip
    return span(*where, **(names | more))


AGENT = span(
    "root", 0, 1000, gen_ai__operation__name="invoke_agent", gen_ai__agent__name="planner",
    gen_ai__conversation__id="conv-1",
)  # fmt: skip
TOOL = {
    "gen_ai__operation__name": "execute_tool",
    "gen_ai__tool__name": "search",
    "gen_ai__tool__call__id": "call_7",
}


@pytest.mark.parametrize("lines", [True, False], ids=["lines", "document"])
def test_otlp_of_now(tmp_path, lines):
    spans = [
        chat("b", 10, 110, "root", gen_ai__response__time_to_first_chunk=0.03,
             gen_ai__usage__cache_read__input_tokens=64, gen_ai__response__finish_reasons=["tool_calls"]),
        span("c", 120, 300, "root", **TOOL),
        span("d", 125, 400, "root", **(TOOL | {"gen_ai__tool__name": "fetch"})),
        chat("e", 430, 600, "root", tokens=(300, 40)),
        span("h", 5, 8, "root", http__method="GET"),
        AGENT,
    ]  # fmt: skip
    content = [document(part) for part in spans] if lines else document(*spans)
    made = Import(tmp_path, "otlp", content)
    (session,) = made.sessions
    assert (session["conversation_id"], session["agent_name"]) == ("conv-1", "planner")
    assert (session["start_ns"], session["end_ns"]) == (T0, T0 + 1000 * MS)
    first, last = made.calls
    search, fetch = made.tools
    assert (first["model"], first["cached_tokens"], first["finish_reason"]) == ("gpt", 64, "tool_calls")
    assert first["first_token_ns"] - first["start_ns"] == 30 * MS
    assert (search["name"], search["tool_call_id"], search["parents"]) == (
        "search",
        "call_7",
        [first["row_id"]],
    )
    assert sorted(last["parents"]) == [search["row_id"], fetch["row_id"]]
    assert made.lags_s == [0.01, 0.03]
    assert made.tokens == [(100, 20), (300, 40)]


def test_otlp_of_before(tmp_path):
    old = {
        "gen_ai__system": "openai", "gen_ai__request__model": "m", "llm__request__type": "chat",
        "gen_ai__usage__prompt_tokens": 7, "gen_ai__usage__completion_tokens": 3,
    }  # fmt: skip
    made = Import(
        tmp_path, "otlp", document(span("a", 0, 5, **old), span("b", 9, 12, trace="t2", failed=True, **old))
    )
    assert made.made.sessions == 2
    assert made.tokens == [(7, 3)]
    assert [call["status"] for call in made.calls] == ["ok", "error"]


def test_nested_llm_spans_are_one_call(tmp_path):
    framework = {
        "gen_ai__operation__name": "chat",
        "gen_ai__request__model": "m",
        "gen_ai__usage__input_tokens": 9,
    }
    inner = {"gen_ai__operation__name": "chat", "gen_ai__usage__output_tokens": 4}
    sub = chat("s", 50, 60, "tool")
    made = Import(
        tmp_path, "otlp",
        document(span("o", 0, 30, **framework), span("i", 2, 29, "o", **inner), span("tool", 40, 90, **TOOL), sub),
    )  # fmt: skip
    assert made.tokens == [(9, 4), (100, 20)]
    assert made.calls[0]["model"] == "m"
    assert made.tools[0]["frame"]
    assert made.calls[1]["parents"] == [made.calls[0]["row_id"]]


def test_bad_spans_and_other_files(tmp_path):
    broken = chat("z", 0, 1, gen_ai__usage__input_tokens="many")
    made = Import(
        tmp_path, "otlp", [document(chat("a", 0, 1)), "{", document({"name": "x"}, broken, chat("a", 0, 1))]
    )
    words = " ".join(made.bad)
    for place in (
        "line 2: it is not JSON",
        "line 3, span 1: it is not a span: no ids or times",
        "line 3, span 2: gen_ai.usage.input_tokens is not a number (it is 'many')",
        "line 3, span 3: its span id was there before",
    ):
        assert place in words
    with pytest.raises(SourceUnreadable, match="none of its 1 spans is a step"):
        Import(tmp_path, "otlp", document(span("h", 0, 1, http__method="GET")), force=True)
    with pytest.raises(SourceUnreadable, match="it is not JSON"):
        Import(tmp_path, "otlp", "no\nno\n", force=True)
    with pytest.raises(SourceUnreadable, match="No request in"):
        Import(tmp_path, "otlp", "", force=True)


def test_openinference_in_both_shapes(tmp_path):
    llm = {
        "openinference__span__kind": "LLM", "llm__model_name": "gpt", "llm__token_count__prompt": 50,
        "llm__token_count__completion": 5, "llm__token_count__prompt_details__cache_read": 32,
        "llm__invocation_parameters": '{"max_tokens": 99, "temperature": 0}', "session__id": "s1",
    }  # fmt: skip
    tool = {"openinference__span__kind": "TOOL", "tool__name": "lookup"}
    otlp = document(
        span("r", 0, 100, openinference__span__kind="AGENT", name="agent"),
        span("a", 10, 20, "r", events=[("First Token Stream Event", 14)], **llm),
        span("b", 25, 60, "r", **tool),
    )
    flat = {
        "name": "ChatCompletion", "context": {"trace_id": "0xt9", "span_id": "0x1"}, "parent_id": None,
        "start_time": "2023-11-14T22:13:21.000000Z", "end_time": "2023-11-14T22:13:22.5Z",
        "status": {"status_code": "OK"},
        "attributes": {"openinference": {"span": {"kind": "LLM"}}, "llm.token_count.prompt": 70,
                       "llm.token_count.completion": 7, "session.id": "s1"},
    }  # fmt: skip
    made = Import(tmp_path, "openinference", [otlp], [flat])
    (session,) = made.sessions
    assert (session["conversation_id"], session["agent_name"]) == ("s1", "agent")
    first, second = made.calls
    assert (first["max_tokens"], first["temperature"], first["cached_tokens"]) == (99, 0.0, 32)
    assert first["first_token_ns"] == T0 + 14 * MS
    assert second["parents"] == [made.tools[0]["row_id"]]
    assert made.lags_s == [0.01, 0.94]
    assert made.tokens == [(50, 5), (70, 7)]
