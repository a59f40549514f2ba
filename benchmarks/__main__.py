"""Prints the figures: help, start-up added by `record`, analyze of a demo trace, replay of 10,000 calls.

`python -m benchmarks vidur` compares the replica with runs of Vidur instead, `python -m benchmarks demo` the slot
engine with the demo's own server; `python -m benchmarks estimates` holds tokens estimated by bytes to tokenizers (it
needs the package quicktok-v1); `python -m benchmarks replay` prints the table of what replays cost, which
docs/benchmarks.md explains; `python -m benchmarks proxy` measures the
recorder's proxy; `python -m benchmarks power` says what sampling and merging power cost; `python -m benchmarks sweep`
what a sweep costs, `python -m benchmarks size` what a sizing costs, and `python -m benchmarks.known_sizes` whether it
finds sizes that a formula knows.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import power, replay, size, sweep
from benchmarks.process import cost, paired
from tracekit.collectors.launch import INJECTED_DIRECTORY

TRACEKIT = [sys.executable, "-m", "tracekit"]
BARE = [sys.executable, "-c", "pass"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--trace", type=Path, help="a demo trace; recorded if not given")
    benchmarks = parser.add_subparsers(dest="benchmark")
    replay.add_arguments(benchmarks.add_parser("replay", help=replay.__doc__.splitlines()[0]))
    vidur = benchmarks.add_parser("vidur")
    vidur.add_argument(
        "--fit", type=Path, help="folder whose batches give the coefficients; vidur_1k if not given"
    )
    vidur.add_argument("--judge", type=Path, help="folder whose calls are replayed; the same if not given")
    benchmarks.add_parser("estimates")
    demo = benchmarks.add_parser("demo")
    demo.add_argument("--sessions", type=int, default=16)
    proxy = benchmarks.add_parser("proxy")
    proxy.add_argument("--calls", type=int, default=50)
    power.add_arguments(benchmarks.add_parser("power", help=power.__doc__.splitlines()[0]))
    sweep.add_arguments(benchmarks.add_parser("sweep", help=sweep.__doc__.splitlines()[0]))
    size.add_arguments(benchmarks.add_parser("size", help=size.__doc__.splitlines()[0]))
    options = parser.parse_args()
    if options.benchmark == "proxy":
        from benchmarks.proxy import print_proxy  # noqa: PLC0415

        print_proxy(options.calls)
    elif options.benchmark == "demo":
        from benchmarks.demo_server import print_demo  # noqa: PLC0415

        print_demo(options.sessions)
    elif options.benchmark == "estimates":
        from benchmarks.estimates import print_estimates  # noqa: PLC0415

        print_estimates()
    elif options.benchmark == "vidur":
        # not above: what this process holds at a fork would count as its children's memory
        from benchmarks.vidur import VIDUR_1K, print_vidur  # noqa: PLC0415

        fit = options.fit or VIDUR_1K
        print_vidur(fit, options.judge or fit)
    elif options.benchmark == "size":
        size.print_size(options)
    elif options.benchmark == "power":
        power.print_power(options)
    elif options.benchmark == "sweep":
        sweep.print_sweep_cost(options)
    elif options.benchmark == "replay":
        replay.print_replay(options)
    else:
        _print_all(options.runs, options.trace)


def _print_all(runs: int, demo: Path | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _print("tracekit --help", cost([*TRACEKIT, "--help"], runs), "<= 0.2 s CPU")
        _print_injection(Path(folder), runs)
        trace = demo or _demo(Path(folder))
        if trace is not None:
            _print(
                "tracekit analyze, demo trace, warm",
                cost([*TRACEKIT, "analyze", str(trace)], runs),
                "<= 2 s",
            )
        open_loop = Path(folder) / "open-loop.parquet"
        # in a process of its own: a child's peak memory is never below its parent's at the time of the fork
        write = [sys.executable, "-m", "benchmarks.open_loop", str(open_loop), "10000"]
        source = subprocess.run(write, capture_output=True, text=True, check=True).stdout.strip()
        replay = [*TRACEKIT, "replay", str(open_loop), "--gpu", "H100", "--json"]
        _print(
            "tracekit replay, 10,000 open-loop calls, warm",
            cost(replay, runs),
            f"<= 1 s CPU; {source}",
        )


def _print(what: str, measured: object, aim: str) -> None:
    print(
        f"{what}: {measured.cpu_s:.3f} s CPU median ({measured.cpu_min_s:.3f}-{measured.cpu_max_s:.3f}), "
        f"{measured.memory_mb:.0f} MB peak [{aim}]",
        flush=True,
    )


def _print_injection(folder: Path, runs: int) -> None:
    spool = folder / "spool"
    spool.mkdir()
    environment = {"PYTHONPATH": str(INJECTED_DIRECTORY), "TRACEKIT_SPOOL": str(spool)}
    added_ms = [1000 * difference for difference in paired(BARE, BARE, runs * 3, environment)]
    print(
        f"start-up that recording adds to `python -c pass`: {statistics.median(added_ms):.1f} ms CPU median of "
        f"{len(added_ms)} pairs ({min(added_ms):.1f} to {max(added_ms):.1f}) [<= 60 ms]",
        flush=True,
    )
    heavy = _heavy_modules(environment)
    print(
        f"modules beyond the standard library imported into the agent: {', '.join(heavy) or 'none'}",
        flush=True,
    )


def _heavy_modules(environment: dict[str, str]) -> list[str]:
    code = "import sys; print(*sorted({name.split('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)))"
    listed = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    bare = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return sorted(set(listed.stdout.split()) - set(bare.stdout.split()) - {"_tracekit_inside"})


def _demo(folder: Path) -> Path | None:
    trace = folder / "demo.parquet"
    done = subprocess.run(
        [*TRACEKIT, "demo", "-o", str(trace), "--json"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        print(
            f"analyze: not measured, the demo did not run: {done.stderr.strip().splitlines()[-1]}", flush=True
        )
        return None
    return trace


if __name__ == "__main__":
    main()
