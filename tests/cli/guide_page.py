"""A guide as its reader has it: files to write down, commands to type, and what click says of each command."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import yaml

from tests.cli.command_line import ROOT
from tracekit.analyzers.metering.serving import Serves
from tracekit.analyzers.sizing.budget import Budget as SizeBudget
from tracekit.analyzers.sizing.slo import parse_slos
from tracekit.cli import tracekit
from tracekit.reports.budget import Budget

GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))
Words = list[str]
_OPERATORS = frozenset("();<>|&")
_BUDGETS = {"size": SizeBudget.parse, "diff": Budget.parse}


class Block(NamedTuple):
    """What stands between two fences."""

    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """All of them, in order."""
    return [
        Block(*found)
        for found in re.findall(r"^```(\S*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    ]


def block(page: Path, language: str, number: int = 0) -> str:
    """The text of one of a language's."""
    return [each.text for each in blocks(page) if each.language == language][number]


def commands(block: Block, entrypoint: Words) -> list[Words]:
    """The words after `tracekit` of every such command in a block; `entrypoint` is what the guides' image starts."""
    if block.language == "sh":
        return list(in_shell(block.text, entrypoint))
    if block.language == "yaml":
        return list(in_yaml(yaml.safe_load(block.text), entrypoint))
    if block.language == "dockerfile":
        return list(_of(image_start(block.text)))
    return []


def inline(page: Path) -> list[Words]:
    """The commands with options that stand in the page's sentences."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]
    return [words for span in spans if " -" in span for words in in_shell(span, [])]


def image_start(dockerfile: str) -> Words:
    """What a container of that image runs when it is told nothing else."""
    parts = [re.search(rf"^{name} (\[.*\])$", dockerfile, re.MULTILINE) for name in ("ENTRYPOINT", "CMD")]
    return [word for part in parts if part for word in json.loads(part[1])]


def in_yaml(node: Any, entrypoint: Words) -> Iterator[Words]:
    """Commands of containers (`command`, `args`), of steps (`run`) and of jobs (`script`)."""
    if isinstance(node, list):
        for each in node:
            yield from in_yaml(each, entrypoint)
    if not isinstance(node, dict):
        return
    if "image" in node and "name" in node:
        yield from _of([*node.get("command", entrypoint), *node.get("args", [])])
    for text in [node.get("run", ""), *node.get("script", [])]:
        yield from in_shell(text, entrypoint)
    for each in node.values():
        yield from in_yaml(each, entrypoint)


def in_shell(text: str, entrypoint: Words) -> Iterator[Words]:
    """Commands of a piece of shell, those that `docker run` hands to the image too."""
    for line in text.replace("\\\n", " ").splitlines():
        for words in _simple_commands(line):
            if words[:2] == ["docker", "run"]:
                yield from _of([*entrypoint, *words[words.index("agent-recorded") + 1 :]])
            yield from _of(words)


def _simple_commands(line: str) -> list[Words]:
    """The line cut at its operators; redirections go with what they lead to."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    found: list[Words] = [[]]
    is_target = False
    for word in lexer:
        if is_target:
            is_target = False
        elif set(word) <= _OPERATORS:
            is_target = set(word) <= {"<", ">"}
            found += [] if is_target else [[]]
        else:
            found[-1].append(word)
    return [words for words in found if words]


def _of(words: Words) -> Iterator[Words]:
    """The one command that these words are, if it is tracekit's; behind `exec` and `sh -c` too."""
    if words[:1] == ["exec"]:
        words = words[1:]
    if words[:2] == ["sh", "-c"]:
        yield from in_shell(words[2], [])
    elif words and os.path.basename(words[0]) == "tracekit":
        yield words[1:]


def accept(words: Words) -> None:
    """Have click and the readers of limits take the command without running it. Raises what they raise."""
    name, *rest = words
    command = tracekit.get_command(click.Context(tracekit), name)
    assert command is not None, name
    context = command.make_context(name, rest, parent=click.Context(tracekit, **tracekit.context_settings))
    given = context.params
    for budget in given.get("budgets") or given.get("fail_if") or ():
        _BUDGETS[name](budget)
    for text in given.get("serves") or ():
        Serves.parse(text)
    if given.get("slos"):
        parse_slos(given["slos"])


def flags(words: Words) -> Words:
    """The long options of a command, without those of what it records."""
    own = words[: words.index("--")] if "--" in words else words
    return [word for word in own if word.startswith("--")]
