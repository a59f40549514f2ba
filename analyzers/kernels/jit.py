"""The decorators of every kernel, and how a kernel runs, which is decided once.

With NUMBA_DISABLE_JIT=1 kernels are the Python functions that they are written as. With machine code on disk the
entries call it, and the others are never called. Else numba is imported, and the first call of an entry has all of
them compiled for this process and the next ones; where that fails numba compiles as it would by itself, slowly.

No fastmath: joules and nanoseconds must add up. Kernels release the GIL so that replays may run in threads.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from tracekit.analyzers.kernels.code_file import CodeFile
from tracekit.analyzers.kernels.machine_code import MachineCode

LOG = logging.getLogger("tracekit")

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

IS_OFF = os.environ.get("NUMBA_DISABLE_JIT", "0") not in {"", "0"}


def stored_code() -> MachineCode | None:
    """Return the machine code on disk; None if there is none that this process can run."""
    try:
        stored = CodeFile.ours().read()
        return None if stored is None else MachineCode.of(*stored)
    except Exception as error:
        LOG.debug("the kernels' machine code cannot be used: %s", error)
        return None


CODE = None if IS_OFF else stored_code()

FLAGS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": False, "_nrt": False}
"""Without numba's runtime kernels cannot allocate, and do not count references: where every call hands on a dozen
arrays, the counting took 90 % of the time."""


def _decorator(**more: Any) -> Callable[[Kernel], Kernel]:
    if IS_OFF or CODE is not None:
        return lambda function: function
    from numba import njit  # noqa: PLC0415

    return cast(Callable[[Kernel], Kernel], njit(**FLAGS, **more))


kernel = _decorator(no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""For kernels that only read and write arrays which they are given. LLVM sees them all at once, and decides what to put
into its callers."""

small_kernel = _decorator(inline="always")
"""The same for a few lines, put into their callers before those are compiled: a call of them is more to compile."""


class Entry:
    """A kernel that Python calls and no kernel does, where there was no machine code at the start."""

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel
        self.name: str = kernel.py_func.__name__
        self.way: Callable[..., Any] | None = None

    def __call__(self, *arguments: Any) -> Any:
        """Have all kernels compiled at the first call."""
        if self.way is None:
            code = COMPILATION.result()
            self.way = self.kernel if code is None else code.kernel(self.name)
        return self.way(*arguments)

    def let_numba_cache(self) -> bool:
        """Return whether numba finds a folder to keep what it compiles."""
        try:
            self.kernel.enable_caching()
        except RuntimeError as error:
            LOG.debug("numba keeps nothing: %s", error)
            return False
        return True

    def is_cached_by_numba(self) -> bool:
        """Whether numba's cache has the kernel, newer than its source."""
        function = self.kernel.py_func
        source = Path(function.__code__.co_filename)
        line = function.__code__.co_firstlineno
        if not self.let_numba_cache():
            return False
        found = Path(self.kernel.stats.cache_path).glob(f"{source.stem}.{self.name}-{line}.*.nbi")
        return any(file.stat().st_mtime >= source.stat().st_mtime for file in found)


ENTRIES: dict[str, Entry] = {}


def entry_kernel(function: Kernel) -> Kernel:
    """Decorate a kernel that Python calls."""
    if IS_OFF:
        return function
    if CODE is not None:
        return cast(Kernel, CODE.kernel(function.__name__))
    entry = ENTRIES[function.__name__] = Entry(_decorator()(function))
    return cast(Kernel, entry)


class Compilation:
    """What became of compiling in this process, which is tried once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_over = False
        self._code: MachineCode | None = None

    def result(self) -> MachineCode | None:
        """Return the machine code; None if numba itself has to do."""
        with self._lock:
            if not self._is_over:
                self._code = compiled()
                self._is_over = True
                if self._code is None:
                    leave_to_numba()
            return self._code

    def is_ready(self) -> bool:
        """Whether entries need not wait for it: it is over, or numba has its own cache."""
        if self._is_over:
            return True
        is_refused = CodeFile.ours().refused() is not None
        return is_refused and all(entry.is_cached_by_numba() for entry in ENTRIES.values())


COMPILATION = Compilation()


def is_compiled() -> bool:
    """Whether the next call of an entry starts at once."""
    return IS_OFF or CODE is not None or COMPILATION.is_ready()


def compiled() -> MachineCode | None:
    """Have the kernels compiled in a process of its own: whatever fails there leaves no trace in this one."""
    file = CodeFile.ours()
    why = file.refused() or compile_to(file)
    if why:
        LOG.debug("numba compiles the kernels by itself: %s", why)
        return None
    return stored_code()


COMPILER = ("-P", "-m", "tracekit.analyzers.kernels.compilation")
"""What Python runs in the process that compiles."""


def compile_to(file: CodeFile) -> str | None:
    """Return why there is no machine code; None if there is."""
    words = [sys.executable, *COMPILER]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    try:
        done = subprocess.run(
            words, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    except OSError as error:
        return str(error)
    if done.returncode == 0:
        return None
    why = done.stderr.strip() or f"exit code {done.returncode}"
    if done.returncode not in WAS_STOPPED:
        file.refuse(why)
    return why


WAS_STOPPED = {-signal.SIGINT, -signal.SIGTERM, -signal.SIGKILL}
"""Exit codes after which compiling is worth another try: no word on the kernels."""


def leave_to_numba() -> None:
    """Keep what numba compiles. It does not notice edits in kernels that an entry calls from other modules."""
    for entry in ENTRIES.values():
        entry.let_numba_cache()
