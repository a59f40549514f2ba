"""`tracekit info`: what a trace holds, and what the catalogs know."""

from __future__ import annotations

import click

from tracekit.commands.options import CATALOG, JSON
from tracekit.commands.trace_file import TraceFile
from tracekit.location import Location


@click.command()
@click.argument("trace", type=TraceFile(), required=False)
@click.option("--gpus", is_flag=True, help="List the GPUs of the catalog.")
@click.option("--models", is_flag=True, help="List the models of the catalog.")
@click.option("--grids", is_flag=True, help="List grids, operators' PUE, and watts of hosts.")
@click.option("--sources", is_flag=True, help="Say where the values of the catalog come from.")
@CATALOG
@click.option("--schema", is_flag=True, help="List the columns of a trace.")
@JSON
def command(
    trace: Location | None, gpus: bool, models: bool, grids: bool, sources: bool, schema: bool, as_json: bool
) -> None:
    """Show what TRACE holds, how it was made and what it did not see; or what the catalogs know."""
    from tracekit.reports import catalog_tables, inventory
    from tracekit.trace import Trace

    document: dict[str, object] = {}
    if trace is not None:
        document |= inventory.trace_document(Trace.open(trace))
    if gpus:
        document["gpus"] = catalog_tables.gpu_rows()
    if models:
        document["models"] = catalog_tables.model_rows()
    if grids:
        document["grids"] = catalog_tables.grid_rows()
        document["pues"] = catalog_tables.pue_rows()
        document["hosts"] = catalog_tables.host_rows()
    if schema:
        document["columns"] = inventory.column_rows()
    if not document:
        raise click.UsageError(
            "Give a TRACE, or --gpus, --models, --grids or --schema; --sources says more of the catalog's values."
        )
    if as_json:
        click.echo(inventory.to_json(document))
    else:
        inventory.print_document(document, sources=sources)
