"""What the experiments found, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from examples.cost_of_dynamic_reasoning.hardware import Profile
from examples.cost_of_dynamic_reasoning.knee import Knee
from examples.cost_of_dynamic_reasoning.pair import Pair
from examples.cost_of_dynamic_reasoning.workspace import Result


@dataclass(frozen=True)
class Results:
    """All results of one run."""

    found: Mapping[str, Result]

    def alone(self, pair: Pair) -> Result:
        """One request at a time: cached, uncached, and what the trace holds."""
        return self.found[f"alone/{pair.file}"]

    def cached(self, pair: Pair) -> Result:
        """One request at a time, with the prefix cache."""
        found: Result = self.alone(pair)["cached"]
        return found

    def knee(self, benchmark: str, how: str, profile: Profile) -> Knee:
        """Of one workload under one profile."""
        return Knee.of(self.found[f"knee/{benchmark}-{how}-{profile.key}"])

    def series(self, name: str) -> dict[str, Result]:
        """Of scaling: what follows the name, in the order of running."""
        start = f"scaling/{name}/"
        return {key[len(start) :]: found for key, found in self.found.items() if key.startswith(start)}

    def __getitem__(self, name: str) -> Any:
        return self.found[name]
