"""The machines that replay for a sweep or a sizing."""

from __future__ import annotations

from typing import Self

from tracekit.errors.message import TracekitError


class EngineUnusable(TracekitError):
    @classmethod
    def no_package(cls, name: str, reason: str) -> Self:
        return cls(
            f"--engine {name} needs the package {name} ({reason}). Install it: pip install 'tracekit-replay[{name}]', "
            "or use --engine local."
        )

    @classmethod
    def no_cluster(cls, name: str, address: str, reason: str) -> Self:
        return cls(
            f"No {name} cluster answers at {address} ({reason}). Check --address, or leave it out and one is started "
            "on this machine."
        )

    @classmethod
    def other_code(cls, host: str) -> Self:
        return cls(
            f"A worker on {host} has another tracekit or numpy than this machine, and might compute other numbers. "
            "Install the same versions on every worker."
        )

    @classmethod
    def no_code(cls, name: str, reason: str) -> Self:
        return cls(
            f"A worker of the {name} cluster cannot run tracekit ({reason}). Install the same version of tracekit on "
            "every worker as on this machine."
        )

    @classmethod
    def lost(cls, name: str, reason: str) -> Self:
        return cls(
            f"Workers of the {name} cluster were lost ({reason}). Mostly they had too little memory: fewer --workers "
            "have more each. What was finished is kept where -o names a file, and --resume goes on with it."
        )
