"""`tracekit diff`: two documents side by side, and budgets on what changed."""

from __future__ import annotations

from pathlib import Path

import click

FORMATS = ("table", "markdown", "json")


@click.command(
    epilog="Example: tracekit diff before.json after.json --fail-if 'session_p95>+10%' --fail-if 'energy_j>+5%'"
)
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option("--format", "format_name", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--fail-if",
    "fail_if",
    multiple=True,
    metavar="NAME>LIMIT",
    help="Exit with 1 if so: session_p95>+10% (a change), ttft_p95>2s (B itself), idle_s.tool_wait>+60s, any dotted "
    "path, > or <; repeatable.",
)
def command(a: Path, b: Path, format_name: str, as_json: bool, fail_if: tuple[str, ...]) -> None:
    """Show what changed from A to B, and by how much.

    A and B are documents that --json or -o FILE.json wrote, or timelines of replays. What is known of only one is said
    to be unknown in the other, never 0.
    """
    from tracekit.reports.budget import Budget
    from tracekit.reports.difference import difference
    from tracekit.reports.difference_document import (
        difference_document,
        markdown_difference,
        print_difference,
    )
    from tracekit.reports.document import to_json
    from tracekit.reports.reading import read_document
    from tracekit.reports.terminal import wide_console

    budgets = [Budget.parse(text) for text in fail_if]
    documents = read_document(a), read_document(b)
    told = difference(*documents)
    verdicts = [verdict for budget in budgets for verdict in budget.judged(told)]
    names = str(a), str(b)
    if as_json or format_name == "json":
        click.echo(to_json(difference_document(names, documents, told, verdicts)))
    elif format_name == "markdown":
        click.echo(markdown_difference(names, told, verdicts), nl=False)
    else:
        print_difference(names, told, verdicts, wide_console())
    broken = [verdict for verdict in verdicts if verdict.is_broken]
    for verdict in broken:
        part = f" in {verdict.part}" if verdict.part else ""
        click.echo(f"tracekit: the budget {verdict.budget.text} is broken{part}.", err=True)
    if broken:
        raise SystemExit(1)
