"""`tracekit validate`: how wrong the hardware model is, on a user's rows or on published ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tracekit.commands.options import CATALOG, FORCE, JSON

if TYPE_CHECKING:
    from tracekit.analyzers.hardware.fit_rows import FitRows
    from tracekit.analyzers.hardware.folds import Training
    from tracekit.analyzers.hardware.held_to import HeldTo

MISSED = "missed"


@click.command(epilog="Example: tracekit validate rows.csv -o errors.png --fail-if 'dense.power_w>0.10'")
@click.argument("rows", type=click.Path(path_type=Path), required=False)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Plot modelled against measured values into this .png, .svg or .pdf file.",
)
@click.option(
    "--fail-if",
    "bars",
    multiple=True,
    metavar="BAR",
    help="Exit with 1 if a group's error is larger: [TIER.][KIND.]QUANTITY[.STATISTIC]>SHARE. TIER: analytic "
    "(default), calibrated, calibrated-interior, constant, nearest, ecologits; KIND: dense, moe (default: each); "
    "QUANTITY: power_w, power_w_given_time, itl_ms, j_per_token; STATISTIC: mape (default), median_ape, bias. SHARE: "
    "0.1 or 10%. Without ROWS: `missed`, a bar of the table. Repeatable.",
)
@click.option(
    "--fit", "fit_only", is_flag=True, help="Fit to the published rows and print the constants as TOML."
)
@CATALOG
@FORCE
@JSON
def command(
    rows: Path | None, output: Path | None, bars: tuple[str, ...], fit_only: bool, force: bool, as_json: bool
) -> None:
    """Hold the model of step time and power to measured operating points, with errors by GPU, kind and tier.

    ROWS is a CSV file with the columns gpu, model, precision, num_gpus, tp, batch (concurrent sequences), input_len,
    output_len, itl_ms, output_tok_s, power_per_gpu_w, j_per_output_token and, if known, engine; what was not measured
    stays empty. Rows whose GPU or model the catalog does not know are skipped, with the reason.

    Without ROWS: the table that the model is held to, on published rows, each predicted by constants that were fitted
    without it. These rows are not part of tracekit; the command says where to put them.
    """
    from tracekit.commands.blas import load_without_threads

    load_without_threads()
    if rows is None:
        if output is not None:
            raise click.UsageError("A plot needs ROWS.")
        _on_published_rows(bars, fit_only=fit_only, as_json=as_json)
    elif fit_only:
        raise click.UsageError("--fit takes no ROWS: it fits to the published ones.")
    else:
        _on_rows(rows, output, bars, force=force, as_json=as_json)


def _on_rows(rows: Path, output: Path | None, bars: tuple[str, ...], *, force: bool, as_json: bool) -> None:
    from tracekit.analyzers.hardware.bar import Bar
    from tracekit.analyzers.hardware.validation import validate
    from tracekit.reports.document import to_json
    from tracekit.reports.validation import print_validation, validation_document

    stated = [Bar.of(text) for text in bars]
    if output is not None:
        from tracekit.reports.scatter import check_plot, write_scatter

        check_plot(output, force=force)
    validation = validate(rows, _training())
    if output is not None:
        write_scatter(output, validation)
        click.echo(f"tracekit: wrote {output}", err=True)
    if as_json:
        click.echo(to_json(validation_document(validation, str(rows))))
    else:
        print_validation(validation)
    _fail([place for bar in stated for place in bar.breaks(validation.groups)])


def _training() -> Training | None:
    """What the constants were fitted to, where the rows are at hand."""
    from tracekit.analyzers.hardware.fit_rows import fit_folder, read_fit_rows
    from tracekit.analyzers.hardware.held_to import training_of
    from tracekit.errors import RowsInvalid

    try:
        return training_of(read_fit_rows(fit_folder()))
    except RowsInvalid:
        return None


def _on_published_rows(bars: tuple[str, ...], *, fit_only: bool, as_json: bool) -> None:
    from tracekit.analyzers.hardware.fit_rows import fit_folder, read_fit_rows
    from tracekit.reports.document import to_json
    from tracekit.reports.validation import held_to_document, print_held_to

    unknown = [bar for bar in bars if bar != MISSED]
    if unknown:
        raise click.UsageError(f"Without ROWS the only bar is '{MISSED}', not '{unknown[0]}'.")
    published = read_fit_rows(fit_folder())
    if fit_only:
        from tracekit.analyzers.hardware.folds import fitted
        from tracekit.analyzers.hardware.held_to import training_of
        from tracekit.reports.constants_file import differences, to_toml

        model = fitted(training_of(published))
        click.echo(to_toml(model), nl=False)
        for line in differences(model):
            click.echo(f"tracekit: {line}", err=True)
        return
    held = _held_to(published)
    if as_json:
        click.echo(to_json(held_to_document(held)))
    else:
        print_held_to(held)
    missed = [f"{line.quantity}, {line.rows}, {line.fit}" for line in held.lines if line.reached is False]
    _fail(missed if bars else [])


def _held_to(published: FitRows) -> HeldTo:
    """The table, with a bar on a terminal while it is made."""
    from rich.console import Console
    from rich.progress import Progress

    from tracekit.analyzers.hardware.held_to import fits_needed, held_to

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("fitting without each model", total=fits_needed(published))
        return held_to(published, lambda: progress.advance(task))


def _fail(places: list[str]) -> None:
    """Says on stderr what is past a bar, and ends with 1 if something is."""
    for place in places:
        click.echo(f"tracekit: past the bar: {place}", err=True)
    if places:
        raise SystemExit(1)
