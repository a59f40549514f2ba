"""When two replays are the same."""

from __future__ import annotations

import numpy as np

from tracekit.analyzers.kernels.layout import Outcome

WHOLE = {
    "calls": ("step", "session", "replica", "input_tokens", "output_tokens", "cached_tokens", "preemptions"),
    "segments": ("replica", "state", "cause", "steps"),
    "steps": (),
    "sessions": (),
}


def assert_same_outcome(got: Outcome, wanted: Outcome) -> None:
    """Whole numbers and the row of events exactly, times to 1e-9 s, joules to 1e-9 of the whole."""
    scale = max(1.0, float(wanted.segments["energy_j"].sum()))
    for table, whole in WHOLE.items():
        mine, theirs = getattr(got, table), getattr(wanted, table)
        assert mine.shape == theirs.shape, table
        for field in mine.dtype.names:
            allowed = 0.0 if field in whole else 1e-9 * (scale if field.endswith("_j") else 1.0)
            np.testing.assert_allclose(
                mine[field], theirs[field], rtol=0, atol=allowed, err_msg=f"{table}.{field}"
            )
    for field in ("refused", "engine_steps", "kv_peak_tokens", "evicted_blocks"):
        assert getattr(got, field) == getattr(wanted, field), field
    assert abs(got.horizon_s - wanted.horizon_s) <= 1e-9
    assert abs(got.null_idle_s - wanted.null_idle_s) <= 1e-9
    assert abs(got.null_idle_j - wanted.null_idle_j) <= 1e-9 * scale
    np.testing.assert_allclose(got.kv_token_s, wanted.kv_token_s, rtol=1e-9, atol=1e-9)
