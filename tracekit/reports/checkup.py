"""The checks of `tracekit doctor`: installation, GPU power, clients, kernels, folders."""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
import threading
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Literal

import pynvml
from rich.table import Table

from tracekit.analyzers.kernels.code_file import CodeFile
from tracekit.collectors.proxy.beside import is_installed
from tracekit.errors import PROXY_INSTALL
from tracekit.reports.terminal import wide_console

DISTRIBUTION = "tracekit-replay"
DRIVER_PATIENCE_SECONDS = 5.0
HOOKED_CLIENTS = ("httpx", "httpx2", "aiohttp", "urllib3", "websockets")


@dataclass(frozen=True)
class Check:
    """One thing looked at. `state`: ok, note (works, with less) or mend (something to do)."""

    name: str
    state: Literal["ok", "note", "mend"]
    detail: str


def checks() -> list[Check]:
    """Every check, in the order a user would ask."""
    return [_interpreter(), _name_clash(), _gpu_power(), *_clients(), _proxy(), _kernels(), _folder()]


def to_json(results: list[Check]) -> str:
    """The JSON text that `--json` prints."""
    every: dict[str, object] = {"schema_version": 1, "trace": None, "assumptions": [], "sources": {}}
    return json.dumps(every | {"checks": [asdict(check) for check in results]}, indent=2)


def print_checks(results: list[Check]) -> None:
    """The checks as a table on stdout."""
    table = Table("check", "", "finding")
    for check in results:
        table.add_row(check.name, check.state, check.detail)
    wide_console().print(table)


def _interpreter() -> Check:
    return Check("python", "ok", f"{sys.version.split()[0]} at {sys.executable}")


def _name_clash() -> Check:
    """Other distributions install the same import name; the last one installed wins silently."""
    owners = set(importlib.metadata.packages_distributions().get("tracekit", [])) - {DISTRIBUTION}
    if owners:
        names = ", ".join(sorted(owners))
        return Check(
            "package",
            "mend",
            f"{names} also installs 'tracekit'; uninstall it, then reinstall {DISTRIBUTION}",
        )
    return Check("package", "ok", f"only {DISTRIBUTION} provides 'tracekit'")


def _gpu_power() -> Check:
    """In a thread that can be left behind: a driver may hang."""
    found: list[Check] = []
    asking = threading.Thread(target=lambda: found.append(_driver()), daemon=True)
    asking.start()
    asking.join(DRIVER_PATIENCE_SECONDS)
    if found:
        return found[0]
    return Check("GPU power", "mend", "the NVIDIA driver does not answer; traces are recorded without power")


def _driver() -> Check:
    try:
        pynvml.nvmlInit()
        count, driver = pynvml.nvmlDeviceGetCount(), pynvml.nvmlSystemGetDriverVersion()
        pynvml.nvmlShutdown()
    except pynvml.NVMLError as error:
        return Check("GPU power", "note", f"no NVML here ({error}); traces are recorded without power")
    return Check("GPU power", "ok", f"NVML sees {count} GPU(s), driver {driver}")


def _clients() -> list[Check]:
    found = [name for name in HOOKED_CLIENTS if find_spec(name) is not None]
    detail = (
        f"{', '.join(found)} in this environment"
        if found
        else "none in this environment; the agent's own counts"
    )
    return [Check("clients that are recorded", "ok" if found else "note", detail)]


def _proxy() -> Check:
    if is_installed():
        return Check("proxy", "ok", "programs that are not Python are recorded by their base-URL variables")
    return Check("proxy", "note", f"calls of Python processes only; {PROXY_INSTALL} for others")


def _kernels() -> Check:
    """Whether replays start at once, and what keeps them from it."""
    file = CodeFile.ours()
    if file.read() is not None:
        return Check("replay kernels", "ok", f"compiled, {file.path}")
    why = file.refused()
    if why is None:
        return Check(
            "replay kernels", "note", "not compiled yet: the first replay will take some 40 s longer"
        )
    last = why.strip().splitlines()[-1]
    return Check(
        "replay kernels",
        "note",
        f"compiled by numba itself, slowly ({last}); remove {file.refusal} to try again",
    )


def _folder() -> Check:
    here = os.getcwd()
    if os.access(here, os.W_OK):
        return Check("folder", "ok", f"{here} can be written")
    return Check("folder", "mend", f"{here} is read-only; pass -o with a path elsewhere")
