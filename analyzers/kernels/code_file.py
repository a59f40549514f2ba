"""The file that keeps the kernels' machine code from one process to the next.

Its name says what the code depends on: these sources, the compilers, the processor, and what steers them. So a
stale file is never looked at, and processes that compile at once write the same.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

STEERED_BY = ("CPU_NAME", "CPU_FEATURES", "OPT", "BOUNDSCHECK", "LOOP_VECTORIZE", "SLP_VECTORIZE")
"""What numba compiles by, each with NUMBA_ before it."""

KEPT = 3
"""Files of one folder: as many releases, or settings, can take turns without compiling."""


class CodeFile(NamedTuple):
    """Where the machine code of this process's sources is kept, or would be."""

    path: Path

    @classmethod
    def ours(cls) -> CodeFile:
        """Return the file for this processor, these compilers and sources."""
        return cls(_folder() / f"kernels-{_key()}.machine_code")

    def read(self) -> tuple[dict[str, Any], bytes] | None:
        """Return the header and the code; None if there is no such file, or it is damaged."""
        try:
            digest, _, rest = self.path.read_bytes().partition(b"\n")
        except OSError:
            return None
        if digest != _digest(rest):
            return None
        header, _, code = rest.partition(b"\n")
        return json.loads(header), code

    def write(self, header: dict[str, Any], code: bytes) -> None:
        """Write the file as a whole or not at all, and sweep the oldest of its like."""
        rest = json.dumps(header).encode() + b"\n" + code
        self._put(_digest(rest) + b"\n" + rest)
        self.refusal.unlink(missing_ok=True)
        self._sweep()

    @property
    def refusal(self) -> Path:
        """Where it is kept why the code could not be compiled, so that it is not tried in every process."""
        return self.path.with_suffix(".refused")

    def refuse(self, why: str) -> None:
        """Keep why there is no code; without a folder to write to, the next process tries again."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.refusal.write_text(why)
        except OSError:
            return

    def refused(self) -> str | None:
        """Return why the code could not be compiled; None if it was not tried."""
        try:
            return self.refusal.read_text()
        except OSError:
            return None

    def _put(self, content: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self.path.parent, suffix=".part")
        try:
            with open(handle, "wb") as file:
                file.write(content)
            os.replace(name, self.path)
        except BaseException:
            os.unlink(name)
            raise

    def _sweep(self) -> None:
        for pattern in ("kernels-*.machine_code", "kernels-*.refused"):
            files = sorted(self.path.parent.glob(pattern), key=_written, reverse=True)
            for old in files[KEPT:]:
                old.unlink(missing_ok=True)


def _written(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:  # swept by another process
        return 0.0


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def _key() -> str:
    key = hashlib.sha256()
    for part in (*_sources(), *_compilers(), *_target()):
        key.update(hashlib.sha256(part).digest())
    return key.hexdigest()[:24]


def _sources() -> list[bytes]:
    files = sorted(Path(__file__).parent.glob("*.py"))
    if not files:
        raise FileNotFoundError("the kernels' sources")
    return [file.read_bytes() for file in files]


def _compilers() -> list[bytes]:
    """Return their versions; importing numba takes longer than a replay."""
    found = (importlib.util.find_spec(name) for name in ("numba", "llvmlite"))
    files = [Path(spec.origin).with_name("_version.py") for spec in found if spec and spec.origin]
    return [file.read_bytes() for file in files]


def _target() -> list[bytes]:
    import llvmlite.binding as llvm  # noqa: PLC0415

    told = [f"{name}={os.environ.get(f'NUMBA_{name}', '')}" for name in STEERED_BY]
    host = [llvm.get_process_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()]
    return [word.encode() for word in host + told]


def _folder() -> Path:
    """Return where numba would keep its own: as told, else beside the sources, else the user's cache."""
    if told := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(told)
    beside = Path(__file__).parent / "__pycache__"
    room = beside if beside.is_dir() else beside.parent
    if os.access(room, os.W_OK) and not sys.flags.dont_write_bytecode:
        return beside
    import platformdirs  # noqa: PLC0415

    return platformdirs.user_cache_path("tracekit")
