"""Tables of numbers on a terminal."""

from __future__ import annotations

from rich import box
from rich.console import RenderableType
from rich.style import StyleType
from rich.table import Table
from rich.text import Text

from tracekit.reports.words import shown_text


class NumberTable(Table):
    """Cells are text as it stands: a name in them is no markup, and steers no terminal."""

    def add_row(
        self,
        *renderables: RenderableType | None,
        style: StyleType | None = None,
        end_section: bool = False,
    ) -> None:
        """Add a row, a cell a column."""
        cells = (Text(shown_text(cell)) if isinstance(cell, str) else cell for cell in renderables)
        super().add_row(*cells, style=style, end_section=end_section)


def number_table(title: str, *columns: str) -> Table:
    """A table whose first column is words and whose others are numbers."""
    table = NumberTable(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="dim",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right", overflow="fold")
    return table
