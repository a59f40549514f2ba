"""`python -m benchmarks.recorder`: what recording costs, how true its times are, what survives a kill."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.figures import Figures
from benchmarks.machine import machine_in_words

ROWS = ("cost", "memory", "kills", "ttft", "tools")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recorder", description=__doc__)
    parser.add_argument("--rows", default=",".join(ROWS), help="which of %(default)s")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--calls", type=int, default=100_000, help="calls of the memory row")
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--streams", type=int, default=50)
    parser.add_argument("--tool-runs", type=int, default=50)
    parser.add_argument("--markdown", type=Path, help="page whose table is written")
    options = parser.parse_args()
    from benchmarks.recorder.cost import cost_figures, memory_figures  # noqa: PLC0415
    from benchmarks.recorder.first_token import first_token_figures  # noqa: PLC0415
    from benchmarks.recorder.kills import kill_figures  # noqa: PLC0415
    from benchmarks.recorder.tool_windows import tool_window_figures  # noqa: PLC0415

    figures = Figures([f"Measured on {machine_in_words()}."])
    print(figures.conditions[0], flush=True)
    for row, measure in (
        ("cost", lambda: cost_figures(options.runs)),
        ("memory", lambda: memory_figures(options.calls)),
        ("kills", lambda: kill_figures(options.kills)),
        ("ttft", lambda: first_token_figures(options.streams)),
        ("tools", lambda: tool_window_figures(options.tool_runs)),
    ):
        if row in options.rows.split(","):
            figures.take(measure())
    if options.markdown:
        figures.write(options.markdown)


if __name__ == "__main__":
    main()
