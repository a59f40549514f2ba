"""Documents of small crafted traces."""

from tests.unit.crafted_trace import call_row, session_row, tool_row, write_crafted
from tracekit.analyzers.demand import Demand
from tracekit.commands.analyze import analysis
from tracekit.commands.compare import compared
from tracekit.commands.options import FleetChoice
from tracekit.reports.comparison import comparison_document
from tracekit.trace import Trace

COMMAND = "tracekit analyze crafted.parquet --gpu A100-40 --gpu H100 --replicas 2 -o report.html"


def crafted_document(path, names=("triage", "fix the test"), gpus=("A100-40", "H100")):
    """Sessions one after the other, each of two calls with a tool between them, and beside that a second tool."""
    write_crafted(path, *_rows(names))
    document = analysis(
        Trace.open(path), FleetChoice(gpus=gpus, model="Llama-3.1-8B", replicas=2), charts=True
    )
    return document | {"trace": path.name, "command": COMMAND}


COMPARE = "tracekit compare chat.parquet agent.parquet --gpu A100-40 --gpu H100 -o report.html"


def crafted_comparison(
    folder, names=("chat", "agent"), gpus=("A100-40", "H100"), queries=71.4e6, scores=(0.5, 1)
):
    """Workflows of two sessions each, a call more and as many tools with every workflow; the last two have scores."""
    files = {name: folder / f"workflow{place}.parquet" for place, name in enumerate(names)}
    for place, path in enumerate(files.values()):
        of_workflow = scores if place >= len(names) - 2 else (None, None)
        write_crafted(path, *_workflow_rows(place + 1, names[place], of_workflow))
    choice = FleetChoice(gpus=gpus, model="Llama-3.1-8B")
    workflows, assumptions, sources = compared(files, choice)
    demand = None if queries is None else Demand(queries)
    document = comparison_document(workflows, names[0], demand, assumptions, sources)
    for workflow in document["workflows"]:
        workflow["trace"] = workflow["trace"].rpartition("/")[2]
    document["trace"] = [workflow["trace"] for workflow in document["workflows"]]
    return document | {"command": COMPARE}


def _workflow_rows(rounds, name, scores):
    calls, tools, sessions = [], [], []
    for index, score in enumerate(scores):
        row, at = index * 100, index * 400
        sessions.append(session_row(row, at, at + 900 * rounds + 50 * index, score=score))
        for turn in range(rounds):
            start, step = at + 900 * turn, row + 2 * turn + 1
            tokens = {
                "model": name,
                "usage_source": "server",
                "input_tokens": 300 * (turn + 1),
                "output_tokens": 40,
            }
            parents = [step - 1] if turn else []
            calls.append(
                call_row(
                    step, start, start + 500, row, parents, first_token_ns=int((start + 80) * 1e6), **tokens
                )
            )
            if turn + 1 < rounds:
                tools.append(tool_row(step + 1, start + 500, start + 880, row, [step], name=name))
    return calls, tools, sessions


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
