"""Errors as a user reads them: what, where, and what to do.

TracekitError (exit 2)
├── SpoolNotFound        no recording in that folder
├── TraceNotFound        no such file
├── TraceUnreadable      truncated, foreign, or a newer version
├── TraceEmpty           nothing in it that the command could use
├── SourceUnreadable     a file to import that is missing, damaged, empty or of another format
├── RowRefused           a bad row, with --strict
├── OutputRefused        exists already, or its folder cannot be written
├── UnknownName          not in the catalog, with the nearest names
├── RowsInvalid          measured rows that cannot be used
├── BarInvalid           a bar for errors that is none
├── CalibrationInvalid   a calibration file that cannot be used
├── MeasuringRefused     a model or device that cannot be measured here
├── CatalogInvalid       a catalog file of the user's that cannot be used
├── ModelConfigInvalid   a config.json that no model can be made of
├── ModelDoesNotFit      weights and cache exceed the GPU's memory
├── ScenarioInvalid      a fleet file or a setting that makes no sense
├── ProfileInvalid       a daily profile that cannot be used
├── ProxyMissing         --proxy always without the library that the proxy is made of
├── MergeRefused         traces that cannot be joined as asked
├── CompilerMissing      no C compiler for the fake GPU
└── LaunchFailed         the command to record could not be started (exit 125, 126 or 127)
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Self


class TracekitError(Exception):
    """A message for the user, in one paragraph; `exit_code` is what the process ends with."""

    exit_code = 2


class SpoolNotFound(TracekitError):
    @classmethod
    def at(cls, directory: Path) -> Self:
        return cls(
            f"No recording in {directory}: a recording's folder holds run.json and *.jsonl files, and ends in "
            ".spool beside the trace that was asked for. Check the path; `tracekit record -o FILE -- CMD` makes one."
        )


class TraceNotFound(TracekitError):
    @classmethod
    def at(cls, path: Path) -> Self:
        if path.is_dir():
            return cls(
                f"{path} is a folder, not a trace. Give the .parquet file that `tracekit record` wrote."
            )
        spool = path.with_name(path.name + ".spool")
        if spool.is_dir():
            return cls(
                f"There is no {path}, but {spool} holds an unfinished recording of it. "
                f"Type `tracekit recover {spool}` to turn it into the trace."
            )
        return cls(
            f"There is no file {path}. Record one with `tracekit record -o {path} -- python my_agent.py`."
        )


class TraceUnreadable(TracekitError):
    @classmethod
    def truncated(cls, path: Path, reason: str) -> Self:
        return cls(
            f"{path} is not a complete Parquet file ({reason}). If a recording was cut off, its folder "
            f"{path}.spool is still there: `tracekit recover {path}.spool` rebuilds the trace."
        )

    @classmethod
    def foreign(cls, path: Path) -> Self:
        return cls(
            f"{path} is a Parquet file, but not one that tracekit wrote: its metadata has no 'tracekit' entry. "
            "Record a trace with `tracekit record -- CMD`."
        )

    @classmethod
    def newer(cls, path: Path, found: int, known: int) -> Self:
        return cls(
            f"{path} has trace format version {found}; this tracekit reads up to version {known}. "
            "Upgrade with `pip install -U tracekit-replay`."
        )

    @classmethod
    def damaged(cls, path: Path, reason: str) -> Self:
        return cls(f"{path} does not hold what its format promises: {reason}. Record it again, or report it.")

    @classmethod
    def bad_row(cls, path: Path, row: int, fault: str, others: int = 0) -> Self:
        more = f", and {others} other row(s) likewise" if others else ""
        return cls(
            f"{path}, row {row}: {fault}{more}. Nothing was replayed. Correct or leave out such rows where the trace "
            f"was made; `tracekit info {path}` says where that was."
        )


class TraceEmpty(TracekitError):
    @classmethod
    def of(cls, path: Path, what: str, why: str) -> Self:
        return cls(
            f"{path} holds no {what}. {why} `tracekit info {path}` lists what the recording saw and did not see."
        )


class SourceUnreadable(TracekitError):
    @classmethod
    def missing(cls, path: Path, reason: str) -> Self:
        return cls(f"{path} cannot be opened ({reason}). Check the path.")

    @classmethod
    def damaged(cls, path: Path, place: str, reason: str) -> Self:
        return cls(f"{path} is damaged after {place}: {reason}. Nothing was written; fetch the file again.")

    @classmethod
    def foreign(cls, path: Path, name: str, reason: str, similar: str | None) -> Self:
        hint = f" It looks like {similar}: `tracekit import {similar} {path} ...`." if similar else ""
        return cls(
            f"{path} is no {name} file: {reason}.{hint} The fields of each format: `tracekit import --help`."
        )

    @classmethod
    def beyond_time(cls, length_ns: int) -> Self:
        return cls(
            f"The times of the source span {length_ns / 3.156e16:,.0f} years, more than a trace can hold. Nothing was "
            "written; check the unit of its times."
        )

    @classmethod
    def empty(cls, paths: list[Path]) -> Self:
        return cls(f"No request in {', '.join(map(str, paths))}. Nothing was written.")


class RowRefused(TracekitError):
    @classmethod
    def at(cls, path: Path, place: str, fault: str) -> Self:
        return cls(
            f"{path}, {place}: {fault}. Nothing was written. Correct it, or leave out --strict to skip and count "
            "such rows."
        )


class OutputRefused(TracekitError):
    @classmethod
    def exists(cls, path: Path) -> Self:
        return cls(f"{path} exists already and is not overwritten. Choose another -o, or pass --force.")

    @classmethod
    def unfinished(cls, spool: Path) -> Self:
        return cls(
            f"{spool} holds an unfinished recording under the same name. `tracekit recover {spool}` turns it into "
            "a trace; --force throws it away."
        )

    @classmethod
    def live(cls, spool: Path) -> Self:
        return cls(
            f"{spool} is being recorded right now by another tracekit. Wait for it, or choose another -o."
        )

    @classmethod
    def is_input(cls, path: Path) -> Self:
        return cls(f"{path} is the trace that is being read, and would be lost. Choose another -o.")

    @classmethod
    def no_picture(cls, path: Path, suffixes: Iterable[str]) -> Self:
        return cls(
            f"{path} does not end in {', '.join(suffixes)}, and that decides the format of a plot. Rename -o."
        )

    @classmethod
    def not_writable(cls, path: Path, reason: str) -> Self:
        return cls(f"{path} cannot be written ({reason}). Choose a folder you may write to with -o.")


MANY = 40
"""Names beyond which an error does not list them all."""


class UnknownName(TracekitError):
    @classmethod
    def among(cls, kind: str, name: str, known: Iterable[str], aliases: Iterable[str] = ()) -> Self:
        spellings = {spelling.lower(): spelling for spelling in [*aliases, *known]}
        begun = sorted(word for word in spellings if word.startswith(name.lower()))
        near = (begun or difflib.get_close_matches(name.lower(), spellings, 3, 0.5))[:3]
        if near:
            return cls(
                f"Unknown {kind} '{name}'. Did you mean {' or '.join(spellings[word] for word in near)}?"
            )
        known = sorted(known)
        if len(known) > MANY:
            return cls(f"Unknown {kind} '{name}'. `tracekit info` lists the {len(known)} that are known.")
        return cls(f"Unknown {kind} '{name}'. Known are: {', '.join(known)}.")


class RowsInvalid(TracekitError):
    @classmethod
    def unreadable(cls, path: Path, reason: str) -> Self:
        return cls(f"The rows in {path} cannot be read: {reason}. They are a CSV file with a header.")

    @classmethod
    def lacks(cls, path: Path, columns: Iterable[str]) -> Self:
        return cls(
            f"{path} has no column {', '.join(columns)}. Measured rows need all columns that `tracekit validate "
            "--help` lists; what was not measured stays empty."
        )

    @classmethod
    def too_few(cls, what: str, found: int, needed: int) -> Self:
        return cls(
            f"{what} needs at least {needed} usable rows, and there are {found}: see `skipped` for why."
        )

    @classmethod
    def no_row(cls, path: Path, why: str) -> Self:
        return cls(f"No row of {path} can be judged. The first reason: {why}")

    @classmethod
    def no_fit_rows(cls, folder: Path, reason: str) -> Self:
        return cls(
            f"The rows that the constants are fitted to are not in {folder} ({reason}); they are not part of the "
            "project. Put mlenergy_v3_h100.csv, mlenergy_v2_llm.csv and llm_inference_bench_power.csv there, or set "
            "TRACEKIT_SHARED to the folder that has data/fit. To judge rows of your own: `tracekit validate ROWS.csv`."
        )


class BarInvalid(TracekitError):
    @classmethod
    def of(cls, text: str, fault: str) -> Self:
        return cls(
            f"The bar '{text}' cannot be used: {fault}. A bar is [TIER.][KIND.]QUANTITY[.STATISTIC]>SHARE, such as "
            "power_w>0.10 or calibrated.dense.itl_ms.median_ape>2%; `tracekit validate --help` lists the names."
        )


class CalibrationInvalid(TracekitError):
    @classmethod
    def unreadable(cls, path: Path, reason: str) -> Self:
        return cls(
            f"The calibration {path} cannot be used: {reason}. `tracekit calibrate ROWS.csv -o {path}` writes one."
        )


class MeasuringRefused(TracekitError):
    @classmethod
    def unbuilt(cls, model: str, what: str) -> Self:
        return cls(
            f"{model} cannot be measured here: blocks with {what} are not built. Give `tracekit calibrate` "
            "measured rows, or a trace of it."
        )

    @classmethod
    def precision(cls, model: str, precision: str) -> Self:
        return cls(
            f"{model} has weights of {precision}, and blocks are built of 16 or 32 bits only. Measure "
            f"{model.partition('@')[0]}@bf16, which calibrates replays of that precision."
        )

    @classmethod
    def no_torch(cls, reason: str) -> Self:
        return cls(
            f"Measuring needs PyTorch, which cannot be imported ({reason}). Install the extra: "
            "pip install 'tracekit-replay[torch]'."
        )

    @classmethod
    def no_device(cls, device: str, reason: str) -> Self:
        return cls(f"The device '{device}' cannot be used: {reason}. Known are cpu, cuda and cuda:NUMBER.")

    @classmethod
    def tensor_parallel(cls, tp: int, count: int) -> Self:
        return cls(
            f"--tp {tp} is not measured yet, whatever GPUs are there ({count} can be used). Without --tp one GPU is "
            "measured; for several, give `tracekit calibrate` measured rows, or a trace."
        )

    @classmethod
    def journal(cls, path: Path, reason: str) -> Self:
        return cls(f"The readings {path} cannot be kept: {reason}. Choose another output with -o.")

    @classmethod
    def other(cls, path: Path, name: str, theirs: str, ours: str) -> Self:
        return cls(
            f"{path} holds readings of another measurement ({name} is {theirs} there and {ours} here). Choose another "
            "output with -o, or begin anew with --force."
        )

    @classmethod
    def nothing(cls, reason: str) -> Self:
        return cls(
            f"No point could be measured: {reason}. Try a smaller model, --max-batch or --max-context."
        )


class CatalogInvalid(TracekitError):
    _WHERE = "docs/catalog.md has an example."

    @classmethod
    def unreadable(cls, path: Path, reason: str) -> Self:
        return cls(f"The catalog file {path} cannot be used: {reason}. It is TOML; {cls._WHERE}")

    @classmethod
    def no_rows(cls, path: Path, table: str) -> Self:
        return cls(
            f"The catalog file {path} has a table [{table}] without names in it; it must be [{table}.NAME]. "
            f"{cls._WHERE}"
        )

    @classmethod
    def lacks(cls, path: Path, table: str, key: str) -> Self:
        return cls(f"A [{table}] of the catalog file {path} has no '{key}'. Add it; {cls._WHERE}")

    @classmethod
    def taken(cls, path: Path, alias: str, meant: str) -> Self:
        return cls(
            f"The catalog file {path} gives the alias '{alias}', which means {meant} already. Change that row "
            "instead, or choose another alias."
        )

    @classmethod
    def row_lacks(cls, table: str, name: str, key: str) -> Self:
        return cls(
            f"[{table}.{name}] has no '{key}'. Add it to the catalog file, or start from another row with "
            f'like = "NAME"; {cls._WHERE}'
        )

    @classmethod
    def no_price(cls, gpu: str) -> Self:
        return cls(
            f"No price of an hour of {gpu} is known. Give yours with --catalog FILE, where FILE says "
            f'[price."{gpu}"] and typical = DOLLARS.'
        )

    @classmethod
    def not_a_number(cls, table: str, name: str, key: str, value: object) -> Self:
        return cls(
            f"[{table}.{name}] has {key} = {value!r}; it must be a number above 0, whole for a model's sizes. "
            "Correct the catalog file, and leave out what is unknown."
        )


class ModelConfigInvalid(TracekitError):
    _WAY_OUT = (
        "Write the model into a catalog file (docs/catalog.md) and pass it with --catalog, or choose a model of "
        "`tracekit info --models`."
    )

    @classmethod
    def unreadable(cls, path: Path, reason: str) -> Self:
        return cls(f"The model configuration {path} cannot be used: {reason}. It must be a config.json.")

    @classmethod
    def unknown(cls, path: Path, key: str, value: object, known: Iterable[str]) -> Self:
        return cls(
            f"{path} has {key} = {value!r}, which is not known here; known are {', '.join(sorted(known))}. "
            f"{cls._WAY_OUT}"
        )

    @classmethod
    def lacks(cls, path: Path, key: str, found: Iterable[str]) -> Self:
        near = difflib.get_close_matches(key, list(found), 1, 0.7)
        meant = f" Is '{near[0]}' meant to be it?" if near else ""
        return cls(f"{path} has no '{key}', which its architecture needs.{meant} {cls._WAY_OUT}")

    @classmethod
    def not_a_size(cls, path: Path, key: str, value: object) -> Self:
        return cls(f"{path}: {key} is {value!r}; it must be a whole number of at least 1. Correct the file.")


class ModelDoesNotFit(TracekitError):
    @classmethod
    def on(
        cls, model: str, gpu: str, tp: int, need_gb: float, have_gb: float, fitting_tp: int | None
    ) -> Self:
        way_out = (
            f"Use --tp {fitting_tp}."
            if fitting_tp
            else "No tensor parallel size up to 8 holds it; use a larger GPU."
        )
        return cls(
            f"{model} does not fit on {tp} x {gpu}: its weights and a minimal cache need "
            f"{need_gb:.1f} GB a GPU, {have_gb:.1f} GB are usable. {way_out}"
        )


class ScenarioInvalid(TracekitError):
    @classmethod
    def not_positive(cls, name: str, value: object) -> Self:
        return cls(
            f"{name} is {value!r}; it must be a whole number of at least 1. Correct the fleet file or the option."
        )

    @classmethod
    def not_seconds(cls, name: str, value: object) -> Self:
        return cls(f"{name} is {value!r}; it must be a number of at least 0. Correct the fleet file.")

    @classmethod
    def more_than(cls, name: str, value: int, limit: str, most: int) -> Self:
        return cls(f"{name} is {value}, more than {limit} = {most}. Correct the fleet file.")

    @classmethod
    def cap_below_floor(cls, cap_w: float, gpu: str, floor_w: float) -> Self:
        return cls(
            f"power_cap_w is {cap_w:g}, and a {gpu} draws {floor_w:.0f} W in a step before anything runs on it. "
            "Set it higher in the fleet file."
        )

    @classmethod
    def cannot_offload(cls) -> Self:
        return cls(
            "retention = 'offload' copies blocks of a prefix cache for later calls of the same replica: it needs "
            "role = 'both', prefix_cache = true, and a batching other than 'slots'. Correct the fleet file."
        )

    @classmethod
    def unbalanced_roles(cls, roles: list[str]) -> Self:
        return cls(
            f"The fleet's pools have the roles {roles}; either all are 'both', or some 'prefill' and some 'decode'. "
            "Correct the fleet file."
        )

    @classmethod
    def not_a_flag(cls, name: str, value: object) -> Self:
        return cls(f"{name} is {value!r}; it must be true or false. Correct the fleet file or the option.")

    @classmethod
    def not_text(cls, name: str, value: object) -> Self:
        return cls(f"{name} is {value!r}; it must be one name in quotes. Correct the fleet file.")

    @classmethod
    def tp_does_not_divide(cls, tp: int, model: str, heads: int) -> Self:
        return cls(
            f"{model} has {heads} attention heads, which {tp} GPUs cannot share equally. Use --tp 1, 2, 4 or 8."
        )

    @classmethod
    def too_long(cls, rate_per_s: float) -> Self:
        return cls(
            f"At {rate_per_s:g} sessions a second the last would arrive after more than 100 years. Raise --rate."
        )

    @classmethod
    def no_rate(cls, sessions: int) -> Self:
        return cls(
            f"The trace has {sessions} session(s), all arriving at once, so their rate cannot be scaled. "
            "Use --release poisson with --rate: it draws arrivals of its own."
        )

    @classmethod
    def too_many_sessions(cls, expected: float, most: int) -> Self:
        return cls(
            f"Some {expected:,.0f} sessions would arrive; a replay takes up to {most:,}. Lower --rate, --days or "
            "--sessions."
        )

    @classmethod
    def nobody_arrives(cls, expected: float) -> Self:
        return cls(
            f"No session arrives: {expected:.3g} are expected, and the draw gave none. Raise --rate or --days, or "
            "try another --seed."
        )

    @classmethod
    def unreadable(cls, path: Path, reason: str) -> Self:
        return cls(
            f"The fleet file {path} cannot be used: {reason}. It is TOML with a table [fleet] that has at least "
            "gpu and model; `tracekit info --gpus --models` lists the names."
        )


class ProfileInvalid(TracekitError):
    _FORM = (
        "A profile is a CSV file: a line `hour,weight` (or `hour,rate`, in sessions a second), then one line for each "
        "hour from which another weight holds, such as `9,3.5`."
    )

    @classmethod
    def unreadable(cls, path: Path, reason: str) -> Self:
        return cls(f"The profile {path} cannot be used: {reason}. {cls._FORM}")

    @classmethod
    def no_column(cls, path: Path, name: str, near: str | None, found: list[str]) -> Self:
        meant = f"is '{near}' meant to be it? " if near else ""
        columns = ", ".join(found) or "none"
        return cls(f"The profile {path} has no column {name}; {meant}It has: {columns}. {cls._FORM}")

    @classmethod
    def bad_value(cls, path: Path, line: int, name: str, value: str, fault: str) -> Self:
        return cls(f"The profile {path}, line {line}: {name} '{value}' {fault}. Correct that line.")


PROXY_INSTALL = "pip install 'tracekit-replay[proxy]'"
"""What brings the proxy's library."""


class ProxyMissing(TracekitError):
    @classmethod
    def asked_for(cls) -> Self:
        return cls(
            f"--proxy always needs aiohttp, which is not installed beside tracekit. Type `{PROXY_INSTALL}`, or leave "
            "the option out: calls of Python processes are recorded without it. Nothing was started."
        )


class LaunchFailed(TracekitError):
    exit_code = 125

    @classmethod
    def not_found(cls, command: str) -> Self:
        error = cls(f"Command not found: {command}. Nothing was recorded; check the spelling and the PATH.")
        error.exit_code = 127
        return error

    @classmethod
    def not_executable(cls, command: str, reason: str) -> Self:
        error = cls(f"{command} cannot be executed ({reason}). Nothing was recorded.")
        error.exit_code = 126
        return error


class CompilerMissing(TracekitError):
    @classmethod
    def here(cls, reason: str) -> Self:
        return cls(
            f"The fake GPU is a small C file that is compiled where it is used, and that failed: {reason}. "
            "Install a C compiler (`apt install gcc libc6-dev`), or leave the fake GPU out."
        )


class MergeRefused(TracekitError):
    @classmethod
    def twice(cls, path: Path) -> Self:
        return cls(f"{path} is given twice; its rows would count double. Name each trace once.")

    @classmethod
    def not_one(cls, name: str, found: int, known: Iterable[str]) -> Self:
        what = "is in none of the traces, or the first" if found < 2 else f"is in {found} of the traces"
        return cls(
            f"--offset {name}=...: this host {what}. An offset is that of one trace from the first: "
            f"{', '.join(known)}. Name a trace's file where hosts have the same name."
        )


class ServesInvalid(TracekitError):
    @classmethod
    def unreadable(cls, text: str) -> Self:
        return cls(
            f"--serves {text!r} cannot be read; it takes URL=HOST:GPU[,GPU], where HOST is the host that sampled "
            "the GPUs, for instance --serves http://10.0.0.5:8000/v1=gpu-node-1:0,1."
        )

    @classmethod
    def no_such_endpoint(cls, text: str, endpoints: list[str]) -> Self:
        return cls(
            f"--serves {text!r}: no call of the trace went there; calls went to {', '.join(endpoints) or 'nowhere'}. "
            "Correct the URL."
        )

    @classmethod
    def no_such_gpu(cls, text: str, gpu: str, sampled: list[str]) -> Self:
        return cls(
            f"--serves {text!r}: the trace has no samples of GPU {gpu} there; sampled were "
            f"{', '.join(sampled) or 'none'}. Correct HOST:GPU, or add the host's samples with `tracekit merge`."
        )
