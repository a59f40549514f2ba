"""Runs a program's cases in its environment, plain or recorded, and keeps all that is needed to judge them."""

from __future__ import annotations

import copy
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pyarrow.parquet as pq

from tests.clients import environments
from tests.clients.programs import casebook
from tests.clients.server import ClientServer
from tests.clients.server_truth import EPOCH_OFFSET_NS, Served

PROGRAMS = Path(__file__).parent / "programs"
TIMEOUT_S = 400
HANGS = -1000
ADDRESS = re.compile(r"127\.0\.0\.1(:\d+(/[0-9a-f]{32})?|', port=\d+)")  # a server's, or a proxy's before it
MODES: dict[str, list[str]] = {"default": [], "inject": ["--usage", "inject"], "proxy": ["--proxy", "always"]}
QUIET = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "OTEL_SDK_DISABLED": "true",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "LANGSMITH_TRACING": "false",
    "ANONYMIZED_TELEMETRY": "false",
}
PASSED_ON = (
    "PATH",
    "LANG",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "NUMBA_CACHE_DIR",
    "PYENV_VERSION",
)


@dataclass
class Run:
    """One run of a program with some of its cases."""

    stdout: dict[str, str]
    stderr: str
    code: int
    served: list[Served]
    tools: list[dict[str, Any]]
    rows: list[dict[str, Any]] = field(default_factory=list)
    provenance: dict[str, Any] = field(default_factory=dict)
    trace_mode: int | None = None
    refused: str | None = None  # why the recorder did not start


def tracekit() -> list[str]:
    """The command line of the tracekit beside these tests, which may not be the installed one."""
    start = (
        f"import sys; sys.path.insert(0, {str(environments.ROOT)!r}); from tracekit.cli import main; main()"
    )
    return [sys.executable, "-c", start]


def recorder_knows(option: str) -> bool:
    """Whether `tracekit record` has an option yet."""
    return (
        option
        in subprocess.run(
            [*tracekit(), "record", "--help"], capture_output=True, text=True, check=True
        ).stdout
    )


def known_modes() -> list[str]:
    """The modes that this recorder has."""
    return [mode for mode, options in MODES.items() if not options or recorder_knows(options[0])]


def environment(server: ClientServer, folder: Path, explicit_base: bool) -> dict[str, str]:
    """What a program sees: an address, a key, nothing that reaches out."""
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    (folder / "home").mkdir(exist_ok=True)
    addresses = {
        "OPENAI_BASE_URL": f"{server.base}/v1",
        "OPENAI_API_BASE": f"{server.base}/v1",
        "AZURE_OPENAI_ENDPOINT": server.base,
        "ANTHROPIC_BASE_URL": server.base,
        "HOSTED_VLLM_API_BASE": f"{server.base}/v1",
    }
    return {
        **kept,
        **QUIET,
        **({} if explicit_base else addresses),
        "HOME": str(folder / "home"),
        "PYTHONHASHSEED": "0",
        "OPENAI_API_KEY": casebook.KEY,
        "AZURE_OPENAI_API_KEY": casebook.KEY,
        "ANTHROPIC_API_KEY": casebook.KEY,
        "HOSTED_VLLM_API_KEY": casebook.KEY,
        "CLIENTS_SERVER": server.base,
        "CLIENTS_TOOLS": str(folder / "tools.jsonl"),
        "CLIENTS_EPOCH_OFFSET_NS": str(EPOCH_OFFSET_NS),
        "CLIENTS_DEBUG": os.environ.get("CLIENTS_DEBUG", ""),
        "CLIENTS_NODE_HOME": str(environments.HOME / "npm"),
        "XDG_DATA_HOME": str(folder / "home"),
        "XDG_CONFIG_HOME": str(folder / "home"),
    }


def command_of(name: str, program: str) -> list[str]:
    """What starts a program in its environment."""
    return [*environments.interpreter(name), str(PROGRAMS / program)]


def cases_of(name: str, program: str) -> dict[str, dict[str, Any]]:
    """The cases a program has in this environment, with what each promises."""
    with ClientServer() as server, tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [*command_of(name, program), "--list"],
            env=environment(server, Path(folder), False),
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise environments.CannotMake(f"{program} in {name} does not start: {done.stderr[-1500:]}")
    cases: dict[str, dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return cases


def batches(cases: dict[str, dict[str, Any]]) -> list[list[str]]:
    """Cases that share a process: all, but those that end it, need a model that others use, or need no base URL."""
    together = [name for name, promise in cases.items() if not alone(promise)]
    return ([together] if together else []) + [[name] for name, promise in cases.items() if alone(promise)]


def alone(promise: dict[str, Any]) -> bool:
    """Whether a case needs a process of its own."""
    return bool(promise.get("alone") or promise.get("model") or promise.get("base") == "argument")


def by_case(stdout: str) -> dict[str, str]:
    """What each case printed."""
    parts = re.split(r"^=== (\S+)\n", stdout, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def run_batch(
    server: ClientServer, name: str, program: str, batch: list[str], explicit_base: bool, mode: str | None
) -> Run:
    """Run cases in one process; `mode` None is without the recorder."""
    server.reset()
    with tempfile.TemporaryDirectory(prefix="clients-") as temporary:
        folder = Path(temporary)
        env, trace = environment(server, folder, explicit_base), folder / "trace.parquet"
        command = [*command_of(name, program), *batch]
        if mode is not None:
            options = ["-o", str(trace), "--power-interval", "1", *MODES[mode]]
            command = [*tracekit(), "record", *options, "--", *command]
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            code = exit_code(command, folder, env, out, err)
        settle(server)
        stdout = ADDRESS.sub("127.0.0.1", (folder / "out").read_text(errors="replace"))
        notes = folder / "tools.jsonl"
        tools = [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []
        run = Run(
            by_case(stdout),
            (folder / "err").read_text(errors="replace"),
            code,
            copy.deepcopy(server.log.served),
            tools,
        )
        if mode is not None and not trace.exists():
            run.refused = f"no trace, exit code {code}: {run.stderr[-300:]}"
        if mode is not None and trace.exists():
            run.rows = pq.read_table(trace).to_pylist()
            run.provenance = json.loads(pq.read_metadata(trace).metadata[b"tracekit"])
            run.trace_mode = trace.stat().st_mode & 0o777
        if keep := os.environ.get("CLIENTS_KEEP"):
            keep_run(Path(keep) / f"{name}-{mode}-{batch[0]}", folder)
        return run


def exit_code(command: list[str], folder: Path, env: dict[str, str], out: IO[bytes], err: IO[bytes]) -> int:
    """The command's; `HANGS` if it does not end, and then `err` has where each of its processes was."""
    streams = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": err}
    env = {**env, "PYTHONFAULTHANDLER": "1"}
    with subprocess.Popen(command, cwd=folder, env=env, start_new_session=True, **streams) as process:
        try:
            return process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            for number in (signal.SIGABRT, signal.SIGKILL):
                os.killpg(process.pid, number)
                time.sleep(1)
            return HANGS


def keep_run(place: Path, folder: Path) -> None:
    """Keep a run's files for a look at them."""
    place.mkdir(parents=True, exist_ok=True)
    for file in ("out", "err", "trace.parquet"):
        if (folder / file).exists():
            (place / file).write_bytes((folder / file).read_bytes())


def settle(server: ClientServer) -> None:
    """Wait until the server has noticed that clients are gone, at most a second."""
    for _ in range(20):
        if all(served.end_ns for served in server.log.served):
            return
        time.sleep(0.05)
