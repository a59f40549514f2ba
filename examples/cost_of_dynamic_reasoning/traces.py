"""The traces: each shape's sessions in a file of their own, from which every replay starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from examples.cost_of_dynamic_reasoning.pair import SHAREGPT, Pair, pairs
from tracekit import __version__
from tracekit.analyzers.recorded import analyze_recording
from tracekit.analyzers.workload import Compiled, compile_workload
from tracekit.provenance import Provenance
from tracekit.schema import FORMAT_VERSION
from tracekit.shapes.shape import Shape
from tracekit.shapes.shape_trace import write_shape_trace
from tracekit.trace import Trace

SEED = 2506_04301
LABELS = {"source": "arXiv 2506.04301v2, figures 4, 5 and 8 (inputs.json)"}


class Size(NamedTuple):
    """Sessions in a trace, fewer where they would hold more than so many calls (answers) together."""

    sessions: int
    calls: int
    fewest: int

    def of(self, shape: Shape) -> int:
        """Sessions of this shape."""
        affordable = int(self.calls / (shape.calls * shape.choices))
        return min(self.sessions, max(self.fewest, affordable))


FULL = Size(400, 40_000, 40)
QUICK = Size(30, 500, 4)


def every_pair() -> list[Pair]:
    """The 17 and ShareGPT."""
    return [*pairs(), Pair(SHAREGPT)]


def write_trace(path: Path, shape: Shape, size: Size) -> None:
    """A trace of that shape; an older file is replaced."""
    provenance = Provenance(FORMAT_VERSION, __version__, [], created_ns=0, labels=dict(LABELS))
    write_shape_trace(path, shape, size.of(shape), SEED, provenance, force=True)


def holdings(path: Path, shape: Shape) -> dict[str, Any]:
    """Calls and tools a session, tokens a call by class, as `tracekit analyze` finds them."""
    recorded = analyze_recording(Trace.open(path))
    calls = recorded.calls / shape.choices
    tokens = recorded.tokens_by_class or {}
    answers = {name: shape.choices if name == "output" else 1 for name in tokens}
    return {
        "calls": calls / recorded.session_count,
        "tools": recorded.tools / recorded.session_count,
        "tokens": {name: tokens[name] * answers[name] / recorded.calls for name in tokens},
    }


def compiled(path: Path) -> Compiled:
    """The trace as the replay takes it."""
    return compile_workload(Trace.open(path))
