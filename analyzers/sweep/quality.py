"""Scores of sessions, and under which switches they still hold."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tracekit.analyzers.kernels.layout import Floats, Ints
from tracekit.analyzers.sweep.figures import Figures
from tracekit.analyzers.what_if.asked import switch_named
from tracekit.analyzers.what_if.scenario import Scenario
from tracekit.schema import Kind
from tracekit.trace import Trace

CHANGES_ANSWERS = ("model", "precision", "kv_compression", "few_shot")
"""Switches under which the model may answer otherwise, so that recorded scores say nothing."""


def session_scores(trace: Trace, session_row_id: Ints) -> Floats:
    """The score of each of these sessions (s,), by its row in the trace; NaN where there is none."""
    table: pa.Table = trace.rows(Kind.SESSION, ["row_id", "score"])
    known = {
        row: score
        for row, score in zip(table["row_id"].to_pylist(), table["score"].to_pylist(), strict=True)
        if score is not None
    }
    return np.array([known.get(int(row), np.nan) for row in session_row_id], np.float64)


def keeps_scores(scenario: Scenario, figures: Figures) -> bool:
    """Whether sessions are scored as they were recorded: no switch changes what is answered, or how often."""
    turned = {
        switch_named(name)[1].name
        for name, _value in scenario.switches
        if name not in scenario.without_effect
    }
    return not figures["sessions_cut"] and turned.isdisjoint(CHANGES_ANSWERS)
