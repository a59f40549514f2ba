"""Replays side by side: on whose workers, what was kept of earlier ones, and who is told.

Results come in the order of what was asked for, so that they do not depend on how many workers there are.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, NamedTuple, TypeVar

from tracekit.analyzers.sizing.observation import Observation
from tracekit.analyzers.sizing.task import Recorded, Task, observed
from tracekit.analyzers.workers.code import computer
from tracekit.analyzers.workers.engine import Engine, usable_cores
from tracekit.analyzers.workers.journal import Journal
from tracekit.analyzers.workers.local_engine import LocalEngine

Piece = TypeVar("Piece")
Done = TypeVar("Done")


class Told(NamedTuple):
    """A recorded workload that the workers have; they forget it when nobody holds this."""

    recorded: Recorded
    sent: Any


class Crew:
    """An engine's workers; `done` is told after every replay, and the journal keeps what each says."""

    def __init__(
        self, engine: Engine, journal: Journal | None = None, done: Callable[[], None] | None = None
    ) -> None:
        self._engine, self._journal, self._done = engine, journal, done
        self._code = computer() if journal is not None else ""

    @property
    def workers(self) -> int:
        """How many replay at once."""
        return self._engine.workers

    def tell(self, recorded: Recorded) -> Told:
        """The workers have the recorded workload."""
        return Told(recorded, self._engine.send(recorded))

    def count(self) -> None:
        """One more replay is done."""
        if self._done is not None:
            self._done()

    def map(
        self,
        work: Callable[[Recorded, Piece], Done],
        told: Told,
        pieces: Sequence[Piece],
        done: Callable[[int, Done], None] | None = None,
    ) -> list[Done]:
        """`work` of each piece, in order; `done` is called as each comes.

        What is not begun when one fails, or at Ctrl-C, is given up.
        """
        found: dict[int, Done] = {}
        if pieces:
            with closing(self._engine.map(work, told.sent, pieces)) as arriving:
                for place, result in arriving:
                    found[place] = result
                    if done is not None:
                        done(place, result)
        return [found[place] for place in range(len(pieces))]

    def observe(self, told: Told, tasks: Sequence[Task], counted: int | None = None) -> list[Observation]:
        """What each replay says, in order, by the journal or by a worker; the first `counted` of them are counted."""
        last = len(tasks) if counted is None else counted
        keys = self._keys(told, tasks)
        found = [self._kept(key) for key in keys]
        missing = [place for place, one in enumerate(found) if one is None]
        for place in range(last):
            if found[place] is not None:
                self.count()

        def keep(which: int, observation: Observation) -> None:
            place = missing[which]
            if self._journal is not None:
                self._journal.keep([(keys[place], observation._asdict())])
            if place < last:
                self.count()

        told_anew = self.map(observed, told, [tasks[place] for place in missing], keep)
        anew = dict(zip(missing, told_anew, strict=True))
        return [anew[place] if one is None else one for place, one in enumerate(found)]

    def _keys(self, told: Told, tasks: Sequence[Task]) -> list[str]:
        if self._journal is None:
            return [""] * len(tasks)
        return [task.key(told.recorded.digest, self._code) for task in tasks]

    def _kept(self, key: str) -> Observation | None:
        if self._journal is None or key not in self._journal.kept:
            return None
        return observation_of(self._journal.kept[key])


def observation_of(kept: Mapping[str, Any]) -> Observation:
    """The observation that a journal's line tells of."""
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in kept.items()
    }
    return Observation(**values)


@contextmanager
def crew_of_threads(threads: int | None = None) -> Generator[Crew, None, None]:
    """A crew of this process's threads, as many as cores unless told, for as long as the `with` lasts."""
    with closing(LocalEngine(threads or usable_cores())) as engine:
        yield Crew(engine)
