"""How commands write reports: which format, whether they may, and the line that made them."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from tracekit.commands.options import REPORT_FORMATS
from tracekit.location import Location, identity, without_secrets

STDOUT = "-"
_SUFFIXES = {".htm": "html", ".markdown": "md"} | {f".{name}": name for name in REPORT_FORMATS}


def report_format(
    output: Path | None, asked: str | None, *, as_json: bool, others: tuple[str, ...] = ()
) -> str | None:
    """The format of a report; None if there is none, or if the file's suffix is one of `others`.

    Raises
    ------
    click.UsageError : nobody says which format, or two things would go to stdout.
    """
    if output is None:
        if asked is not None:
            raise click.UsageError("--format is the format of -o; give a file, or - for stdout.")
        return None
    if str(output) == STDOUT:
        if as_json:
            raise click.UsageError("--json and -o - both write to stdout; leave one of them out.")
        return asked or "json"
    if asked is not None:
        return asked
    suffix = output.suffix.lower()
    if suffix in others:
        return None
    if suffix not in _SUFFIXES:
        known = ", ".join([*(f".{name}" for name in REPORT_FORMATS), *others])
        raise click.UsageError(
            f"{output} does not end in {known}, and that decides the format. Rename it, or say --format."
        )
    return _SUFFIXES[suffix]


def check_report(output: Path, trace: Location, *, force: bool) -> None:
    """Refuse early what writing would refuse late. Raises OutputRefused."""
    from tracekit.errors import OutputRefused
    from tracekit.trace import check_output

    if str(output) == STDOUT:
        return
    if identity(output) == identity(trace):
        raise OutputRefused.is_input(output)
    check_output(output, force=force)


def write_report(output: Path, format_name: str, document: dict[str, Any], *, force: bool) -> None:
    """Writes the report, atomically, or to stdout; says so on stderr."""
    from tracekit.interchange.exported import write_parts
    from tracekit.reports.rendering import rendered

    write_parts(output, [rendered(document, format_name)], force=force)
    if str(output) != STDOUT:
        click.echo(f"tracekit: wrote {output}", err=True)


def shown_command(*, with_values: tuple[str, ...] = (), flags: tuple[str, ...] = ()) -> str:
    """The line that was typed, to be typed again, without the options named: those with values, and flags.

    Signatures and passwords in URLs are left out as well.
    """
    from tracekit.analyzers.catalog.tables import VARIABLE

    words = _words_without(sys.argv[1:], with_values, flags)
    typed = shlex.join(["tracekit", *map(without_secrets, words)])
    catalog = os.environ.get(VARIABLE)
    return f"{VARIABLE}={shlex.quote(catalog)} {typed}" if catalog else typed


def _words_without(
    words: Sequence[str], with_values: tuple[str, ...], flags: tuple[str, ...]
) -> Iterator[str]:
    rest = iter(words)
    for word in rest:
        if word in with_values:
            next(rest, None)
        elif word not in flags and not word.startswith(tuple(f"{name}=" for name in with_values)):
            yield word
