"""Environments of the clients: one folder each under .venv-clients, made from environments.toml."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOME = Path(os.environ.get("CLIENTS_HOME", ROOT / ".venv-clients"))
TABLE = Path(__file__).with_name("environments.toml")
UV = "uv==0.13.9"  # makes twenty environments in a minute; pip makes them in ten


class CannotMake(Exception):
    """An environment could not be made."""


def table() -> dict[str, dict[str, object]]:
    """The rows of environments.toml by name."""
    return tomllib.loads(TABLE.read_text())


def quick_names() -> list[str]:
    """Environments that continuous integration makes each time."""
    return [name for name, row in table().items() if row.get("quick")]


def run(command: list[str | Path], where: Path) -> None:
    """Run an installer and raise with what it said if it fails."""
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotMake(f"{' '.join(str(part) for part in command)}: {done.stderr.strip()[-800:]}")


def uv() -> Path:
    """The installer, in an environment of its own; clients that run side by side wait until one of them made it."""
    place = HOME / "uv"
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / "uv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "bin" / "uv").exists():
            run([sys.executable, "-m", "venv", place], HOME)
            run([place / "bin" / "python", "-m", "pip", "install", "--quiet", UV], HOME)
    return place / "bin" / "uv"


def make(name: str) -> Path:
    """The environment's folder; made if it is not there as the table wants it."""
    row, place = table()[name], HOME / name
    wanted = json.dumps(row, sort_keys=True)
    stamp = place / "made-from.json"
    if stamp.exists() and stamp.read_text() == wanted:
        return place
    place.mkdir(parents=True, exist_ok=True)
    if "npm" in row:
        (place / "package.json").write_text('{"private": true, "type": "module"}')
        run(["npm", "install", "--silent", "--no-audit", "--no-fund", *map(str, as_list(row["npm"]))], place)
    else:
        run([uv(), "venv", "--quiet", "--clear", "--python", sys.executable, place], HOME)
        python = place / "bin" / "python"
        run(
            [uv(), "pip", "install", "--quiet", "--python", python, *map(str, as_list(row["packages"]))], HOME
        )
    stamp.write_text(wanted)
    return place


def as_list(value: object) -> list[object]:
    """The value, which has to be a list."""
    assert isinstance(value, list)
    return value


def interpreter(name: str) -> list[str]:
    """What runs a program of this environment."""
    return ["node"] if "npm" in table()[name] else [str(HOME / name / "bin" / "python")]
