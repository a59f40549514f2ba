"""A replay on the integer clock: int64 ns, joules, dollars, and whose they are (DESIGN: attribution)."""

from __future__ import annotations

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

    For c calls, n steps, s sessions and g segments. Shared boundaries stay shared, so the states of a replica
    sum to `horizon_ns` exactly. The outcome keeps the tokens and the shares, row for row.
    """

    outcome: Outcome
    replicas: int
    gpus_per_replica: int
    usd_per_replica_hour: float
    horizon_ns: int
    call_queued_ns: Ints  # (c,)
    call_started_ns: Ints
    call_first_token_ns: Ints
    call_end_ns: Ints
    step_start_ns: Ints  # (n,)
    step_end_ns: Ints
    session_start_ns: Ints  # (s,)
    session_end_ns: Ints
    segment_start_ns: Ints  # (g,)
    segment_end_ns: Ints

    @classmethod
    def of(
        cls, outcome: Outcome, replicas: int, *, gpus_per_replica: int = 1, usd_per_gpu_hour: float = 0.0
    ) -> Self:
        return cls(
            outcome=outcome,
            replicas=replicas,
            gpus_per_replica=gpus_per_replica,
            usd_per_replica_hour=usd_per_gpu_hour * gpus_per_replica,
            horizon_ns=int(to_ns(outcome.horizon_s)),
            call_queued_ns=to_ns(outcome.calls["queued_s"]),
            call_started_ns=to_ns(outcome.calls["started_s"]),
            call_first_token_ns=to_ns(outcome.calls["first_token_s"]),
            call_end_ns=to_ns(outcome.calls["end_s"]),
            step_start_ns=to_ns(outcome.steps["start_s"]),
            step_end_ns=to_ns(outcome.steps["end_s"]),
            session_start_ns=to_ns(outcome.sessions["start_s"]),
            session_end_ns=to_ns(outcome.sessions["end_s"]),
            segment_start_ns=to_ns(outcome.segments["start_s"]),
            segment_end_ns=to_ns(outcome.segments["end_s"]),
        )

    # --- replica time ---

    @cached_property
    def state_ns(self) -> dict[State, int]:
        """Replica-nanoseconds in each state; over all states, replicas x horizon."""
        return {state: self._segment_ns(self.outcome.segments["state"] == state) for state in State}

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
        return {state: ns * self.gpus_per_replica / NS_PER_S for state, ns in self.state_ns.items()}

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

    @property
    def total_usd(self) -> float:
        return self.billed_ns * self.usd_per_replica_hour / NS_PER_HOUR

    @cached_property
    def call_usd(self) -> Floats:
        """Dollars of each call: its part of the busy seconds, by the same split as its joules."""
        busy: Floats = self.outcome.calls["busy_s"] * self._usd_per_s
        return busy

    @cached_property
    def dollars(self) -> Account:
        """Dollars per session."""
        caused = self.outcome.sessions["idle_s"].sum(axis=1) * self._usd_per_s
        return Account.of(
            self._per_session(self.call_usd) + caused, self.outcome.null_idle_s * self._usd_per_s
        )

    @property
    def _usd_per_s(self) -> float:
        # the bill is over whole ns; spreading the rounding (< 1 ns in a horizon) lets the shares add up to it
        seconds = self.replicas * self.outcome.horizon_s
        return self.total_usd / seconds if seconds > 0.0 else 0.0
