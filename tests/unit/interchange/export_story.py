"""A trace with everything that exports must get right: calls and tools at once, faults, unknown ends, power, names."""

from tests.unit.crafted_trace import call_row, session_row, tool_row
from tracekit.provenance import Provenance
from tracekit.schema import Kind
from tracekit.trace import Trace, table_of, write_trace

HOSTILE = '<script>alert("1")</script>,\n\u202e\u05e9\u05dc\u05d5\u05dd 🦆 ' + "x" * 300
SECRET = "the content of a prompt"


def at(ms):
    return int(ms * 1e6)


SESSIONS = [
    session_row(0, 0, 1000, name="planner", agent_name="plan", score=0.5),
    session_row(1, 200, 900, name=HOSTILE, conversation_id="conv-1", status="error"),
]
CALLS = [
    call_row(2, 0, 100, parents=[], model="gpt", api="chat", stream=True, first_token_ns=at(30),
             cached_tokens=64, usage_source="server", finish_reason="tool_calls", request_content=SECRET,
             response_content=SECRET, server_host="api.openai.com", tool_call_ids=["a", "b"]),
    call_row(3, 400, 700, parents=[7, 8], model="gpt", api="responses", usage_source="estimated"),
    call_row(4, 450, 600, parents=[7, 8], model="mini", api="chat", temperature=0.7),
    call_row(5, 650, 1000, parents=[4], model="mini", api="chat", status="cancelled"),
    call_row(6, 200, 300, session=1, model="claude", api="messages", status="error", error_type="529",
             input_tokens=None, output_tokens=None),
]  # fmt: skip
TOOLS = [
    tool_row(7, 110, 390, parents=[2], name="search", tool_call_id="a", call_id=2, tool_source="tool_id"),
    tool_row(8, 120, 300, parents=[2], name=HOSTILE, tool_call_id="b", call_id=2, status="error",
             error_type="TimeoutError"),
    tool_row(9, 310, 900, session=1, parents=[6], name="fetch", tool_call_id="c"),
]  # fmt: skip
POWER = [
    {"row_id": 20 + index, "start_ns": at(index * 250), "host": "node-1", "gpu_index": index % 2,
     "gpu_name": "H100", "power_w": None if index == 3 else 100.5 + index}
    for index in range(5)
]  # fmt: skip
MARKS = [{"row_id": 30, "start_ns": at(500), "name": "half", "value": 1.0, "session_id": 0}]


def write_story(path, calls=CALLS, tools=TOOLS, sessions=SESSIONS):
    rows = {
        Kind.SESSION: sessions,
        Kind.LLM_CALL: calls,
        Kind.TOOL_SPAN: tools,
        Kind.POWER_SAMPLE: POWER,
        Kind.MARK: MARKS,
    }
    tables = {kind: table_of(kind, found) for kind, found in rows.items() if found}
    write_trace(path, tables, Provenance(1, "0", [], 0), force=True)
    return Trace.open(path)
