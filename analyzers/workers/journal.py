"""Results as they are finished: JSON lines beside the output, so that what is cut off goes on.

Each line names what its result was computed from, so it is right wherever the same is asked for. A line that was torn
when the process was killed is passed over, and cut off before the next is written.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tracekit.errors import JournalRefused

Result = Mapping[str, Any]
"""What JSON has words for, by name."""


class Journal:
    """One file of finished results by key; `kept` are those that were there and those that were kept since.

    Raises
    ------
    JournalRefused : the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kept: dict[str, dict[str, Any]] = {}
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            text = b""
        except OSError as error:
            raise JournalRefused.unusable(path, error.strerror or str(error)) from error
        whole = text[: text.rfind(b"\n") + 1]
        for line in whole.splitlines():
            self._take(line)
        self._is_torn = len(whole) < len(text)
        self._length = len(whole)

    def read_again(self) -> Journal:
        """The file as it is now."""
        return Journal(self.path)

    @classmethod
    def beside(cls, output: Path, of: str) -> Path:
        """Where the journal of an output lies; `of` are the results: points, replays."""
        return output.with_name(f"{output.name}.{of}.jsonl")

    def keep(self, results: Iterable[tuple[str, Result]]) -> None:
        """Append some. Raises JournalRefused."""
        told = {key: dict(result) for key, result in results}
        lines = "".join(json.dumps({"key": key, "figures": result}) + "\n" for key, result in told.items())
        try:
            if self._is_torn:
                with self.path.open("r+b") as file:
                    file.truncate(self._length)
                self._is_torn = False
            with self.path.open("ab") as file:
                file.write(lines.encode())
        except OSError as error:
            raise JournalRefused.unusable(self.path, error.strerror or str(error)) from error
        self.kept |= told

    def _take(self, line: bytes) -> None:
        try:
            record: Any = json.loads(line)
            self.kept[str(record["key"])] = dict(record["figures"])
        except (ValueError, TypeError, KeyError):
            return
