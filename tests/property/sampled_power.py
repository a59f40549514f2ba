"""Power as it truly is, in closed form, and what a driver's counter and power readings make of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tracekit.analyzers.metering.reads import Device, GpuReads
from tracekit.analyzers.metering.steps import Calls, Route, Steps, Tools

RESOLUTION_J = 1e-3
SECONDS = 12.0


@dataclass(frozen=True)
class Power:
    """Constant watts between random instants, in seconds."""

    at_s: np.ndarray  # (n + 1,)
    watts: np.ndarray  # (n,)

    @classmethod
    def random(cls, random: np.random.Generator) -> Power:
        """Idle and busy stretches from some ms to some s, between an idle floor and the board's limit."""
        mean_s = 10 ** random.uniform(-2.3, 0.3)
        lengths_s = random.exponential(mean_s, int(4 * (SECONDS + 4) / mean_s) + 20)
        at_s = np.concatenate([[-4.0], -4.0 + np.cumsum(lengths_s)])
        floor_w, limit_w = random.uniform(10, 120), random.uniform(250, 1000)
        watts = floor_w + (limit_w - floor_w) * random.beta(0.5, 0.5, len(lengths_s))
        return cls(at_s, watts)

    def joules(self, until_s: np.ndarray) -> np.ndarray:
        """From its beginning to each instant, exactly."""
        sums = np.concatenate([[0.0], np.cumsum(self.watts * np.diff(self.at_s))])
        return np.interp(until_s, self.at_s, sums)

    def at(self, t_s: np.ndarray) -> np.ndarray:
        return self.watts[np.searchsorted(self.at_s, t_s, side="right") - 1]


class Driver(NamedTuple):
    """How a device's readings are made: both are updated every so often, watts may be averages."""

    counter_period_s: float
    counter_phase_s: float
    power_period_s: float
    power_phase_s: float
    window_s: float

    @classmethod
    def random(cls, random: np.random.Generator) -> Driver:
        counter_s, power_s = random.choice([0.01, 0.02, 0.1, 0.25]), random.choice([0.02, 0.1])
        window_s = float(random.choice([0.0, 1.0]))
        return cls(counter_s, random.uniform(0, counter_s), power_s, random.uniform(0, power_s), window_s)

    def counter_j(self, power: Power, t_s: np.ndarray) -> np.ndarray:
        updated_s = _last_update(t_s, self.counter_period_s, self.counter_phase_s)
        return np.floor(power.joules(updated_s) / RESOLUTION_J) * RESOLUTION_J

    def watts(self, power: Power, t_s: np.ndarray) -> np.ndarray:
        updated_s = _last_update(t_s, self.power_period_s, self.power_phase_s)
        if self.window_s == 0.0:
            return power.at(updated_s)
        return (power.joules(updated_s) - power.joules(updated_s - self.window_s)) / self.window_s


def _last_update(t_s: np.ndarray, period_s: float, phase_s: float) -> np.ndarray:
    return np.floor((t_s - phase_s) / period_s) * period_s + phase_s


def sampled(
    random: np.random.Generator, power: Power, driver: Driver, *, has_counter: bool, host: str = "box"
) -> GpuReads:
    """What a sampler sees: reads at jittered times, its limit known or not."""
    interval_s = random.choice([0.02, 0.05, 0.1, 0.5])
    t_s = np.arange(-1.0, SECONDS + 1.0, interval_s)
    t_ns = np.unique(((t_s + random.uniform(0, interval_s / 2, len(t_s))) * 1e9).astype(np.int64))
    t_s = t_ns / 1e9
    nothing = np.full(len(t_ns), np.nan)
    return GpuReads(
        device=Device(host, "gpu", 0, None, "made up"),
        t_ns=t_ns,
        counter_j=driver.counter_j(power, t_s) if has_counter else nothing,
        watts=driver.watts(power, t_s),
        lag_s=np.full(len(t_ns), driver.window_s / 2 + driver.power_period_s),
        utilization=nothing,
        reason=np.full(len(t_ns), -1),
        reasons=(),
        sources=("instant" if driver.window_s == 0.0 else "average",),
        limit_w=float(power.watts.max()) if random.random() < 0.5 else None,
        counter_update_s=driver.counter_period_s if random.random() < 0.5 else None,
        mig=False,
    )


def random_steps(random: np.random.Generator) -> Steps:
    """A dozen calls and tools of three sessions on one loopback server."""
    count, sessions = int(random.integers(1, 12)), 3
    start_s = np.sort(random.uniform(0, SECONDS - 2, count))
    length_s = random.exponential(1.0, count).clip(0.05, 2)
    token_s = start_s + length_s * random.uniform(0.05, 0.6, count)
    tools = int(random.integers(0, 6))
    tool_s = random.uniform(0, SECONDS - 2, tools)
    whole = np.ones(count)
    return Steps(
        calls=Calls(
            row_id=np.arange(count),
            session=random.integers(0, sessions, count),
            start_ns=_ns(start_s),
            first_token_ns=_ns(token_s),
            end_ns=_ns(start_s + length_s),
            route=np.zeros(count, np.int64),
            model=np.zeros(count, np.int64),
            input_tokens=100 * whole,
            cached_tokens=0 * whole,
            output_tokens=10 * whole,
        ),
        tools=Tools(
            np.arange(100, 100 + tools),
            random.integers(0, sessions, tools),
            _ns(tool_s),
            _ns(tool_s + random.uniform(0, 2, tools)),
        ),
        session_id=np.arange(sessions),
        routes=(Route("box", "127.0.0.1", 8000, "/v1/chat/completions"),),
        models=("made up",),
        begin_ns=0,
        end_ns=int(SECONDS * 1e9),
    )


def _ns(seconds: np.ndarray | float) -> np.ndarray:
    return np.asarray(np.rint(np.asarray(seconds) * 1e9), np.int64)
