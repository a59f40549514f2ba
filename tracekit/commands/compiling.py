"""A word to the user before the one long wait: the first replay after an installation."""

from __future__ import annotations

import click


def announce_compilation() -> None:
    """Says on stderr that the replay kernel is compiled now, if it is."""
    from tracekit.analyzers.replay import kernel_is_compiled

    if not kernel_is_compiled():
        click.echo("tracekit: compiling the replay kernel; the first replay only, some 40 s ...", err=True)
