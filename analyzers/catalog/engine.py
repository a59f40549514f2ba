"""One engine's profile: host terms, efficiencies, scheduler limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tracekit.analyzers.hardware.constants import PowerConstants, StepConstants


@dataclass(frozen=True)
class ErrorBand:
    """How wrong a formula was, on what: shares of 1."""

    mape: float
    median_ape: float
    on: str


@dataclass(frozen=True)
class Engine:
    """An engine profile: scheduler limits, and the constants of its steps' duration and power.

    Errors are by kind of model, dense and moe.
    """

    name: str
    scheduler: str
    source: str
    max_num_seqs: int
    max_num_batched_tokens: int
    memory_share: float
    activation_gb: float
    step: StepConstants
    power: PowerConstants
    itl_error: Mapping[str, ErrorBand]
    power_error: Mapping[str, ErrorBand]
