"""`python -m tests.clients`: makes the environments, runs every case plain and recorded, writes docs/clients.md."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.clients import environments, results
from tests.clients.judge import judge, judge_run
from tests.clients.results import ClientResult
from tests.clients.server import ClientServer
from tests.clients.session_of_cases import Run, batches, cases_of, known_modes, run_batch

PAGE = environments.ROOT / "docs" / "clients.md"
RESULTS = environments.HOME / "results.json"


def try_client(name: str, modes: list[str], only: list[str]) -> list[ClientResult]:
    """All cases of a client in each mode; without the recorder once."""
    found = {mode: ClientResult(name, mode) for mode in modes}
    try:
        environments.make(name)
        for program in environments.as_list(environments.table()[name]["programs"]):
            try_program(name, str(program), found, only)
    except environments.CannotMake as error:
        for result in found.values():
            result.could_not_run = str(error)
    return list(found.values())


def try_program(name: str, program: str, found: dict[str, ClientResult], only: list[str]) -> None:
    """The cases of one program, added to the results."""
    cases = {case: promise for case, promise in cases_of(name, program).items() if not only or case in only}
    with ClientServer() as server:
        for batch in batches(cases):
            explicit = cases[batch[0]].get("base") == "argument"
            plain = run_batch(server, name, program, batch, explicit, None)
            for mode, result in found.items():
                recorded = run_batch(server, name, program, batch, explicit, mode)
                add(result, batch, cases, plain, recorded)


def add(
    result: ClientResult, batch: list[str], cases: dict[str, dict[str, object]], plain: Run, recorded: Run
) -> None:
    """Judge a batch."""
    if recorded.refused:
        result.run_faults.append(recorded.refused)
        return
    result.run_faults += judge_run(recorded)
    result.verdicts += [judge(case, cases[case], result.mode, plain, recorded) for case in batch]


def main() -> int:
    """0 if nothing was found; 1 if a fault is on the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.clients", description=__doc__)
    parser.add_argument("clients", nargs="*", help="rows of environments.toml; default: all")
    parser.add_argument("--quick", action="store_true", help="the clients of continuous integration only")
    parser.add_argument("--mode", action="append", help="default, inject or proxy; else all the recorder has")
    parser.add_argument("--case", action="append", default=[], help="these cases only; nothing is kept then")
    options = parser.parse_args()
    names = options.clients or (environments.quick_names() if options.quick else list(environments.table()))
    modes = options.mode or known_modes()
    kept = results.load(RESULTS)
    faults = 0
    for name in names:
        start = time.monotonic()
        for result in try_client(name, modes, options.case):
            kept[f"{name} {result.mode}"] = result
            lines = results.faults_of(result)
            faults += len(lines)
            print(
                f"{time.monotonic() - start:6.1f} s  {name}  " + "  ".join(results.summary(result)[1:8]),
                flush=True,
            )
            print("\n".join(lines), flush=True)
        if not options.case:
            results.save(RESULTS, kept)
            Path(PAGE).write_text(results.page(kept))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
