"""The spool: what recorders write while the agent runs, before there is a trace.

Parquet loses everything when its writer is killed (no footer), so every process appends to its own
``<spool directory>/<pid>-<start_ns>.jsonl``: one JSON object a line, one ``os.write`` a line on an
``O_APPEND`` file, nothing buffered. A line that cannot be read (torn by a full disk, cut by a kill) is
counted and skipped; the ones around it are kept. The supervisor writes ``run.json`` first: what was run,
where, and which clock the processes share.

Every record has ``t`` (its type) and ``ns`` (Unix epoch; the host's one offset applied by the writer).

| t | other keys |
|---|---|
| process | pid, ppid, host, argv0, python (version), recorder (package version) |
| attempt_start | id, pid, thread, task, scope (the flow of control: inherited by asyncio tasks), transport, clock_point, scheme, host, port, path, retry_count, session, tool, request |
| attempt_end | id, status, http_status, error_type, first_byte_ns, first_token_ns, last_token_ns, chunk_count, chunk_gap_us, response_bytes, response |
| tool_start | id, pid, thread, task, session, tool, name, tool_call_id, source |
| tool_end | id, status, error_type |
| session_start | id, pid, name, conversation_id |
| session_end | id, status, score |
| mark | pid, session, name, value |
| power | gpu_index, gpu_uuid, gpu_name, power_w, power_average_w, power_source, energy_counter_j, utilization_gpu, utilization_memory, memory_used_bytes, memory_total_bytes, sm_clock_mhz, memory_clock_mhz, temperature_c, throttle_reasons, power_limit_w, reason |
| note | pid, what, detail: something that was not seen, or went wrong; counted in the trace's metadata |

``request`` (facts only, no text): api (chat | completions | responses | embeddings | messages), model,
stream, include_usage, max_tokens, temperature, choice_count, tools_offered, previous_response_id,
conversation_id, body_bytes, body_hash, prompt_bytes, block_bytes, block_hashes (base64 of little-endian
uint64: the keyed hash of the canonical prompt up to each multiple of block_bytes) and ``parts``, a list in
template order of {role, bytes, prefix_hash, content_hash, tool_call_ids, tool_result_id}.

``response``: response_id, model, finish_reason, usage ({input, cached, cache_write, output, reasoning} or
null), usage_source (server | injected | missing), tool_calls ([{id, name}]), output_bytes, output_hash,
engine_prefill_ms, engine_decode_ms, engine_cached_tokens.

``status`` is ok, error or cancelled (the reader closed the stream before its end). An ``attempt_start``,
``tool_start`` or ``session_start`` without its end was interrupted: its process died.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tracekit.errors import SpoolNotFound

RUN_FILE = "run.json"
Record = dict[str, Any]


@dataclass
class Spool:
    """One run's spool directory, read.

    Attributes
    ----------
    directory : where it lies.
    run : what the supervisor wrote into ``run.json`` (empty if it never did).
    records : every readable record, ordered by ``ns``, then file, then line.
    unreadable_lines : lines that were torn or are not JSON objects.
    """

    directory: Path
    run: Record
    records: list[Record] = field(default_factory=list)
    unreadable_lines: int = 0


def read_spool(directory: Path) -> Spool:
    """The run's records in time order.

    Raises
    ------
    SpoolNotFound : `directory` is missing or holds no spool file.
    """
    files = sorted(directory.glob("*.jsonl"))
    run_file = directory / RUN_FILE
    if not files and not run_file.is_file():
        raise SpoolNotFound.at(directory)
    spool = Spool(directory, _run(run_file))
    for file in files:
        for line in _lines(file):
            record = _record(line)
            if record is None:
                spool.unreadable_lines += 1
            else:
                spool.records.append(record)
    spool.records.sort(key=lambda record: record["ns"])
    return spool


def _run(file: Path) -> Record:
    try:
        run = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return run if isinstance(run, dict) else {}


def _lines(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        for line in stream:
            if line.strip():
                yield line


def _record(line: bytes) -> Record | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if isinstance(record, dict) and isinstance(record.get("t"), str) and isinstance(record.get("ns"), int):
        return record
    return None
