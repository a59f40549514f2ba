"""Recordings and traces that are not there, or not what they should be."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Self

from tracekit.errors.message import TracekitError
from tracekit.location import Location, url_meant


class SpoolNotFound(TracekitError):
    @classmethod
    def at(cls, directory: Path) -> Self:
        if (url := url_meant(directory)) is not None:
            return cls(
                f"{url} is a URL, and a recording is recovered from a folder on this machine. Do it where it was "
                "recorded, or fetch the folder."
            )
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
                f"Type `tracekit recover {shlex.quote(str(spool))}` to turn it into the trace."
            )
        command = f"tracekit record -o {shlex.quote(str(path))} -- python my_agent.py"
        return cls(f"There is no file {path}. Record one with `{command}`.")


class TraceUnreadable(TracekitError):
    @classmethod
    def truncated(cls, path: Path, reason: str) -> Self:
        return cls(
            f"{path} is not a complete Parquet file ({reason}). If a recording was cut off, its folder "
            f"{path}.spool is still there: `tracekit recover {path}.spool` rebuilds the trace."
        )

    @classmethod
    def foreign(cls, path: Location) -> Self:
        return cls(
            f"{path} is a Parquet file, but not one that tracekit wrote: its metadata has no 'tracekit' entry. "
            "Record a trace with `tracekit record -- CMD`."
        )

    @classmethod
    def newer(cls, path: Location, found: int, known: int) -> Self:
        return cls(
            f"{path} has trace format version {found}; this tracekit reads up to version {known}. "
            "Upgrade with `pip install -U tracekit-replay`."
        )

    @classmethod
    def damaged(cls, path: Location, reason: str) -> Self:
        return cls(f"{path} does not hold what its format promises: {reason}. Record it again, or report it.")

    @classmethod
    def bad_row(cls, path: Location, row: int, fault: str, others: int = 0) -> Self:
        more = f", and {others} other row(s) likewise" if others else ""
        return cls(
            f"{path}, row {row}: {fault}{more}. Nothing was replayed. Correct or leave out such rows where the trace "
            f"was made; `tracekit info {path}` says where that was."
        )


class TraceEmpty(TracekitError):
    @classmethod
    def of(cls, path: Location, what: str, why: str) -> Self:
        return cls(
            f"{path} holds no {what}. {why} `tracekit info {path}` lists what the recording saw and did not see."
        )
