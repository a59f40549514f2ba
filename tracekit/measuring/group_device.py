"""Several GPUs that share a model's layers, as one device: each has its part, in a process of its own."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from tracekit.errors import MeasuringRefused
from tracekit.measuring.crew import Answer, Crew
from tracekit.measuring.device import DeviceLost, PointFailed, Prepared
from tracekit.measuring.point import Point
from tracekit.measuring.shape import ModelShape

START_PATIENCE_S = 180.0
PATIENCE_S = 60.0
MOST_REFUSALS = 2
"""Of a way of launching that never worked: each costs a start of the group."""
MOST_TIMES_AS_LONG = 10.0
"""As the last repetition, that one may take before its rank is said to hang."""


class Ranks(Protocol):
    """What a group needs of its crew."""

    @property
    def folder(self) -> Any:
        """For the file by which they meet."""

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""

    def ask(
        self, do: str, patience_s: float, each: Sequence[Mapping[str, Any]] = (), **more: Any
    ) -> list[Answer]:
        """Raises PointFailed, DeviceLost."""

    def close(self) -> None:
        """End them."""


class GroupDevice:
    """Several devices with a part of a model each.

    Parameters
    ----------
    places : cpu or cuda:NUMBER, one a rank.
    whole : the model's shape before it is divided.
    patience_s : how long ranks may take for what takes a time unknown; longer is a hang.
    crew_of : starts so many ranks.

    Raises
    ------
    MeasuringRefused : they do not start, or are not alike.
    """

    def __init__(
        self,
        places: Sequence[str],
        whole: ModelShape,
        patience_s: float = PATIENCE_S,
        crew_of: Callable[[int], Ranks] | None = None,
    ) -> None:
        self._places, self._whole = places, whole
        self.patience_s = max(patience_s, PATIENCE_S)
        self._crew_of = crew_of or (lambda ranks: Crew(ranks, environment=_environment(places)))
        self._crew: Ranks | None = None
        self._refused: Counter[str] = Counter()
        self._worked: set[str] = set()
        try:
            self._about = self._started()
        except (PointFailed, DeviceLost) as failed:
            raise MeasuringRefused.group(len(places), str(failed)) from failed

    def _started(self) -> list[Answer]:
        """Ranks that have met, each with what it is."""
        self._crew = crew = self._crew_of(len(self._places))
        ranks = range(len(self._places))
        each = [
            {"where": place, "shape": self._whole.shard(len(self._places), rank).to_json()}
            for rank, place in zip(ranks, self._places, strict=True)
        ]
        try:
            about = crew.ask(
                "start",
                START_PATIENCE_S,
                each,
                meeting=str(crew.folder / "meeting"),
                wait_s=2 * self.patience_s,
            )
        except BaseException:
            crew.close()
            raise
        names = [rank["facts"]["device"] for rank in about]
        if len(set(names)) > 1:
            crew.close()
            raise MeasuringRefused.unlike(names)
        return about

    @property
    def launches(self) -> tuple[str, ...]:
        known = self._about[0]["launches"]
        hopeful = [way for way in known if way in self._worked or self._refused[way] < MOST_REFUSALS]
        return tuple(hopeful or known[-1:])

    @property
    def uuids(self) -> list[str]:
        """The driver's ids of its GPUs; none of processors."""
        return [rank["uuid"] for rank in self._about if rank["uuid"] is not None]

    def facts(self) -> Mapping[str, str]:
        facts: dict[str, str] = self._about[0]["facts"]
        return facts

    def prepare(self, point: Point, launch: str) -> Prepared:
        """All ranks run as many blocks as the fullest has room for."""
        if self._crew is None or not self._crew.is_alive:
            try:
                self._started()
            except (PointFailed, MeasuringRefused) as failed:
                raise DeviceLost(f"the GPUs did not come together again: {failed}") from failed
        crew = self._crew
        assert crew is not None
        rooms = crew.ask("room", self.patience_s, point=point)
        blocks = min(room["blocks"] for room in rooms)
        crew.ask("work", self.patience_s, point=point, blocks=blocks)
        try:
            crew.ask("launch", self.patience_s, launch=launch)
        except PointFailed:
            self._refused[launch] += 1
            raise
        self._worked.add(launch)
        return _Together(crew, blocks, self.patience_s)

    def close(self) -> None:
        if self._crew is not None:
            self._crew.close()


class _Together:
    """A point that all ranks are ready to run."""

    def __init__(self, crew: Ranks, blocks: int, patience_s: float) -> None:
        self._crew, self.blocks, self._patience_s = crew, blocks, patience_s
        self._longest_s: float | None = None  # of one repetition

    def run(self, repetitions: int) -> float:
        """The slowest rank's seconds: a step is done when all have done it."""
        known_s = 0.0 if self._longest_s is None else MOST_TIMES_AS_LONG * self._longest_s * repetitions
        answers = self._crew.ask("run", max(self._patience_s, known_s), repetitions=repetitions)
        seconds = max(float(answer["seconds"]) for answer in answers)
        self._longest_s = seconds / repetitions
        return seconds

    def close(self) -> None:
        if self._crew.is_alive:
            self._crew.ask("drop", self._patience_s)


def _environment(places: Sequence[str]) -> dict[str, str]:
    """Ranks on one processor have equal shares of its cores, unless the user said how many threads."""
    if any(place != "cpu" for place in places) or "OMP_NUM_THREADS" in os.environ:
        return {}
    return {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // len(places)))}
