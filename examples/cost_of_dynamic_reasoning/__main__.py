"""The command line: `python -m examples.cost_of_dynamic_reasoning`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from examples.cost_of_dynamic_reasoning import workspace
from examples.cost_of_dynamic_reasoning.experiment import experiments
from examples.cost_of_dynamic_reasoning.page.page import markdown
from examples.cost_of_dynamic_reasoning.page.plots import write_plots
from examples.cost_of_dynamic_reasoning.results import Results
from examples.cost_of_dynamic_reasoning.run import run_all
from examples.cost_of_dynamic_reasoning.workspace import Workspace
from tracekit.analyzers.replay import compile_kernel

PAGE = workspace.ROOT / "docs" / "cost-of-dynamic-reasoning.md"


@click.command()
@click.option("--quick", is_flag=True, help="A few sessions of everything, to see that it works.")
@click.option(
    "--page", type=click.Path(path_type=Path), help="Where the page goes; default: docs/, quick: the folder."
)
@click.option(
    "--folder", type=click.Path(path_type=Path), default=Path(".study"), show_default=True,
    help="Traces and results; a run that was cut off goes on from them.",
)  # fmt: skip
@click.option("--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, show_default="all processors")
def main(quick: bool, page: Path | None, folder: Path, jobs: int) -> None:
    """Does the study again and writes its page."""
    effort = workspace.QUICK if quick else workspace.FULL
    space = Workspace(folder / ("quick" if quick else "full"), effort)
    page = page or (space.folder / PAGE.name if quick else PAGE)
    every = experiments()
    compile_kernel()
    try:
        if sys.stderr.isatty():
            with click.progressbar(length=len(every), label="experiments", file=sys.stderr) as bar:
                run_all(space, every, jobs, lambda _name: bar.update(1))
        else:
            run_all(space, every, jobs, lambda _name: None)
    except KeyboardInterrupt:
        done = sum(space.found(each.name) is not None for each in every)
        raise click.ClickException(
            f"Stopped. {done} of {len(every)} results are kept in {folder}; the same command goes on from there."
        ) from None
    results = Results({each.name: space.found(each.name) or {} for each in every})
    write_plots(results, page.with_suffix(""))
    page.write_text(markdown(results, effort, quick=quick), "utf-8")
    click.echo(page)


if __name__ == "__main__":
    main()
