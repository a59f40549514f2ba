"""How the engine's CPU time per call grows with calls, replicas, the length of prompts and of sessions.

`python -m benchmarks.scaling SVG LARGEST` prints JSON and draws the plot; LARGEST bounds the calls of a point.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.drawn_agents import CALLS, grown_agents
from benchmarks.engine import timed
from benchmarks.million import fleet_of, workload_of
from tracekit.analyzers.kernels.layout import Workload
from tracekit.analyzers.scenario import Fleet

ROUTERS = ("least-outstanding", "power-of-two", "session-affine", "prefix-aware")
RUN_S = 0.3
"""CPU seconds that a point's replays take together, and no fewer than three replays up to a second each."""


@dataclass
class Series:
    """CPU microseconds per call against what grows."""

    against: str
    name: str
    sizes: list[int]
    us: list[float]
    steps_per_call: list[float]

    @property
    def exponent(self) -> float:
        """Of time per call against size, over the series' upper half; 0 if a call costs the same everywhere."""
        upper = len(self.sizes) // 2
        return float(np.polyfit(np.log(self.sizes[upper:]), np.log(self.us[upper:]), 1)[0])

    def told(self) -> dict[str, object]:
        return asdict(self) | {"exponent": self.exponent}


def all_series(largest: int) -> Iterator[Series]:
    """Every series; one load per replica wherever replicas or calls grow."""
    calls = [size for size in (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000) if size <= largest]
    yield _series("calls", "8 replicas", calls, _many)
    replicas = [1, 4, 16, 64, 256]
    spread = min(100_000, largest)
    for router in ROUTERS:
        yield _series("replicas", router, replicas, partial(_spread, calls=spread, router=router))
    alike = partial(_spread, calls=spread // 4, router="prefix-aware", system_tokens=2_000)
    yield _series("replicas", "prefix-aware, one system prompt", replicas, alike)
    tokens = [100, 1_000, 10_000, 100_000, 1_000_000]
    for name, apart_s in (("one session at a time", 10_000.0), ("all sessions at once", 0.0)):
        at = partial(_long_prompts, calls=min(1_000, largest), seconds_apart=apart_s)
        yield _series("prompt tokens", name, tokens, at)
    lengths = [10, 100, 1_000, 10_000]
    yield _series("calls of a session", "session-affine", lengths, partial(_long_sessions, calls=10_000))


def _many(calls: int) -> tuple[Workload, Fleet]:
    return workload_of(calls // CALLS, 8), fleet_of(8)


def _spread(replicas: int, calls: int, router: str, system_tokens: int = 0) -> tuple[Workload, Fleet]:
    fleet = Fleet.of("H100", "Llama-3.1-8B", replicas=replicas, router=router)
    return workload_of(calls // CALLS, replicas, system_tokens), fleet


def _long_prompts(tokens: int, calls: int, seconds_apart: float) -> tuple[Workload, Fleet]:
    """Of a session's last call; each begins with all of the prompt before.

    There is room for every session, so that what grows is prompts and not how often one is computed again.
    """
    sessions = calls // CALLS
    return grown_agents(sessions, tokens, seconds_apart), _roomy(2 * tokens * sessions)


def _long_sessions(each: int, calls: int) -> tuple[Workload, Fleet]:
    """So many calls in all, each with a block or two that is new."""
    return grown_agents(calls // each, 32 * each, 1.0, calls=each), _roomy(1_000 * calls)


def _roomy(kv_tokens: int) -> Fleet:
    room = {"kv_tokens": kv_tokens, "max_model_len": kv_tokens}
    return Fleet.of("H100", "Llama-3.1-8B", replicas=4, router="session-affine", **room)


def _series(against: str, name: str, sizes: list[int], at: Callable[[int], tuple[Workload, Fleet]]) -> Series:
    us, steps = [], []
    for size in sizes:
        workload, fleet = at(size)
        first = timed(workload, fleet, 1, warm=size == sizes[0])
        runs = int(np.clip(RUN_S / first.cpu_s, 3 if first.cpu_s < 1 else 1, 30))
        us.append(1e6 * timed(workload, fleet, runs, warm=False).cpu_s / first.calls)
        steps.append(first.engine_steps / first.calls)
    return Series(against, name, sizes, us, steps)


def draw(series: list[Series], path: Path) -> None:
    """A panel for each thing that grows, both axes logarithmic."""
    import matplotlib as mpl  # noqa: PLC0415  (0.3 s and 40 MB that no replay should carry)

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "tracekit"
    import matplotlib.pyplot as plt  # noqa: PLC0415

    panels = list(dict.fromkeys(one.against for one in series))
    figure, axes = plt.subplots(1, len(panels), figsize=(13, 3.4), sharey=True, layout="constrained")
    for axis, panel in zip(axes, panels, strict=True):
        for one in series:
            if one.against == panel:
                axis.loglog(one.sizes, one.us, marker="o", markersize=3, label=one.name)
        axis.set_xlabel("tokens of a session's last prompt" if panel == "prompt tokens" else panel)
        axis.grid(visible=True, which="major", alpha=0.3)
        axis.legend(fontsize="small")
    axes[0].set_ylabel("CPU time per call [µs]")
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    path, largest = Path(sys.argv[1]), int(sys.argv[2])
    series = []
    for one in all_series(largest):
        series.append(one)
        print(one.against, one.name, one.sizes, [round(us, 2) for us in one.us], file=sys.stderr, flush=True)
    draw(series, path)
    print(json.dumps({"series": [one.told() for one in series]}))


if __name__ == "__main__":
    main()
