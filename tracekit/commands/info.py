"""`tracekit info`: what a trace holds, and what the catalogs know."""

from __future__ import annotations

from pathlib import Path

import click

from tracekit.commands.options import JSON


@click.command()
@click.argument("trace", type=click.Path(path_type=Path), required=False)
@click.option("--gpus", is_flag=True, help="List the GPUs of the catalog.")
@click.option("--models", is_flag=True, help="List the models of the catalog.")
@click.option("--schema", is_flag=True, help="List the columns of a trace.")
@JSON
def command(trace: Path | None, gpus: bool, models: bool, schema: bool, as_json: bool) -> None:
    """Show what TRACE holds, how it was made and what it did not see; or what the catalogs know."""
    from tracekit.reports import inventory
    from tracekit.trace import Trace

    document: dict[str, object] = {}
    if trace is not None:
        document |= inventory.trace_document(Trace.open(trace))
    if gpus:
        document["gpus"] = inventory.gpu_rows()
    if models:
        document["models"] = inventory.model_rows()
    if schema:
        document["columns"] = inventory.column_rows()
    if not document:
        raise click.UsageError("Give a TRACE, or --gpus, --models or --schema.")
    if as_json:
        click.echo(inventory.to_json(document))
    else:
        inventory.print_document(document)
