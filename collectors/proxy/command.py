"""Whether the hooks can be put into a command: what it runs, behind the launchers in front of it, is Python."""

from __future__ import annotations

import os
from collections.abc import Sequence

from tracekit.collectors.inside.children import ignores_environment, is_python

# launcher -> its options that take a value in a word of their own
_WRAPPERS = {
    "env": ("-u", "--unset", "-C", "--chdir"),
    "nice": ("-n", "--adjustment"),
    "ionice": ("-c", "-n", "--class", "--classdata"),
    "nohup": (),
    "setsid": (),
    "time": ("-f", "--format", "-o", "--output"),
    "timeout": ("-k", "--kill-after", "-s", "--signal"),
    "stdbuf": ("-i", "-o", "-e"),
    "taskset": (),
    "numactl": ("-N", "-m", "-C", "--cpunodebind", "--membind", "--physcpubind"),
    "chrt": (),
    "xvfb-run": ("-n", "-s", "-e", "-f", "-p", "-w"),
}
_OPERANDS = {"timeout": 1, "taskset": 1, "chrt": 1}  # words of its own before the command
_RUNNERS = {  # launcher -> its subcommand, and options that take a value
    "uv": ("run", ("--with", "--with-editable", "--with-requirements", "--python", "-p", "--package", "--extra",
                   "--group", "--env-file", "--directory", "--project", "--index-url", "-m", "--module")),
    "poetry": ("run", ("-C", "--directory", "-P", "--project")),
    "pdm": ("run", ("-p", "--project", "--venv")),
    "rye": ("run", ()),
    "hatch": ("run", ()),
    "pipenv": ("run", ()),
    "pixi": ("run", ("-e", "--environment", "--manifest-path")),
    "conda": ("run", ("-n", "--name", "-p", "--prefix", "--cwd")),
    "mamba": ("run", ("-n", "--name", "-p", "--prefix", "--cwd")),
    "micromamba": ("run", ("-n", "--name", "-p", "--prefix", "--cwd")),
    "pyenv": ("exec", ()),
}  # fmt: skip
_PYTHON_TOOLS = frozenset(("uvx", "pipx"))


def is_python_command(command: Sequence[str]) -> bool:
    """Whether the command starts a Python that loads what PYTHONPATH names.

    Launchers such as `env A=b`, `timeout 10`, `uv run` and `poetry run` are looked through. A name that only the
    runner's own environment knows counts as Python: that is what such runners are for.
    """
    words = list(command)
    in_runner = False
    while words:
        name = os.path.basename(words[0])
        if name in _PYTHON_TOOLS:
            return True
        if name in _RUNNERS:
            rest = _behind_runner(name, words[1:])
            if rest is None:
                return is_python(words[0])
            if not rest:
                return True
            words, in_runner = rest, True
        elif name in _WRAPPERS:
            if name == "env" and _empties(words[1:]):
                return False
            words = _behind_wrapper(name, words[1:])
        else:
            return _is_python_program(words, in_runner=in_runner)
    return False


def program_of(command: Sequence[str]) -> str:
    """The name of the command itself."""
    return os.path.basename(command[0])


def _is_python_program(words: list[str], *, in_runner: bool) -> bool:
    if is_python(words[0]):
        return not ignores_environment(words[1:])
    return in_runner and (words[0].endswith(".py") or not _is_known(words[0]))


def _is_known(program: str) -> bool:
    if os.sep in program:
        return os.path.exists(program)
    return any(
        os.path.isfile(os.path.join(directory, program))
        for directory in os.environ.get("PATH", os.defpath).split(os.pathsep)
    )


def _behind_wrapper(name: str, words: list[str]) -> list[str]:
    words = _without_options(words, _WRAPPERS[name])
    if name == "env":
        while words and "=" in words[0]:
            words = words[1:]
    return words[_OPERANDS.get(name, 0) :]


def _behind_runner(name: str, words: list[str]) -> list[str] | None:
    """What the runner runs: nothing left means Python itself; None if this is another of its commands."""
    subcommand, options = _RUNNERS[name]
    words = _without_options(words, options)
    if not words or words[0] != subcommand:
        return None
    words = words[1:]
    rest = _without_options(words, options)
    given = words[: len(words) - len(rest)]
    return [] if {"-m", "--module", "-s", "--script"} & set(given) and name == "uv" else rest


def _without_options(words: list[str], with_value: Sequence[str]) -> list[str]:
    words = list(words)
    while words and words[0].startswith("-") and words[0] != "-":
        option = words.pop(0)
        if option == "--":
            break
        if option in with_value and words:
            words.pop(0)
    return words


def _empties(words: list[str]) -> bool:
    """Whether this `env` starts from nothing, or without PYTHONPATH."""
    for position, word in enumerate(words):
        if word in ("-i", "-", "--ignore-environment"):
            return True
        if word in ("-u", "--unset") and words[position + 1 : position + 2] == ["PYTHONPATH"]:
            return True
        if not word.startswith("-") and "=" not in word:
            break
    return False
