"""Fake GPUs on machines that have none: the library `fake_nvml.c`, and the file that tells it what to play.

What it says is made up, so every trace that it goes into carries a label.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tracekit.errors import CompilerMissing

SOURCE = Path(__file__).with_name("fake_nvml.c")
LIBRARY = "libnvidia-ml.so.1"
PLAY_VARIABLE = "TRACEKIT_FAKE_NVML"
LABEL = "fake (tracekit's own NVML; its watts are made up)"
ALL_GPUS = -1
FOREVER = math.inf


@dataclass(frozen=True)
class PowerStep:
    """From `start_s` on, each GPU draws its `watts`, until the next step."""

    start_s: float
    watts: Sequence[float]


@dataclass(frozen=True)
class Fault:
    """A call that fails with an NVML error code, for a GPU or all, from one time to another.

    `function` is an NVML name, ``field:186`` for one field value, or ``*`` for all that ask about a device.
    """

    function: str
    code: int
    gpu: int = ALL_GPUS
    from_s: float = 0.0
    until_s: float = FOREVER

    def line(self) -> str:
        return f"fault {self.function} {self.code} {self.gpu} {self.from_s} {self.until_s}"


@dataclass(frozen=True)
class Hang:
    """A call that does not return for `seconds`, whatever signals arrive; otherwise as `Fault`."""

    function: str
    seconds: float
    gpu: int = ALL_GPUS
    from_s: float = 0.0
    until_s: float = FOREVER

    def line(self) -> str:
        return f"hang {self.function} {self.seconds} {self.gpu} {self.from_s} {self.until_s}"


@dataclass(frozen=True)
class CounterReset:
    """The energy counter begins again at 0 J, as after a reset of the GPU."""

    gpu: int
    at_s: float

    def line(self) -> str:
        return f"reset counter 0 {self.gpu} {self.at_s}"


@dataclass(frozen=True)
class CounterJump:
    """The energy counter goes on from `by_j` more, or less."""

    gpu: int
    at_s: float
    by_j: float

    def line(self) -> str:
        return f"jump counter {self.by_j} {self.gpu} {self.at_s}"


@dataclass(frozen=True)
class FakeGpus:
    """What the fake library plays, by the same words as its file.

    Attributes
    ----------
    steps : watts of every GPU over time, constant in between.
    update_ms : how often readings and counter are renewed; 0: always.
    window_ms : a reading is the mean over so much before it was renewed (25 of 100 ms on A100 and H100).
    average_ms : the same for the average field, `nvmlDeviceGetPowerUsage` and utilisation.
    usage : whether `nvmlDeviceGetPowerUsage` is the average or the instant reading.
    scope : the power scope that answers; on Grace Hopper only the module's does.
    counter_start_j, counter_gain : the counter's value at 0 s, and counted over true joules.
    counter_is_sampled : whether the counter sums readings, instead of being exact.
    processes : (gpu, pid, bytes).
    """

    steps: Sequence[PowerStep]
    update_ms: float = 100.0
    window_ms: float = 25.0
    average_ms: float = 1000.0
    usage: str = "average"
    scope: str = "gpu"
    name: str = "tracekit fake GPU"
    limit_w: float = 700.0
    busy_w: float = 150.0
    memory_bytes: tuple[int, int] = (85_520_809_984, 1_073_741_824)
    counter_start_j: float = 5000.0
    counter_gain: float = 1.0
    counter_is_sampled: bool = False
    mig: Sequence[int] = ()
    processes: Sequence[tuple[int, int, int]] = ()
    events: Sequence[Fault | Hang | CounterReset | CounterJump] = field(default=())

    def energy_j(self, gpu: int, start_s: float, end_s: float) -> float:
        """The joules that the GPU truly takes between two times: the sum of watts x seconds."""
        ends = [*(step.start_s for step in self.steps[1:]), math.inf]
        return sum(
            step.watts[gpu] * max(0.0, min(end_s, until) - max(start_s, step.start_s))
            for step, until in zip(self.steps, ends, strict=True)
        )

    def write(self, path: Path, start_ns: int | None = None) -> Path:
        """Writes the library's file; 0 s is `start_ns` on the monotonic clock, or now."""
        total, used = self.memory_bytes
        lines = [
            f"gpus {len(self.steps[0].watts)}",
            f"start_ns {time.monotonic_ns() if start_ns is None else start_ns}",
            f"name {self.name}",
            *(
                f"{name} {getattr(self, name)}"
                for name in ("update_ms", "window_ms", "average_ms", "usage", "scope", "limit_w", "busy_w")
            ),
            f"memory {total} {used}",
            f"counter {self.counter_start_j} {self.counter_gain}",
            f"counter_sampled {int(self.counter_is_sampled)}",
            *(f"mig {gpu}" for gpu in self.mig),
            *(f"process {gpu} {pid} {size}" for gpu, pid, size in self.processes),
            *(event.line() for event in self.events),
            *(f"t {step.start_s!r} {' '.join(map(repr, step.watts))}" for step in self.steps),
        ]
        path.write_text("\n".join(lines) + "\n")
        return path


def build(folder: Path, *flags: str) -> Path:
    """Compiles the library into `folder`, with more `flags` of the compiler's if given; its path.

    Raises
    ------
    CompilerMissing : there is no C compiler, or it failed.
    """
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise CompilerMissing.here("there is none on the PATH")
    library = folder / LIBRARY
    command = [compiler, "-O2", "-shared", "-fPIC", *flags, f"-Wl,-soname,{LIBRARY}"]
    done = subprocess.run(
        [*command, "-o", str(library), str(SOURCE), "-lm"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if "error" in line] or ["it says nothing"]
        raise CompilerMissing.here(errors[0].strip())
    return library


def environment(library: Path, play: Path, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """`base`, or this process's environment, for processes that are to find the fake library first."""
    surroundings = dict(os.environ if base is None else base)
    others = [entry for entry in surroundings.get("LD_LIBRARY_PATH", "").split(os.pathsep) if entry]
    surroundings["LD_LIBRARY_PATH"] = os.pathsep.join([str(library.parent), *others])
    surroundings[PLAY_VARIABLE] = str(play)
    return surroundings


@contextlib.contextmanager
def made_up() -> Iterator[dict[str, str]]:
    """The environment of processes that are to see one fake GPU, which works three seconds of four, for an hour.

    Raises
    ------
    CompilerMissing : there is no C compiler, or it failed.
    """
    steps = [
        PowerStep(second, (75.0 if second % 4 == 3 else 310.0 + 40 * (second % 3),)) for second in range(3600)
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield environment(build(folder), FakeGpus(steps).write(folder / "play"))
