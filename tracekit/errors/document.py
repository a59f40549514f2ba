"""Documents to compare, and the budgets of a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from tracekit.errors.message import TracekitError


class DocumentUnreadable(TracekitError):
    _WAY_OUT = (
        "`tracekit replay TRACE --json` and `tracekit analyze TRACE --json` print a document, and `tracekit replay "
        "TRACE -o FILE.parquet` writes a timeline."
    )

    @classmethod
    def at(cls, path: Path, reason: str) -> Self:
        return cls(f"{path} cannot be compared: {reason}. {cls._WAY_OUT}")

    @classmethod
    def version(cls, path: Path, found: object, known: int) -> Self:
        return cls(
            f"{path} is of schema version {found}, and this is version {known}: the same name may mean another number. "
            "Make both documents with the same version of tracekit."
        )

    @classmethod
    def no_timeline(cls, path: Path) -> Self:
        return cls(
            f"{path} is a Parquet file, but no timeline of a replay; a trace has nothing replayed. {cls._WAY_OUT}"
        )


class BudgetInvalid(TracekitError):
    _FORM = (
        "A budget is NAME>LIMIT or NAME<LIMIT, such as session_p95>+10% (a change from A to B), ttft_p95>2s (B itself) "
        "or idle_s.tool_wait>+60s."
    )

    @classmethod
    def unreadable(cls, text: str) -> Self:
        return cls(f"--fail-if '{text}' cannot be read. {cls._FORM}")

    @classmethod
    def no_sign(cls, text: str) -> Self:
        return cls(
            f"--fail-if '{text}': percent of what is not said. With a sign it is the change from A to B, as in >+10%."
        )

    @classmethod
    def unit(cls, text: str, word: str, known: list[str]) -> Self:
        units = f"it takes {', '.join(known)}" if known else "it has no unit"
        return cls(f"--fail-if '{text}': '{word}' is no unit of that number; {units}.")

    @classmethod
    def unknown(cls, text: str, name: str, sides: str) -> Self:
        return cls(
            f"--fail-if '{text}': {name} is not known in {sides}, so the budget cannot be judged. Leave it out, or "
            "compare documents that have it."
        )
