"""`tracekit doctor`: what can be recorded on this machine, and what stands in the way."""

from __future__ import annotations

import click

from tracekit.commands.options import JSON


@click.command()
@JSON
def command(as_json: bool) -> int:
    """Check what can be recorded on this machine; exits 1 if something needs mending."""
    from tracekit.reports.checkup import checks, print_checks, to_json

    results = checks()
    if as_json:
        click.echo(to_json(results))
    else:
        print_checks(results)
    return 1 if any(check.state == "mend" for check in results) else 0
