"""The clients that continuous integration tries each time, by `make test-clients-quick`."""

from __future__ import annotations

import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.clients import environments
from tests.clients.judge import judge, judge_run
from tests.clients.server import ClientServer
from tests.clients.session_of_cases import Run, batches, cases_of, run_batch

KNOWN = tomllib.loads(Path(__file__).with_name("known_failures.toml").read_text())
MODES: dict[str, list[str]] = {
    "raw": ["default", "proxy"],
    "openai-2": ["default"],
    "openai-3": ["default", "inject"],
    "langchain": ["default", "inject"],
    "npm": ["default"],
}

pytestmark = pytest.mark.clients


def test_quick_clients_are_those_of_the_table():
    assert sorted(MODES) == sorted(environments.quick_names())


def try_client(client: str, modes: list[str]) -> dict[tuple[str, str], list[str]]:
    """Every fault of a client, as lines."""
    environments.make(client)
    faults: dict[tuple[str, str], list[str]] = {(client, mode): [] for mode in modes}
    for program in environments.as_list(environments.table()[client]["programs"]):
        cases = cases_of(client, str(program))
        for batch in batches(cases):
            plain, *recorded = runs(client, str(program), batch, cases, [None, *modes])
            for mode, run in zip(modes, recorded, strict=True):
                faults[client, mode] += [f"*: {fault}" for fault in judge_run(run)]
                faults[client, mode] += [
                    f"{case}: {aspect}: {what}"
                    for case in batch
                    for aspect, what in judge(case, cases[case], mode, plain, run).faults
                ]
    return faults


def runs(
    client: str, program: str, batch: list[str], cases: dict[str, dict[str, Any]], modes: list[str | None]
) -> list[Run]:
    """The same cases in each mode at once, each with a server of its own."""

    def one(mode: str | None) -> Run:
        with ClientServer() as server:
            return run_batch(server, client, program, batch, cases[batch[0]].get("base") == "argument", mode)

    with ThreadPoolExecutor(len(modes)) as pool:
        return list(pool.map(one, modes))


# one test a client: its modes share its run without the recorder, and only one process makes its environment
@pytest.mark.parametrize("client", MODES)
def test_client_is_recorded_as_it_was_and_not_broken(client):
    found = try_client(client, MODES[client])
    known = {mode: KNOWN.get(client, {}).get(mode, {}) for mode in MODES[client]}
    new = [
        f"{mode}: {fault}"
        for (_client, mode), faults in found.items()
        for fault in faults
        if fault.split(":")[0] not in known[mode]
    ]
    gone = [
        f"{mode}: {case}"
        for mode, cases in known.items()
        for case in cases
        if not any(fault.startswith(f"{case}:") for fault in found[client, mode])
    ]
    assert new == []
    assert gone == [], "these failed once and no longer do: take them out of known_failures.toml"
