"""The spool: what recorders write while the agent runs, before there is a trace.

Parquet loses everything when its writer is killed (no footer), so every process appends to its own
``<spool directory>/<pid>-<start_ns>.jsonl``: one JSON object a line, one ``os.write`` a line on an
``O_APPEND`` file, nothing buffered. A line that cannot be read (torn by a full disk, cut by a kill) is
counted and skipped; the ones around it are kept. The supervisor writes ``run.json`` first: what was run,
where, and which clock the processes share. If the disk takes no more, writers move on to the directory that
``run.json`` calls ``spare``, and count in the file ``lost`` what neither took.

Every record has ``t`` (its type) and ``ns`` (Unix epoch; the host's one offset applied by the writer).

| t | other keys |
|---|---|
| process | pid, ppid, host, argv0, executable, python (version), recorder (package version) |
| attempt_start | id, pid, thread, job, task, scope (the flow of control: inherited by asyncio tasks), transport, clock_point, scheme, host, port, path, retry_count, session, tool, agent_run, trace_session, trace, twin (in the proxy's: the id of a hook's record of the same attempt), by_proxy (in a hook's: whether it went to the proxy), request, content (the body, with --content only) |
| attempt_end | id, status, http_status, error_type, first_byte_ns, first_token_ns, last_token_ns, chunk_count, chunk_gap_us, response_bytes, response, content (with --content only) |
| tool_start | id, pid, thread, job, task, scope, session, tool (the one around it), agent_run, trace_session, trace, name, tool_call_id, source, adapter (the framework that reported it; null: the agent's own mark) |
| tool_end | id, status, error_type |
| session_start | id, pid, name, conversation_id |
| session_end | id, status, error_type, score |
| child | pid, child_pid, session, tool, scope, agent_run: what the process child_pid was started in |
| run_start | id, pid, thread, job, task: an agent_run begins |
| mark | pid, session, name, value |
| device | id, device (gpu, cpu or dram), and what holds for all its samples: device_name, gpu_index, gpu_uuid, gpu_name, mig, memory_total_bytes, power_update_ms, energy_update_ms; the last record of an id counts |
| power | id (of its device), power_w, power_source, power_average_w, energy_counter_j, reason, energy_reason; at times also utilization_gpu, utilization_memory, utilization_reason, memory_used_bytes, sm_clock_mhz, memory_clock_mhz, temperature_c, throttle_reasons, power_limit_w, process_pids, process_memory_bytes; any key of a `device` record overrides it |
| clock | wall_offset_ns (the wall clock less the recording's), slept_ns (suspended since the host's start), synchronized, max_error_ns (the kernel's own bound): every 10 s, and after a step or a sleep |
| clock_exchange | peer, peer_boot_id, received_ns and replied_ns (on its monotonic clock), returned_ns; `ns` is when the question left |
| engine | host, endpoint, engine, model, engine_rank, running_requests, waiting_requests, kv_fraction, prefix_query_tokens_total, prefix_hit_tokens_total, preemptions_total, prompt_tokens_total, generation_tokens_total; what the server does not tell is absent |
| note | pid, what, detail, by_proxy (of a process that was not followed: whether it has an address of the proxy): something that was not seen, or went wrong; counted in the trace's metadata |

``job`` names what a thread does between two starts or submits, since pools use their threads again. ``agent_run`` is one outermost run of an agent, as its framework reports it; ``trace_session`` and ``trace`` are
the conversation and trace of the agent's own tracing (OpenTelemetry, the OpenAI Agents SDK's), absent without any.

``request`` (facts only, no text): api (chat | completions | responses | embeddings | messages), model,
stream, include_usage, max_tokens, temperature, choice_count, tools_offered, previous_response_id,
conversation_id, client_session (a session named in metadata or the like), media_count (pictures, sound and files in base64, which stand in the prompt by their hash), body_bytes, body_hash, prompt_bytes, block_bytes, block_hashes (base64 of little-endian
uint64: the keyed hash of the canonical prompt up to each multiple of block_bytes, in its first MiB) and ``parts``, a list in
template order of {role, bytes, prefix_hash, content_hash, tool_call_ids, tool_result_id}.

``response``: response_id, model, finish_reason, usage ({input, cached, cache_write, output, reasoning} or
null), usage_source (server | injected | missing), tool_calls ([{id, name}]), output_bytes, output_hash,
engine_prefill_ms, engine_decode_ms, engine_cached_tokens.

``status`` is ok, error or cancelled (the reader closed the stream before its end). An ``attempt_start``,
``tool_start`` or ``session_start`` without its end was interrupted: its process died.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tracekit.errors import SpoolNotFound

RUN_FILE = "run.json"
LOST_FILE = "lost"
LOCK_FILE = "lock"
SPARE_PREFIX = "tracekit-spare-"
REQUIRED = {
    "attempt_start": ("id",),
    "attempt_end": ("id",),
    "tool_start": ("id",),
    "tool_end": ("id",),
    "session_start": ("id",),
    "session_end": ("id",),
    "device": ("id",),
}
"""Keys without which a record says nothing; each holds text."""
Record = dict[str, Any]


@dataclass
class Spool:
    """One run's spool directory, read.

    Attributes
    ----------
    directory : where it lies.
    run : what the supervisor wrote into ``run.json`` (empty if it never did).
    records : every readable record, ordered by ``ns``, then file, then line.
    unreadable_lines : lines that were torn or are no records.
    lost_records : records that the writers had to drop, None if they could not count them.
    streamed : the types of records that `stream` gives one by one, and `records` does not hold.
    """

    directory: Path
    run: Record
    records: list[Record] = field(default_factory=list)
    unreadable_lines: int = 0
    lost_records: int | None = None
    streamed: frozenset[str] = frozenset()
    _streamed_files: list[Path] = field(default_factory=list)

    def stream(self) -> Iterator[Record]:
        """The records of the types `streamed`, file by file, each file in its own order; read from disk anew."""
        for file in self._streamed_files:
            for line in _lines(file):
                record = _record(line)
                if record is not None and record["t"] in self.streamed:
                    yield record

    def _take(self, file: Path) -> None:
        held_back = False
        for line in _lines(file):
            record = _record(line)
            if record is None:
                self.unreadable_lines += 1
            elif record["t"] in self.streamed:
                held_back = True
            else:
                self.records.append(record)
        if held_back:
            self._streamed_files.append(file)


def read_spool(directory: Path, streamed: Collection[str] = ()) -> Spool:
    """The run's records in time order, but for those of the types `streamed`, which may not fit into memory.

    Raises
    ------
    SpoolNotFound : `directory` is missing or holds no spool file.
    """
    files = sorted(directory.glob("*.jsonl"))
    run_file = directory / RUN_FILE
    if not files and not run_file.is_file():
        raise SpoolNotFound.at(directory)
    spool = Spool(
        directory, _run(run_file), lost_records=_lost(directory / LOST_FILE), streamed=frozenset(streamed)
    )
    spare = spool.run.get("spare")
    for file in [*files, *(sorted(Path(spare).glob("*.jsonl")) if isinstance(spare, str) and spare else ())]:
        spool._take(file)
    spool.records.sort(key=lambda record: record["ns"])
    return spool


def is_live(directory: Path) -> bool:
    """Whether the recording's supervisor is running right now."""
    try:
        with (directory / LOCK_FILE).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def remove_spool(directory: Path) -> None:
    """Removes the spool and its spare; what cannot be removed stays."""
    spare = _run(directory / RUN_FILE).get("spare")
    if isinstance(spare, str) and spare:
        _remove_spare(Path(spare))
    shutil.rmtree(directory, ignore_errors=True)


def _remove_spare(spare: Path) -> None:
    """Only what a recorder of ours made on this machine: run.json may come from elsewhere."""
    with contextlib.suppress(OSError):
        ours = spare.stat().st_uid == os.getuid() and not spare.is_symlink()
        if ours and spare.name.startswith(SPARE_PREFIX) and spare.parent == Path(tempfile.gettempdir()):
            for file in spare.glob("*.jsonl"):
                file.unlink()
            spare.rmdir()


def _run(file: Path) -> Record:
    try:
        run = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return run if isinstance(run, dict) else {}


def _lost(file: Path) -> int | None:
    try:
        counts = file.read_bytes()
    except OSError:
        return None
    return sum(int.from_bytes(counts[at : at + 8], "little") for at in range(0, len(counts), 8))


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
    if not (isinstance(record, dict) and isinstance(record.get("t"), str) and type(record.get("ns")) is int):
        return None
    complete = all(isinstance(record.get(key), str) for key in REQUIRED.get(record["t"], ()))
    return record if complete else None
