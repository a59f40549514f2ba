"""When two replays are the same."""

from __future__ import annotations

import numpy as np

from tracekit.analyzers.kernels.layout import Outcome

WHOLE = {
    "calls": ("step", "session", "replica", "decode_replica", "cached_tokens", "preemptions"),
    "segments": ("replica", "state", "cause", "steps"),
    "waits": (),
    "sessions": (),
}


def assert_same_outcome(got: Outcome, wanted: Outcome) -> None:
    """Whole numbers and the row of events exactly, times to 1e-9 s, joules and dollars to 1e-9 of the whole."""
    scale = max(1.0, float(wanted.segments["energy_j"].sum()))
    prices = max(1.0, float(wanted.calls["busy_usd"].sum() + wanted.sessions["idle_usd"].sum()))
    for table, whole in WHOLE.items():
        mine, theirs = getattr(got, table), getattr(wanted, table)
        assert mine.shape == theirs.shape, table
        for field in mine.dtype.names:
            unit = {"j": scale, "usd": prices}.get(field.rsplit("_", 1)[-1], 1.0)
            allowed = 0.0 if field in whole else 1e-9 * unit
            np.testing.assert_allclose(
                mine[field], theirs[field], rtol=0, atol=allowed, err_msg=f"{table}.{field}"
            )
    for field in ("refused", "engine_steps", "kv_peak_tokens", "evicted_blocks"):
        assert getattr(got, field) == getattr(wanted, field), field
    assert abs(got.horizon_s - wanted.horizon_s) <= 1e-9
    assert abs(got.null_idle_s - wanted.null_idle_s) <= 1e-9
    assert abs(got.null_idle_j - wanted.null_idle_j) <= 1e-9 * scale
    assert abs(got.null_idle_usd - wanted.null_idle_usd) <= 1e-9 * prices
    np.testing.assert_allclose(got.kv_peak_fraction, wanted.kv_peak_fraction, rtol=1e-12)
    np.testing.assert_allclose(got.kv_token_s, wanted.kv_token_s, rtol=1e-9, atol=1e-9)
