"""The formats that can be imported and exported: one module each, found by name and loaded when used."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tracekit.errors import SourceUnreadable, UnknownName
from tracekit.interchange.bad_rows import BadRows
from tracekit.interchange.exported import Exported
from tracekit.interchange.imported import ImportedTrace
from tracekit.interchange.reader import Reader, Settings
from tracekit.interchange.source import Source
from tracekit.provenance import Provenance
from tracekit.trace import Trace, TraceWriter


class Format(NamedTuple):
    """One format: its module, its line in the help, the fields that give a file of it away, whether it is text."""

    module: str
    help: str
    fields: frozenset[str] = frozenset()
    binary: bool = False


IMPORTS: dict[str, Format] = {
    "azure": Format(
        "azure",
        "CSV: TIMESTAMP, ContextTokens, GeneratedTokens",
        frozenset({"TIMESTAMP", "ContextTokens", "GeneratedTokens"}),
    ),
    "burstgpt": Format(
        "burstgpt",
        "CSV: Timestamp, Request tokens, Response tokens, perhaps Session ID, Elapsed time, Model",
        frozenset({"Timestamp", "Request tokens", "Response tokens"}),
    ),
    "vidur": Format(
        "vidur",
        "CSV: arrived_at, num_prefill_tokens, num_decode_tokens",
        frozenset({"arrived_at", "num_prefill_tokens", "num_decode_tokens"}),
    ),
    "mooncake": Format(
        "mooncake",
        "JSON lines: timestamp, input_length, output_length, hash_ids, perhaps session_id, delay",
        frozenset({"timestamp", "input_length", "output_length", "hash_ids"}),
    ),
    "agentic-mooncake": Format(
        "agentic_mooncake",
        "JSON lines: mooncake's, request_id, wait_for, tool_wait_ms, tool_events (Dynamo)",
        frozenset({"request_id", "output_length", "hash_ids"}),
    ),
    "weka": Format(
        "weka",
        "JSON, a session each: id, block_size, requests (Claude Code sessions)",
        frozenset({"block_size", "requests"}),
    ),
    "bailian": Format(
        "bailian",
        "JSON lines: chat_id, parent_chat_id, timestamp, input_length, output_length, hash_ids",
        frozenset({"chat_id", "parent_chat_id", "input_length"}),
    ),
    "otlp": Format(
        "otlp",
        "OTLP JSON or JSON lines with GenAI spans, attribute names old and new",
        frozenset({"resourceSpans"}),
    ),
    "openinference": Format("openinference", "the same with OpenInference spans (LLM, TOOL, AGENT)"),
    "requests": Format("requests", "any CSV or Parquet, a request a row: --map COLUMN=FIELD"),
}

EXPORTS: dict[str, Format] = {
    "perfetto": Format(
        "perfetto_writer", "track events for ui.perfetto.dev, a track for each concurrent call", binary=True
    ),
    "speedscope": Format("speedscope_writer", "JSON for speedscope.app, a profile for each session"),
    "csv": Format("csv_writer", "one tidy table: a column `kind`, units in the header"),
    "otlp": Format("otlp_writer", "OTLP JSON lines with GenAI spans, a line for each session"),
    "agentic-mooncake": Format(
        "agentic_mooncake_writer", "JSON lines that Dynamo's DynoSim and AIPerf replay"
    ),
}


@dataclass(frozen=True)
class Imported:
    """What an import made."""

    sessions: int
    calls: int
    tools: int
    bad_rows: BadRows


def import_files(
    name: str,
    paths: Sequence[Path],
    output: Path,
    provenance: Provenance,
    *,
    settings: Settings | None = None,
    strict: bool = False,
    force: bool = False,
    seen: Callable[[Path, int], None] = lambda _path, _bytes: None,
) -> Imported:
    """Turns files of one format into the trace `output`; `seen` is told how far each file has been read.

    Raises
    ------
    UnknownName : no such format.
    SourceUnreadable, RowRefused : a file is missing, damaged or of another format; a row is bad, and `strict`.
    OutputRefused, OSError : the trace cannot be written. In every case nothing is left behind.
    """
    if name not in IMPORTS:
        raise UnknownName.among("format", name, IMPORTS)
    settings = replace(settings or Settings(), name=name, similar=lambda fields: similar_format(name, fields))
    bad_rows = BadRows(strict=strict)
    with TraceWriter(output, force=force) as writer:
        trace = ImportedTrace(writer)
        reader: Reader = _module(IMPORTS[name]).Reader(trace, bad_rows, settings)
        for path in paths:
            reader.read(Source(path, partial(seen, path)))
        reader.finish()
        if not trace.calls:
            raise SourceUnreadable.empty(list(paths))
        provenance.origin = "imported"
        provenance.labels |= {"format": name, "source": _named(paths)}
        if reader.clock is not None:
            provenance.labels["clock"] = reader.clock
        provenance.not_seen.bad_rows = dict(bad_rows.counts)
        trace.finish(provenance)
    return Imported(trace.sessions, trace.calls, trace.tools, bad_rows)


def similar_format(name: str, fields: Iterable[str]) -> str | None:
    """The format other than `name` that a file with these fields looks like."""
    found = set(fields)
    fitting = [
        other for other, form in IMPORTS.items() if other != name and form.fields and form.fields <= found
    ]
    return max(fitting, key=lambda other: len(IMPORTS[other].fields), default=None)


def export_parts(name: str, trace: Trace) -> Exported:
    """The trace in a format that `tracekit export` knows.

    Raises
    ------
    UnknownName : no such format.
    TraceEmpty : nothing in it that the format could hold.
    """
    if name not in EXPORTS:
        raise UnknownName.among("format", name, EXPORTS)
    exported: Exported = _module(EXPORTS[name]).export(trace)
    return exported


def _module(form: Format) -> Any:
    return importlib.import_module(f"tracekit.interchange.{form.module}")


def _named(paths: Sequence[Path]) -> str:
    return paths[0].name if len(paths) == 1 else f"{len(paths)} files, the first {paths[0].name}"
