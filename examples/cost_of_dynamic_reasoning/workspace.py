"""Where the study keeps its traces and what each experiment found, so that a run that was cut off goes on."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from examples.cost_of_dynamic_reasoning import claude_code, knee, traces
from examples.cost_of_dynamic_reasoning.pair import Pair, shape_of
from examples.cost_of_dynamic_reasoning.published import HERE, INPUTS
from tracekit.analyzers.kernels.layout import Workload
from tracekit.shapes.shape import Shape

Result = dict[str, Any]

ROOT = HERE.parents[1]
SOURCES = (ROOT / "analyzers", ROOT / "tracekit" / "shapes", HERE)
PAGE = HERE / "page"
"""How results are told, on which none depends."""


@dataclass(frozen=True)
class Effort:
    """How much is drawn and tried."""

    size: traces.Size
    load: knee.Load


FULL = Effort(traces.FULL, knee.FULL)
QUICK = Effort(traces.QUICK, knee.QUICK)


@dataclass
class Workspace:
    """A folder with traces/ and results/; results of other code or other inputs are not taken."""

    folder: Path
    effort: Effort
    _locks: dict[str, threading.Lock] = field(default_factory=dict)

    def workload(self, pair: Pair) -> Workload:
        """Of the pair's trace, which is written when it is first asked for."""
        return self.workload_of(shape_of(pair), pair.file)

    def workload_of(self, shape: Shape, name: str) -> Workload:
        """Of a trace of that shape, which stands beside the others under this name."""
        path = self.folder / "traces" / f"{name}.parquet"
        with self._locks.setdefault(name, threading.Lock()):
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                traces.write_trace(path, shape, self.effort.size)
        return traces.compiled(path).workload

    def recorded_workload(self) -> Workload:
        """Of the recorded sessions, which are imported when they are first asked for."""
        path = self.folder / "traces" / "claude-code.parquet"
        with self._locks.setdefault(path.stem, threading.Lock()):
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                claude_code.import_sessions(path)
        return traces.compiled(path).workload

    def drawn(self, pair: Pair) -> Result:
        """What the pair's trace holds: calls and tools a session, tokens a call by class."""
        return traces.holdings(self.folder / "traces" / f"{pair.file}.parquet", shape_of(pair))

    def found(self, name: str) -> Result | None:
        """What the experiment found in an earlier run; None if it is still to be made."""
        try:
            kept = json.loads(self._result(name).read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return kept["found"] if kept.get("of") == self.key else None

    def keep(self, name: str, result: Result) -> None:
        """At once or not at all."""
        path = self._result(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps({"of": self.key, "found": result}, indent=1), "utf-8")
        os.replace(partial, path)

    def load_of(self, shape: Shape) -> knee.Load:
        """How a rate is tried with sessions of this shape: with fewer of those that are long."""
        return self.effort.load._replace(sessions=min(self.effort.load.sessions, self.effort.size.of(shape)))

    @cached_property
    def key(self) -> str:
        """Of the effort, the inputs and the code: what a result depends on. Targets are no part of it."""
        return f"{self.effort} {_fingerprint()}"

    def _result(self, name: str) -> Path:
        return self.folder / "results" / f"{name}.json"


def _fingerprint() -> str:
    files = sorted(
        file for folder in SOURCES for file in folder.rglob("*") if file.suffix in (".py", ".toml")
    )
    digest = hashlib.sha256(INPUTS.read_bytes())
    for file in files:
        if PAGE not in file.parents:
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
