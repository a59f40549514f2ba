"""Notes each child process that the recorder cannot follow into: who it was, never what it was told."""

from __future__ import annotations

import os

from .state import STATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FLAGS_WITH_ARGUMENT = "WX"
# what the standard library and the SDKs ask the platform by; they call no model
_PROBES = frozenset(
    ("uname", "file", "ldconfig", "lsb_release", "getconf", "sw_vers", "hostname", "stty", "tput")
)


def started(executable: Any, argv: Any, environment: Any) -> None:
    """Note a process that the agent started, unless it is one that we follow.

    Parameters
    ----------
    executable : the program's file; None if it is `argv`'s first word.
    argv : its words, or a single one.
    environment : None if it is the agent's own.
    """
    if isinstance(argv, (str, bytes)) or not isinstance(argv, (list, tuple)):
        argv = [argv]
    words = [_word(word) for word in argv]
    program = _word(executable) if executable else (words[0] if words else "")
    if " " in program and not os.path.exists(program):
        program = program.split(" ", 1)[0]  # a whole command line in place of a name
    why = _why_not_followed(program, words[1:], environment)
    if why:
        _note(os.path.basename(program), why, by_proxy=_goes_by_proxy(words, environment))


def _goes_by_proxy(words: list[str], environment: Any) -> bool:
    """Whether the process gets an address of the proxy to call models by."""
    loopback = STATE.loopback
    if loopback is None:
        return False
    if _starts_clean(words):
        return loopback.leads_here(words, {})
    if environment is None:
        return bool(loopback.unset) or loopback.leads_here(words, os.environ)
    return loopback.leads_here(words, environment)


def _starts_clean(words: list[str]) -> bool:
    """Whether this is `env -i`, whose program gets nothing but what stands beside it."""
    if not words or os.path.basename(words[0]) != "env":
        return False
    return any(word in ("-", "-i", "--ignore-environment") for word in words[1:])


def _note(program: str, why: str, *, by_proxy: bool) -> None:
    writer = STATE.writer
    if writer is not None:
        fields: dict[str, Any] = {
            "pid": os.getpid(), "what": "process_not_followed", "detail": program[:80], "why": why,
        }  # fmt: skip
        if by_proxy:
            fields["by_proxy"] = True
        writer.write("note", writer.clock.now_ns(), fields)


def _word(value: Any) -> str:
    return os.fsdecode(value) if isinstance(value, (str, bytes, os.PathLike)) else str(value)


def _why_not_followed(program: str, arguments: list[str], environment: Any) -> str | None:
    if not is_python(program):
        return None if os.path.basename(program) in _PROBES else "not_python"
    if ignores_environment(arguments):
        return "flags"
    path = _python_path(os.environ if environment is None else environment)
    return None if STATE.injected_directory in path.split(os.pathsep) else "environment"


def _python_path(environment: Any) -> str:
    for (
        name,
        value,
    ) in environment.items():  # names may be text or bytes, and may not be compared with the other
        if _word(name) == "PYTHONPATH":
            return _word(value)
    return ""


def ignores_environment(arguments: list[str]) -> bool:
    """Whether a Python so called skips `site` or PYTHONPATH (-S, -I, -E, alone or among other flags)."""
    skip = False
    for argument in arguments:
        if skip:
            skip = False
            continue
        if not argument.startswith("-") or argument == "-" or argument.startswith("--"):
            return False
        for position, flag in enumerate(argument[1:], 1):
            if flag in "SIE":
                return True
            if flag in "cm":
                return False
            if flag in _FLAGS_WITH_ARGUMENT:
                skip = position == len(argument) - 1
                break
    return False


def is_python(program: str) -> bool:
    """Whether this is a Python, or a script that one runs."""
    if _is_python_name(os.path.basename(program)):
        return True
    return _is_python_script(program)


def _is_python_name(name: str) -> bool:
    name = name.lower()
    if name.endswith(".exe"):
        name = name[:-4]
    for prefix in ("python", "pypy"):
        if name.startswith(prefix):
            return name[len(prefix) :].replace(".", "").rstrip("t").isdigit() or name == prefix
    return False


def _is_python_script(program: str) -> bool:
    """Whether the program is a text file that Python runs, such as an installed command."""
    path = program if os.sep in program else _on_path(program)
    try:
        with open(path, "rb") as stream:
            first = stream.readline(256)
            second = stream.readline(256)
    except OSError:
        return False
    if not first.startswith(b"#!"):
        return False
    if second.startswith(b"'''exec'"):  # pip's way round a path too long for the first line
        return _is_python_name(os.path.basename(second.split(b'"')[1].decode("utf-8", "replace")))
    words = first[2:].decode("utf-8", "replace").split()
    if words and os.path.basename(words[0]) == "env":
        words = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    return bool(words) and _is_python_name(os.path.basename(words[0]))


def _on_path(program: str) -> str:
    for directory in os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(directory, program)
        if os.path.isfile(path):
            return path
    return program
