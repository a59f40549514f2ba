"""Traces that cannot be joined, and endpoints that no GPU serves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from tracekit.errors.message import TracekitError
from tracekit.location import Location


class MergeRefused(TracekitError):
    @classmethod
    def twice(cls, path: Location) -> Self:
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
