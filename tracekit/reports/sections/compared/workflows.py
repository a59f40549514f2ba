"""What the workflows are: their sessions as recorded, their scores, models and files."""

from __future__ import annotations

from tracekit import units
from tracekit.reports.sections.compared.rows import workflow_name
from tracekit.reports.sections.compared.summary import score_cell
from tracekit.reports.sections.section import Cell, Document, Section, Table
from tracekit.reports.words import SHARES, shown_name

LONGEST_FILE = 80


def workflows_section(document: Document) -> Section:
    """Counts and tokens of a session, where its time goes, and where each workflow comes from."""
    workflows = document["workflows"]
    counts = ("workflow", "sessions", "calls", "tools", "tokens in", "tokens out", "score", "sessions scored")
    return Section(
        "workflows",
        "What was recorded",
        "Sessions are counted; calls, tools and tokens are those of a session on average.",
        [
            Table("Sessions as recorded (measured)", counts, [_counts(one) for one in workflows]),
            Table(
                "Where session time went while recording (measured)",
                ("workflow", *SHARES.values()),
                [_shares(one) for one in workflows],
            ),
            Table("Where the workflows come from", ("workflow", "models", "file"), [_origin(one) for one in workflows]),
            Table("No user's workload", ("workflow", "what", "why"), list(_labels(workflows))),
        ],
    )  # fmt: skip


def _counts(workflow: Document) -> list[Cell]:
    tokens, score = workflow["tokens_per_session"], workflow["score"]
    calls, tools = workflow["calls_per_session"], workflow["tools_per_session"]
    return [
        Cell(workflow_name(workflow)),
        Cell(units.count(workflow["sessions"]), workflow["sessions"]),
        Cell(units.ratio(calls), calls),
        Cell(units.ratio(tools), tools),
        *(Cell(units.count(tokens[side]), tokens[side]) for side in ("input", "output")),
        score_cell(workflow),
        Cell("-" if score is None else units.count(score["sessions"]), score and score["sessions"]),
    ]


def _shares(workflow: Document) -> list[Cell]:
    share = workflow["recorded"]["share"]
    return [
        Cell(workflow_name(workflow)),
        *(Cell(units.percent(share[name]), share[name]) for name in SHARES),
    ]


def _origin(workflow: Document) -> list[Cell]:
    models = ", ".join(shown_name(model) for model in workflow["models"]) or "-"
    return [
        Cell(workflow_name(workflow)),
        Cell(models),
        Cell(shown_name(workflow["trace"], LONGEST_FILE)),
    ]


def _labels(workflows: list[Document]) -> list[list[Cell]]:
    """Once for all workflows where they say the same."""
    told = [workflow["labels"] for workflow in workflows]
    if told[0] and all(labels == told[0] for labels in told):
        return [
            [Cell("all"), Cell(shown_name(name)), Cell(shown_name(text, 200))]
            for name, text in told[0].items()
        ]
    return [
        [Cell(workflow_name(workflow)), Cell(shown_name(name)), Cell(shown_name(text, 200))]
        for workflow in workflows
        for name, text in workflow["labels"].items()
    ]
