"""Documents of small crafted traces."""

from tests.unit.crafted_trace import call_row, session_row, tool_row, write_crafted
from tracekit.commands.analyze import analysis
from tracekit.commands.options import FleetChoice
from tracekit.trace import Trace

COMMAND = "tracekit analyze crafted.parquet --gpu A100-40 --gpu H100 --replicas 2 -o report.html"


def crafted_document(path, names=("triage", "fix the test"), gpus=("A100-40", "H100")):
    """Sessions one after the other, each of two calls with a tool between them, and beside that a second tool."""
    write_crafted(path, *_rows(names))
    document = analysis(
        Trace.open(path), FleetChoice(gpus=gpus, model="Llama-3.1-8B", replicas=2), charts=True
    )
    return document | {"trace": path.name, "command": COMMAND}


def _rows(names):
    calls, tools, sessions = [], [], []
    for index, name in enumerate(names):
        row, at = index * 10, index * 700
        sessions.append(session_row(row, at, at + 2000 + 100 * index, name=name))
        tokens = {"model": name, "usage_source": "server", "input_tokens": 600 + index}
        first = tokens | {"first_token_ns": int((at + 150) * 1e6), "output_tokens": 40}
        second = tokens | {"first_token_ns": int((at + 1300) * 1e6), "output_tokens": 80}
        calls.append(call_row(row + 1, at, at + 500, row, **first))
        calls.append(call_row(row + 4, at + 1200, at + 1900, row, [row + 2, row + 3], **second))
        tools.append(tool_row(row + 2, at + 510, at + 1100, row, [row + 1], name=name))
        tools.append(tool_row(row + 3, at + 510, at + 700, row, [row + 1], name="read_file"))
    return calls, tools, sessions
