"""Where recorded traces that are too large for the repository are looked for."""

from __future__ import annotations

import os
from pathlib import Path

TRACES = Path(os.environ.get("TRACEKIT_SHARED") or Path(__file__).parents[2] / "shared") / "traces"
"""Beside the repository, or under $TRACEKIT_SHARED; benchmarks that miss a trace say so and go on."""
