"""Hooks on what starts processes, so that `children` can note those that the recorder cannot follow into.

An audit hook would hear of them all, but it is called for `id()` and `sys._getframe()` too, and slows the whole
agent. So `subprocess.Popen` is wrapped when it is imported, and four kinds of functions in `os` are replaced.
"""

from __future__ import annotations

import os
import sys

from .state import STATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

_POPEN = (
    "args", "bufsize", "executable", "stdin", "stdout", "stderr", "preexec_fn", "close_fds", "shell", "cwd", "env",
)  # fmt: skip
_COPIED = ("__name__", "__qualname__", "__doc__", "__text_signature__")


class Wrapped:
    """A function of `os` that tells before, or after, the real one ran.

    Like the built-in function that it stands for, and unlike a function written in Python, it does not become
    a method where a class holds it; and it is copied and pickled by its name.

    Parameters
    ----------
    original : the real function.
    tell : called with the arguments of the call.
    is_last : whether nothing runs after the real one, so that it must be told of before.
    """

    def __init__(self, original: Any, tell: Callable[..., None], *, is_last: bool = False) -> None:
        self.__module__ = "os"
        self._name = str(original.__name__)
        for name in _COPIED:
            setattr(self, name, getattr(original, name, None))
        self.__wrapped__ = original
        self._tell = tell
        self._is_last = is_last
        self._gives_pid = self._name.startswith("posix_spawn")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._is_last:
            _quietly(self._tell, args, kwargs)
            return self.__wrapped__(*args, **kwargs)
        caller = sys._getframe(1).f_globals.get("__name__")
        result = self.__wrapped__(*args, **kwargs)
        if caller != "subprocess":  # told of by Popen already
            _quietly(self._tell, args, kwargs)
            if self._gives_pid:
                _belongs(result)
        return result

    def __repr__(self) -> str:
        return repr(self.__wrapped__)

    def __reduce__(self) -> str:
        return self._name


def patch_os() -> None:
    """Wrap what `os` starts processes with, once."""
    for name, tell, is_last in (
        ("posix_spawn", _spawned, False),
        ("posix_spawnp", _spawned, False),
        ("execv", _executed, True),
        ("execve", _executed, True),
        ("system", _system, False),
    ):
        original = getattr(os, name, None)
        if original is None or isinstance(original, Wrapped):
            continue
        wrapped = Wrapped(original, tell, is_last=is_last)
        for abilities in (os.supports_fd, os.supports_dir_fd, os.supports_follow_symlinks):
            if original in abilities:
                abilities.add(wrapped)
        setattr(os, name, wrapped)


def patch(module: ModuleType) -> None:
    """Wrap what this module, `subprocess` or `multiprocessing.process`, starts processes with, once."""
    if module.__name__ == "subprocess":
        _patch_popen(module.Popen)
    else:
        _patch_process(module.BaseProcess)


def _patch_process(process: Any) -> None:
    import functools

    original = process.start
    if hasattr(original, "__tracekit__"):
        return

    @functools.wraps(original)
    def start(self: Any) -> None:
        original(self)
        _belongs(self.pid)

    start.__tracekit__ = True  # type: ignore[attr-defined]
    process.start = start


def _patch_popen(popen: Any) -> None:
    import functools

    original = popen.__init__
    if hasattr(original, "__tracekit__"):
        return

    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        kwargs = _with_base_urls(kwargs)
        original(self, *args, **kwargs)
        _quietly(_opened, args, kwargs)
        _belongs(self.pid)

    __init__.__tracekit__ = True  # type: ignore[attr-defined]
    popen.__init__ = __init__


def _belongs(child_pid: Any) -> None:
    """Write down which session, tool and flow started the process, if any did."""
    try:
        from .context import child_facts

        facts = child_facts()
        writer = STATE.writer
        if facts and writer is not None:
            fields = {"pid": os.getpid(), "child_pid": child_pid, **facts}
            writer.write("child", writer.clock.now_ns(), fields)
    except Exception as error:
        STATE.failed("children", error)


def _quietly(tell: Callable[..., None], args: Any, kwargs: Any) -> None:
    try:
        tell(*args, **kwargs)
    except Exception as error:
        STATE.failed("children", error)


def _with_base_urls(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Popen's arguments by name; an environment among them that our variables were hidden from gets them back."""
    if STATE.loopback is None or kwargs.get("env") is None:
        return kwargs
    try:
        from .loopback import environment_for_child

        return {**kwargs, "env": environment_for_child(kwargs["env"])}
    except Exception as error:
        STATE.failed("children", error)
        return kwargs


def _opened(*args: Any, **kwargs: Any) -> None:
    from .children import started

    given = {**dict(zip(_POPEN, args)), **kwargs}
    argv, executable, environment = given.get("args"), given.get("executable"), given.get("env")
    if given.get("shell"):
        started(executable or "sh", ["sh"], environment)
    elif isinstance(argv, (str, bytes, os.PathLike, list, tuple)):
        started(executable, argv, environment)
    else:  # Popen takes any iterable; an iterator is used up by now
        started(executable or "?", [] if iter(argv) is argv else list(argv), environment)  # type: ignore[arg-type]


def _spawned(path: Any, argv: Any, env: Any = None, **named: Any) -> None:
    from .children import started

    started(path, argv, env)


def _executed(path: Any, argv: Any, env: Any = None) -> None:
    if isinstance(path, int) or not os.path.exists(path):
        return  # `execvp` asks one directory after the other
    from .children import started

    started(path, argv, env)


def _system(command: Any) -> None:
    from .children import started

    started("sh", ["sh"], None)
