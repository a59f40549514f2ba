"""`tracekit import`: public traces and other tools' recordings, turned into a trace."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from tracekit.commands.options import FORCE


class Mapping(click.ParamType[tuple[str, str]]):
    """`COLUMN=FIELD`; the column may hold an equals sign."""

    name = "column=field"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        column, sign, field = str(value).rpartition("=")
        if not sign or not column or not field:
            self.fail(f"'{value}' is not COLUMN=FIELD", param, ctx)
        return column, field


@click.command()
@click.argument("format_name", metavar="FORMAT")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Trace to write.")
@click.option("--strict", is_flag=True, help="Stop at the first bad row instead of skipping and counting it.")
@click.option(
    "--map",
    "columns",
    type=Mapping(),
    multiple=True,
    metavar="COLUMN=FIELD",
    help="For requests: what a column is; repeat it.",
)
@click.option(
    "--block-tokens",
    type=click.IntRange(1),
    help="Tokens of a hashed block.  [default: the format's; inferred for agentic-mooncake]",
)
@FORCE
def command(
    format_name: str,
    files: tuple[Path, ...],
    output: Path,
    strict: bool,
    columns: tuple[tuple[str, str], ...],
    block_tokens: int | None,
    force: bool,
) -> None:
    """Turn public traces or other tools' recordings (FILE..., plain or gzip) into one trace.

    \b
    FORMAT is one of
      azure             CSV: TIMESTAMP, ContextTokens, GeneratedTokens
      burstgpt          CSV: Timestamp, Request tokens, Response tokens, perhaps Session ID, Elapsed time, Model
      vidur             CSV: arrived_at, num_prefill_tokens, num_decode_tokens
      mooncake          JSON lines: timestamp, input_length, output_length, hash_ids, perhaps session_id, delay
      agentic-mooncake  JSON lines: mooncake's and request_id, wait_for, delay, tool_wait_ms (Dynamo)
      weka              JSON, one session a file: id, block_size, requests (Claude Code sessions)
      bailian           JSON lines: chat_id, parent_chat_id, timestamp, input_length, output_length, hash_ids
      otlp              OTLP JSON (lines) with OpenTelemetry GenAI spans, attribute names old and new
      openinference     the same with OpenInference spans (LLM, TOOL, AGENT)
      requests          any CSV or Parquet, one request a row: --map COLUMN=FIELD; fields are start, end (dates),
                        start_s|ms|us|ns, end_*, duration_*, ttft_*, input_tokens, output_tokens,
                        cached_tokens, reasoning_tokens, session, model

    \b
    Example: tracekit import requests log.csv --map when=start --map prompt=input_tokens \\
             --map answer=output_tokens -o log.parquet
    """  # noqa: D301  (click leaves a paragraph behind this sign as it is)
    from tracekit import __version__
    from tracekit.interchange.formats import import_files
    from tracekit.interchange.reader import Settings
    from tracekit.provenance import Provenance, environment
    from tracekit.reports.words import plural
    from tracekit.schema import FORMAT_VERSION

    if columns and format_name != "requests":
        raise click.UsageError("--map is for the format requests; the others name their columns.")
    provenance = Provenance(
        format_version=FORMAT_VERSION,
        software_version=__version__,
        command=["tracekit", *sys.argv[1:]],
        created_ns=time.time_ns(),
        environment=environment(),
    )
    with _progress(files) as seen:
        made = import_files(
            format_name,
            files,
            output,
            provenance,
            settings=Settings(columns=dict(columns), block_tokens=block_tokens),
            strict=strict,
            force=force,
            seen=seen,
        )
    click.echo(
        f"tracekit: {plural(made.calls, 'LLM call')} in {plural(made.sessions, 'session')}, "
        f"{plural(made.tools, 'tool span')} from {plural(len(files), format_name + ' file')} -> {output}",
        err=True,
    )
    if made.bad_rows.total:
        click.echo(
            f"tracekit: {plural(made.bad_rows.total, 'bad row')} left out (--strict stops at the first):",
            err=True,
        )
        for line in made.bad_rows.lines():
            click.echo(f"  {line}", err=True)
    if provenance.not_seen.calls_without_end:
        click.echo(
            f"tracekit: the source has no end of {plural(provenance.not_seen.calls_without_end, 'call')}: their "
            "recorded latency is unknown, and waits after them count from their start",
            err=True,
        )
    click.echo(f"Next: tracekit analyze {output}", err=True)


@contextmanager
def _progress(files: tuple[Path, ...]) -> Iterator[Callable[[Path, int], None]]:
    """A bar over the bytes of all files, where stderr is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _path, _bytes: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    total = sum(path.stat().st_size for path in files if path.is_file())
    with Progress(
        TextColumn("importing"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task("importing", total=total)

        read: dict[Path, int] = {}

        def seen(path: Path, count: int) -> None:
            bar.advance(task, count - read.get(path, 0))
            read[path] = count

        yield seen
