"""A tiny run of the study. By itself it runs a part and prints hashes of traces and results: `small_run.py FOLDER`.

Which examples run is the caller's PYTHONPATH to say.
"""

import hashlib
import json
import sys
from pathlib import Path

from examples.cost_of_dynamic_reasoning.experiment import experiments
from examples.cost_of_dynamic_reasoning.knee import Load
from examples.cost_of_dynamic_reasoning.run import run_all
from examples.cost_of_dynamic_reasoning.traces import Size, every_pair
from examples.cost_of_dynamic_reasoning.workspace import Effort, Workspace

TINY = Effort(Size(6, 100, 1), Load(6, (1,)))


def tiny_experiments():
    """All but what-ifs on recorded sessions, which are not in the repository."""
    return [each for each in experiments() if not each.name.startswith("beyond/Claude Code")]


def is_short(name: str) -> bool:
    """Of the kinds that take a second or two together; of every pair there is one."""
    return name.startswith(("alone/", "energy/", "memory/", "knee/ShareGPT"))


def digests(space: Workspace) -> dict[str, str]:
    """Of every trace of a pair, and of what short experiments found."""
    short = [each for each in experiments() if is_short(each.name)]
    run_all(space, short, 2, lambda _name: None)
    found = {each.name: json.dumps(space.found(each.name), sort_keys=True).encode() for each in short}
    kept = {
        f"{pair.file}": (space.folder / "traces" / f"{pair.file}.parquet").read_bytes()
        for pair in every_pair()
    }
    return {name: hashlib.sha256(data).hexdigest() for name, data in (found | kept).items()}


if __name__ == "__main__":
    print(json.dumps(digests(Workspace(Path(sys.argv[1]), TINY))))
