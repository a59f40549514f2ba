"""Any table of requests, CSV or Parquet: `--map COLUMN=FIELD` says what its columns are.

Columns named as a field need no mapping. A row needs a start, or an end and a duration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tracekit.errors import UnknownName
from tracekit.interchange.request_table import FIELDS, RequestTableReader


class Reader(RequestTableReader):
    """Rows of a table that the user described."""

    usage_source = None

    def mapping(self, header: Sequence[str]) -> Mapping[str, str]:
        """What the user said, then columns that are called as a field.

        Raises
        ------
        UnknownName : a field that there is not.
        """
        said = self.settings.columns
        for field in said.values():
            if field not in FIELDS:
                raise UnknownName.among("field", field, FIELDS)
        taken = set(said.values())
        own = {name: name for name in header if name in FIELDS and name not in taken and name not in said}
        return {**said, **own}
