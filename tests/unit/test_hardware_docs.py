"""The commands that docs/background-hardware.md shows are commands, and its bars are bars."""

import shlex
from pathlib import Path

import click
import pytest

from tracekit.analyzers.hardware.bar import Bar
from tracekit.cli import tracekit

PAGE = (Path(__file__).parents[2] / "docs" / "background-hardware.md").read_text()
COMMANDS = [line.strip() for line in PAGE.splitlines() if line.startswith("    tracekit ")]


def test_the_page_shows_commands():
    assert len(COMMANDS) >= 5


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_page_parses(line):
    _tracekit, name, *words = shlex.split(line, comments=True)
    command = tracekit.get_command(None, name)
    parent = click.Context(
        tracekit, **tracekit.context_settings
    )  # a command remembers how its help is asked for
    context = command.make_context(name, words, parent=parent)
    for bar in context.params.get("bars", ()):
        Bar.of(bar)
