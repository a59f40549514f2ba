"""The table of figures: printed as they are measured, and put into a Markdown file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
HEAD = "| row | what | measured | target |\n|---|---|---|---|"


class Figure(NamedTuple):
    """One line of the table."""

    row: str
    what: str
    measured: str
    target: str = ""


@dataclass
class Figures:
    """What was measured in this run, and how."""

    conditions: list[str]
    lines: list[Figure] = field(default_factory=list)

    def take(self, figures: Iterator[Figure]) -> None:
        """Prints each as it comes."""
        for figure in figures:
            self.lines.append(figure)
            aim = f" [{figure.target}]" if figure.target else ""
            print(f"{figure.row}: {figure.what}: {figure.measured}{aim}", flush=True)

    def write(self, path: Path) -> None:
        """Into the file, between its two marks; the whole file where it has none, or is not there yet."""
        block = f"{BEGIN}\n{self._markdown()}\n{END}"
        text = path.read_text("utf-8") if path.is_file() else ""
        if BEGIN in text and END in text:
            block = re.sub(
                f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _match: block, text, count=1, flags=re.DOTALL
            )
        path.write_text(block if block.endswith("\n") else block + "\n", "utf-8")

    def _markdown(self) -> str:
        lines = [f"| {' | '.join(cell or ' ' for cell in figure)} |" for figure in self.lines]
        return "\n\n".join([*self.conditions, "\n".join([HEAD, *lines])])
