"""Runs what is still to be run, side by side: kernels let go of the interpreter's lock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from examples.cost_of_dynamic_reasoning.experiment import Experiment
from examples.cost_of_dynamic_reasoning.workspace import Workspace


def run_all(
    space: Workspace, experiments: Sequence[Experiment], jobs: int, done: Callable[[str], None]
) -> None:
    """Runs those without a result, `jobs` at a time; every result is kept as soon as it is there.

    `done` is called with each name, from this thread. What is interrupted (Ctrl-C) ends after the experiments under
    way; the next run takes up from there. The first that fails ends it too, and is raised.
    """
    pending: set[Future[str]] = set()
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for experiment in experiments:
                if space.found(experiment.name) is None:
                    pending.add(pool.submit(_run, space, experiment))
                else:
                    done(experiment.name)
            while pending:
                finished, pending = wait(pending, return_when=FIRST_COMPLETED)
                for each in finished:
                    done(each.result())
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _run(space: Workspace, experiment: Experiment) -> str:
    space.keep(experiment.name, experiment.run(space))
    return experiment.name
