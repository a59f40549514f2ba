"""A replay on the integer clock: int64 ns, joules, dollars, and whose they are (DESIGN: attribution)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from tracekit.analyzers.kernels.layout import Cause, Floats, Ints, Outcome, State

NS_PER_S = 1_000_000_000
NS_PER_HOUR = 3600 * NS_PER_S
BILLED = tuple(state for state in State if state != State.OFF)
BUSY = (State.PREFILL, State.DECODE, State.MIXED)
CAUSES = tuple(cause for cause in Cause if cause != Cause.NONE)


def to_ns(seconds: npt.ArrayLike) -> Ints:
    """Round seconds to int64 ns; equal seconds give equal ns, so what touched still touches."""
    return np.rint(np.asarray(seconds, np.float64) * NS_PER_S).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Account:
    """What each of s sessions is charged, in J or in USD: sum(direct) + null = sum(loaded) = total."""

    direct: Floats  # (s,) its calls and the idleness that it caused
    loaded: Floats  # (s,) and its part of what nobody caused, in proportion to direct
    null: float

    @classmethod
    def of(cls, direct: Floats, null: float) -> Self:
        """Load `null` onto the sessions, equally if none of them was charged anything."""
        whole = float(direct.sum())
        part = direct / whole if whole > 0.0 else np.full(direct.size, 1.0 / max(1, direct.size))
        return cls(direct, direct + null * part, null)

    @property
    def total(self) -> float:
        return float(self.direct.sum()) + self.null


@dataclass(frozen=True, eq=False)
class Timeline:
    """A replay's outcome with every boundary rounded once to ns since the first arrival.

    For c calls, n steps, s sessions, g segments and p pools. Shared boundaries stay shared, so the states of a
    replica sum to `horizon_ns` exactly. The outcome keeps the tokens and the shares, row for row.
    """

    outcome: Outcome
    gpus: Ints  # (p,) of one replica
    horizon_ns: int
    call_queued_ns: Ints  # (c,)
    call_started_ns: Ints
    call_first_token_ns: Ints
    call_end_ns: Ints
    session_start_ns: Ints  # (s,)
    session_end_ns: Ints
    segment_start_ns: Ints  # (g,)
    segment_end_ns: Ints

    @classmethod
    def of(cls, outcome: Outcome, gpus_per_replica: Sequence[int] = (1,)) -> Self:
        """The outcome in ns; `gpus_per_replica` is for each pool, in the outcome's order, or one for all."""
        return cls(
            outcome=outcome,
            gpus=np.broadcast_to(np.asarray(gpus_per_replica, np.int64), outcome.pools.shape),
            horizon_ns=int(to_ns(outcome.horizon_s)),
            call_queued_ns=to_ns(outcome.calls["queued_s"]),
            call_started_ns=to_ns(outcome.calls["started_s"]),
            call_first_token_ns=to_ns(outcome.calls["first_token_s"]),
            call_end_ns=to_ns(outcome.calls["end_s"]),
            session_start_ns=to_ns(outcome.sessions["start_s"]),
            session_end_ns=to_ns(outcome.sessions["end_s"]),
            segment_start_ns=to_ns(outcome.segments["start_s"]),
            segment_end_ns=to_ns(outcome.segments["end_s"]),
        )

    @cached_property
    def step_start_ns(self) -> Ints:
        """When each step began, (n,)."""
        return to_ns(self.outcome.steps["start_s"])

    @cached_property
    def step_end_ns(self) -> Ints:
        """When each step ended, (n,)."""
        return to_ns(self.outcome.steps["end_s"])

    # --- replica time ---

    @property
    def replicas(self) -> int:
        return int(self.outcome.pools["replicas"].sum())

    @cached_property
    def segment_pool(self) -> Ints:
        """Each segment's pool, (g,)."""
        ends = np.cumsum(self.outcome.pools["replicas"])
        return np.searchsorted(ends, self.outcome.segments["replica"], side="right").astype(np.int64)

    @cached_property
    def _pool_state_ns(self) -> Ints:
        """Replica-nanoseconds of each pool in each state, (p, states)."""
        table = np.zeros((self.outcome.pools.size, len(State)), np.int64)
        lengths = self.segment_end_ns - self.segment_start_ns
        np.add.at(table, (self.segment_pool, self.outcome.segments["state"]), lengths)
        return table

    @cached_property
    def state_ns(self) -> dict[State, int]:
        """Replica-nanoseconds in each state; over all states, replicas x horizon."""
        return {state: int(self._pool_state_ns[:, state].sum()) for state in State}

    @cached_property
    def idle_ns(self) -> dict[Cause, int]:
        """Replica-nanoseconds of each cause of idleness; together, the state `idle`."""
        return {cause: self._segment_ns(self.outcome.segments["cause"] == cause) for cause in CAUSES}

    @property
    def billed_ns(self) -> int:
        return sum(self.state_ns[state] for state in BILLED)

    @property
    def busy_ns(self) -> int:
        return sum(self.state_ns[state] for state in BUSY)

    @property
    def gpu_s(self) -> dict[State, float]:
        """GPU-seconds in each state."""
        gpu_ns = self.gpus @ self._pool_state_ns
        return {state: int(gpu_ns[state]) / NS_PER_S for state in State}

    @property
    def idle_gpu_s(self) -> dict[Cause, float]:
        """GPU-seconds of each cause of idleness."""
        gpu_ns = (self.segment_end_ns - self.segment_start_ns) * self.gpus[self.segment_pool]
        causes = self.outcome.segments["cause"]
        return {cause: int(gpu_ns[causes == cause].sum()) / NS_PER_S for cause in CAUSES}

    def _segment_ns(self, chosen: npt.NDArray[np.bool_]) -> int:
        return int((self.segment_end_ns - self.segment_start_ns)[chosen].sum())

    # --- joules ---

    @cached_property
    def state_j(self) -> dict[State, float]:
        return {state: self._segment_j(self.outcome.segments["state"] == state) for state in State}

    @cached_property
    def idle_j(self) -> dict[Cause, float]:
        return {cause: self._segment_j(self.outcome.segments["cause"] == cause) for cause in CAUSES}

    @property
    def busy_j(self) -> float:
        return sum(self.state_j[state] for state in BUSY)

    @property
    def total_j(self) -> float:
        """The integral of power over all segments; what `energy` adds up to."""
        return float(self.outcome.segments["energy_j"].sum())

    @cached_property
    def energy(self) -> Account:
        """Joules per session."""
        caused = self.outcome.sessions["idle_j"].sum(axis=1)
        return Account.of(
            self._per_session(self.outcome.calls["energy_j"]) + caused, self.outcome.null_idle_j
        )

    def _segment_j(self, chosen: npt.NDArray[np.bool_]) -> float:
        return float(self.outcome.segments["energy_j"][chosen].sum())

    def _per_session(self, of_calls: Floats) -> Floats:
        sums = np.bincount(self.outcome.calls["session"], of_calls, minlength=self.outcome.sessions.size)
        return sums.astype(np.float64, copy=False)

    # --- dollars ---

    @cached_property
    def total_usd(self) -> float:
        """The bill: whole ns that a replica was not off, by its pool's price."""
        billed_ns = self._pool_state_ns[:, list(BILLED)].sum(axis=1)
        return float((billed_ns * self.outcome.pools["usd_per_s"]).sum()) / NS_PER_S

    @cached_property
    def call_usd(self) -> Floats:
        """Dollars of each call: its part of the busy seconds, by the same split as its joules."""
        busy: Floats = self.outcome.calls["busy_usd"] * self._rounding
        return busy

    @cached_property
    def dollars(self) -> Account:
        """Dollars per session."""
        caused = self.outcome.sessions["idle_usd"].sum(axis=1) * self._rounding
        return Account.of(
            self._per_session(self.call_usd) + caused, self.outcome.null_idle_usd * self._rounding
        )

    @cached_property
    def _rounding(self) -> float:
        # the bill is over whole ns; spreading the rounding (< 1 ns in a horizon) lets the shares add up to it
        shared = self.outcome.calls["busy_usd"].sum() + self.outcome.sessions["idle_usd"].sum()
        shared += self.outcome.null_idle_usd
        return self.total_usd / float(shared) if shared > 0.0 else 1.0
