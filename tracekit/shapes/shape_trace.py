"""A trace of sessions drawn from a shape: origin `published-shape`, never `measured`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tracekit.interchange.imported import ImportedTrace
from tracekit.provenance import Provenance
from tracekit.shapes.lengths import draw_lengths
from tracekit.shapes.rounds import draw_sessions, within_budget
from tracekit.shapes.session_writer import SessionWriter
from tracekit.shapes.shape import Shape
from tracekit.trace import TraceWriter

SPACING_S = 3600.0
"""Between two sessions, so that one at a time is replayed; a rate of your own comes from `tracekit replay --rate`."""


def write_shape_trace(
    path: Path,
    shape: Shape,
    sessions: int,
    seed: int,
    provenance: Provenance,
    *,
    spacing_s: float = SPACING_S,
    force: bool = False,
) -> None:
    """A trace of so many sessions of that shape; the same arguments give the same bytes.

    Calls have no end: nobody measured one, and a replay times them. (Where tools start inside an answer, it has a
    nominal one, to say at which token.) Prompt bytes are tokens: a shape knows no others. `provenance` says who made
    the trace; its origin is set here, and labels for what is said above beside its own (where the shape is from, say).

    Raises
    ------
    OutputRefused : the file exists and `force` is off, or its folder cannot be written.
    OSError : the disk is full; nothing is left behind.
    """
    random = np.random.default_rng(seed)
    skeleton = draw_sessions(random, shape, sessions)
    lengths = draw_lengths(random, shape, skeleton)
    with TraceWriter(path, force=force) as writer:
        trace = ImportedTrace(writer)
        drawn = SessionWriter(trace, shape, lengths)
        for place, rounds in enumerate(within_budget(shape, skeleton)):
            drawn.write(rounds, round(place * spacing_s * 1e9), f"{shape.name} {place + 1}")
        provenance.origin = "published-shape"
        provenance.labels |= {
            "shape": shape.name,
            "seed": str(seed),
            "times": "of tools only: a call's end is what a replay says",
            "bytes": "one for each token",
        }
        trace.finish(provenance)
