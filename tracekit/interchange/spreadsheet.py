"""Text in CSV that no spreadsheet takes for a formula.

Text that begins with `=`, `+`, `-`, `@`, their full-width forms, a tab or a line break has an apostrophe put before
it (OWASP, "CSV injection"). So has text that begins with an apostrophe: whoever takes one leading apostrophe off
every text cell has the text back. Numbers are no text.
"""

from __future__ import annotations

import polars as pl

MARK = "'"
_BEGINNINGS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20" + MARK


def neutral(text: str) -> str:
    """The text as a cell may hold it."""
    return MARK + text if text[:1] and text[0] in _BEGINNINGS else text


def neutral_columns(rows: pl.DataFrame) -> pl.DataFrame:
    """The same rows, columns of text (also where it is stored as categories) as cells may hold them."""
    risky = list(_BEGINNINGS)
    texts = [
        pl.col(name).cast(pl.String)
        for name, dtype in rows.schema.items()
        if dtype in (pl.String, pl.Categorical, pl.Enum)
    ]
    return rows.with_columns(
        pl.when(text.str.slice(0, 1).is_in(risky)).then(MARK + text).otherwise(text).name.keep()
        for text in texts
    )
