"""What made replayed sessions as long as they were, in the document: the sums by part."""

from __future__ import annotations

import numpy as np

from tracekit.analyzers.replay import Replay
from tracekit.analyzers.savings import PARTS, HeldUp, Savings, held_up, part_of_kind
from tracekit.reports.document import Document


def savings_parts(replay: Replay) -> Document:
    """The key `savings` of a replay by part alone, as a terminal shows it; seconds over all its sessions together."""
    return parts_told(replay, held_up(replay.workload, replay.timeline.outcome))


def parts_told(replay: Replay, found: HeldUp | Savings) -> Document:
    """Session time, the critical path and the savings, by part."""
    return {
        "session_s": float((replay.timeline.session_end_ns - replay.timeline.session_start_ns).sum() / 1e9),
        "path_s": _path(replay, found),
        "without_s": {part: float(seconds.sum()) for part, seconds in found.without.items()},
    }


def _path(replay: Replay, found: HeldUp | Savings) -> dict[str, float]:
    part = part_of_kind(replay.workload)
    of_steps = np.bincount(part, found.path.step_s, len(PARTS))
    told = {name: float(of_steps[PARTS.index(name)]) for name in ("call", "tool", "gap")}
    return {
        "call": told["call"],
        "queue": float(found.path.queue_s.sum()),
        "tool": told["tool"],
        "gap": told["gap"],
        "lag": float(found.path.lag_s.sum()),
        "tail": float(found.tail_s.sum()),
    }
