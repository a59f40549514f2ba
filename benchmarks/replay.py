"""What a replay costs: `python -m benchmarks replay [--peers] [--rows ...] [--markdown FILE]`.

docs/benchmarks.md says what each row is. Everything that holds arrays runs in a process of its own, and CPU seconds and
peak memory are the operating system's, of whole processes unless a row says `engine`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import dynosim
from benchmarks.claude_code import import_sessions, session_files, write_fleet
from benchmarks.figures import Figure, Figures
from benchmarks.machine import machine_in_words
from benchmarks.process import Cost, cost, in_turn, told_by

TRACEKIT = [sys.executable, "-m", "tracekit"]
ROUTERS = ("session-affine", "prefix-aware")
REQUESTS = 10_000
PEER_SESSIONS = 5
"""DynoSim takes some 17 ms of CPU for a call of these, so a hundred sessions would take it minutes a run."""
PLOT = Path(__file__).parents[1] / "docs" / "replay-scaling.svg"
ONE_H100 = '[fleet]\ngpu = "H100"\nmodel = "Llama-3.1-8B"\n'
H100_KV_TOKENS = 400_000
"""Room beside the weights of an 8B model, in round figures, for a simulator that is told and does not work it out."""


@dataclass(frozen=True)
class Bench:
    """What the rows share."""

    folder: Path
    runs: int
    peer_runs: int
    million_sessions: int
    largest: int
    plot: Path
    python_of_peer: Path | None  # None: not asked for, or pip cannot get it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--peers", action="store_true", help="also DynoSim, installed in a cache folder")
    parser.add_argument("--rows", default=",".join(ROWS), help=f"some of {','.join(ROWS)}")
    parser.add_argument("--markdown", type=Path, help="also write the table into this file")
    parser.add_argument("--counted-runs", type=int, default=7, help="of whole processes")
    parser.add_argument("--peer-runs", type=int, default=3, help="of the peer on agents' sessions")
    parser.add_argument("--million-sessions", type=int, default=1_000_000)
    parser.add_argument("--largest", type=int, default=1_000_000, help="calls in a point of scaling")
    parser.add_argument("--plot", type=Path, default=PLOT, help="of scaling")


def print_replay(options: argparse.Namespace) -> None:
    """Prints the rows asked for, and writes them if asked to."""
    wanted = options.rows.split(",")
    if unknown := set(wanted) - set(ROWS):
        raise SystemExit(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    peer = dynosim.interpreter() if options.peers else None
    figures = Figures([f"Measured on {machine_in_words()}.", _peers_in_words(options.peers, peer)])
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(
            Path(folder), options.counted_runs, options.peer_runs, options.million_sessions, options.largest,
            options.plot, peer,
        )  # fmt: skip
        for row in (name for name in ROWS if name in wanted):
            figures.take(ROWS[row](bench))
    if options.markdown is not None:
        figures.write(options.markdown)
        print(f"written into {options.markdown}", flush=True)


def _peers_in_words(asked: bool, python: Path | None) -> str:
    if not asked:
        return "Peers were not asked for in this run."
    if python is None:
        return "Peers: not measured, pip cannot get `ai-dynamo` here."
    return f"Peers: DynoSim, `ai-dynamo=={dynosim.VERSION}` from PyPI, in turn with ours in the same run."


# --- rows 1 and 2: ten thousand requests ---


def _azure(bench: Bench) -> Iterator[Figure]:
    trace, source = _requests(bench)
    ours = [*TRACEKIT, "replay", str(trace), "--gpu", "H100", "--model", "Llama-3.1-8B", "--json"]
    what = f"`tracekit replay`, {REQUESTS:,} calls, 1 replica, whole process; {source}"
    target = "<= 0.8 CPU s, <= 250 MB"
    if bench.python_of_peer is None:
        yield Figure("azure", what, _words(cost(ours, bench.runs)), target)
        return
    rows, report = bench.folder / "azure.jsonl", bench.folder / "azure.json"
    dynosim.write_requests(rows, REQUESTS)
    theirs = dynosim.azure_command(bench.python_of_peer, rows, report, H100_KV_TOKENS)
    mine, peer = in_turn([ours, theirs], bench.runs)
    yield Figure("azure", what, _words(mine), target)
    ratio = f"{peer.cpu_s / mine.cpu_s:.1f} times ours"
    yield Figure(
        "azure", f"DynoSim {dynosim.VERSION}, the same requests, 1 worker", f"{_words(peer)}; {ratio}"
    )


def _engine(bench: Bench) -> Iterator[Figure]:
    trace, source = _requests(bench)
    fleet = bench.folder / "one.toml"
    fleet.write_text(ONE_H100)
    told = told_by([*_python("engine"), str(trace), str(fleet), str(3 * bench.runs)])
    what = f"`replay_pools` alone, {told['calls']:,} calls, 1 replica; {source}"
    yield Figure("engine", what, _engine_words(told), ">= 1,000,000 calls/CPU s")


def _requests(bench: Bench) -> tuple[Path, str]:
    """The trace, and where its lengths come from."""
    trace = bench.folder / "azure.parquet"
    source = bench.folder / "azure.txt"
    if not trace.is_file():
        write = [*_python("open_loop"), str(trace), str(REQUESTS)]
        source.write_text(subprocess.run(write, capture_output=True, text=True, check=True).stdout.strip())
    return trace, source.read_text()


# --- row 3: agents' sessions ---


def _claude(bench: Bench) -> Iterator[Figure]:
    files = session_files()
    if not files:
        yield Figure("claude", "recorded Claude Code sessions", "not measured: the sessions are missing here")
        return
    trace = bench.folder / "claude.parquet"
    import_sessions(files, trace)
    for router in ROUTERS:
        yield from _claude_router(bench, trace, len(files), router)
    yield _definition(trace, write_fleet(bench.folder, ROUTERS[0]))
    if bench.python_of_peer is not None:
        yield from _claude_peer(bench, bench.python_of_peer, files, trace)


def _claude_router(bench: Bench, trace: Path, sessions: int, router: str) -> Iterator[Figure]:
    fleet = write_fleet(bench.folder, router)
    whole = cost([*TRACEKIT, "replay", str(trace), "--fleet", str(fleet), "--json"], bench.runs)
    told = told_by([*_python("engine"), str(trace), str(fleet), str(3 * bench.runs)])
    what = f"`tracekit replay`, {sessions} sessions, {told['calls']:,} calls, 4 replicas, {router}"
    yield Figure("claude", f"{what}, whole process", _words(whole), "<= 1.5 CPU s, <= 400 MB")
    found = f"hit fraction {told['hit_fraction']:.4f}, {told['refused']} refused"
    yield Figure(
        "claude", f"{router}, engine alone", f"{_engine_words(told)}; {found}", ">= 100,000 calls/CPU s"
    )


def _definition(trace: Path, fleet: Path) -> Figure:
    told = told_by([*_python("definition"), str(trace), str(fleet), "3"])
    kernel, definition = told["kernel_hit_fraction"], told["definition_hit_fraction"]
    same = "every call, segment and time too" if told["same"] else "but not the same replay"
    measured = (
        f"kernel {kernel:.6f}, definition {definition:.6f}: {same}; {told['definition_cpu_s']:.0f} CPU s"
    )
    what = f"hit fraction of 3 small sessions, {told['calls']} calls, against the definition in plain Python"
    return Figure("claude", what, measured, "equal")


def _claude_peer(bench: Bench, python: Path, files: list[Path], every: Path) -> Iterator[Figure]:
    """Both on the first sessions, since the peer takes too long for all; ours on all of them in turn with that."""
    few, rows, report = (bench.folder / name for name in ("few.parquet", "few.jsonl", "few.json"))
    import_sessions(files[:PEER_SESSIONS], few)
    dynosim.export_sessions(few, rows)
    fleet = write_fleet(bench.folder, "prefix-aware")
    ours = [[*TRACEKIT, "replay", str(trace), "--fleet", str(fleet), "--json"] for trace in (few, every)]
    theirs = dynosim.claude_command(python, rows, report, 4_000_000)
    mine, mine_all, peer = in_turn([*ours, theirs], bench.peer_runs)
    calls, hit = dynosim.told(report)
    all_calls = told_by([*_python("engine"), str(every), str(fleet), "1"])["calls"]
    what = f"the first {PEER_SESSIONS} sessions, {calls:,} calls"
    yield Figure("claude", f"{what}, `tracekit replay`, prefix-aware, whole process", _words(mine))
    yield Figure(
        "claude",
        f"{what}, DynoSim {dynosim.VERSION}, 4 workers, KV router",
        f"{_words(peer)}; {peer.cpu_s / mine.cpu_s:.1f} times ours; hit fraction {hit:.4f}",
    )
    scaled_s = peer.cpu_s / calls * all_calls
    yield Figure(
        "claude",
        f"DynoSim's CPU per call, {1e3 * peer.cpu_s / calls:.1f} ms, times all {all_calls:,} calls (not run)",
        f"{scaled_s:.0f} CPU s; ours, run: {_words(mine_all)}; {scaled_s / mine_all.cpu_s:.0f} times ours",
    )


# --- rows 4 and 5: large ones ---


def _million(bench: Bench) -> Iterator[Figure]:
    told = told_by([*_python("million"), str(bench.million_sessions)])
    what = f"engine, {told['sessions']:,} sessions x 10 calls, 64 replicas, closed loop"
    measured = (
        f"{told['cpu_s']:.1f} CPU s ({1e6 * told['cpu_s'] / told['calls']:.2f} µs per call), "
        f"{told['peak_mb']:,.0f} MB peak, {told['before_mb']:,.0f} MB of it before the replay; "
        f"{told['engine_steps']:,} engine steps, mean wait {1e3 * told['mean_wait_s']:.0f} ms, "
        f"{told['refused']} refused"
    )
    yield Figure("million", what, measured, "<= 30 CPU s, <= 2,000 MB")
    sessions = min(100_000, bench.million_sessions)
    held = told_by([*_python("million"), str(sessions), "arrays"])
    arrays = ", ".join(f"{name} {size:.0f}" for name, size in held["arrays"].items() if size >= 2)
    yield Figure("million", f"bytes per call in memory, {held['calls']:,} calls", arrays)


def _scaling(bench: Bench) -> Iterator[Figure]:
    told = told_by([*_python("scaling"), str(bench.plot), str(bench.largest)])
    for one in told["series"]:
        points = ", ".join(f"{size:,}: {us:.1f}" for size, us in zip(one["sizes"], one["us"], strict=True))
        grows = f"; upper half grows as size ^ {one['exponent']:.2f}"
        # a call among more calls is to cost the same; one among more replicas, or a longer one, in proportion
        limit = 0.2 if "calls" in one["against"] else 1.0
        if one["exponent"] > limit:
            grows += f", faster than linear (engine steps per call {_steps(one)})"
        what = f"CPU µs per call against {one['against']}, {one['name']}"
        yield Figure("scaling", what, points + grows, "no faster than linear")


def _steps(one: dict[str, list[float]]) -> str:
    return ", ".join(f"{steps:.0f}" for steps in one["steps_per_call"])


ROWS: dict[str, Callable[[Bench], Iterator[Figure]]] = {
    "azure": _azure,
    "engine": _engine,
    "claude": _claude,
    "million": _million,
    "scaling": _scaling,
}


# --- words ---


def _python(module: str) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.{module}"]


def _words(measured: Cost) -> str:
    return (
        f"{measured.cpu_s:.2f} CPU s (median of {measured.runs}, {measured.cpu_min_s:.2f}-{measured.cpu_max_s:.2f}), "
        f"{measured.memory_mb:,.0f} MB"
    )


def _engine_words(told: dict[str, float]) -> str:
    rate = told["calls"] / told["cpu_s"]
    spread = f"{1e3 * told['cpu_min_s']:.1f}-{1e3 * told['cpu_max_s']:.1f}"
    return f"{rate:,.0f} calls/CPU s ({1e3 * told['cpu_s']:.1f} ms, {spread}), {told['engine_steps']:,} engine steps"
