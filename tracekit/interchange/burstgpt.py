"""BurstGPT (github.com/HPMLL/BurstGPT, CC-BY 4.0): requests to ChatGPT and GPT-4, conversations by Session ID.

Timestamp and Elapsed time are in seconds; releases before 2.0 have neither Elapsed time nor Session ID. Its README
calls rows whose Response tokens are 0 failures, so they are failed calls here: replayed as gaps, not as requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tracekit.interchange.request_table import RequestTableReader
from tracekit.schema import Status


class Reader(RequestTableReader):
    """Rows of a BurstGPT file."""

    columns: ClassVar[Mapping[str, str]] = {
        "Timestamp": "start_s",
        "Session ID": "session",
        "Elapsed time": "duration_s",
        "Model": "model",
        "Request tokens": "input_tokens",
        "Response tokens": "output_tokens",
    }
    optional_columns = frozenset({"Session ID", "Elapsed time", "Model"})
    clock = "seconds since midnight of the trace's first day, not dates"

    def status(self, fields: Mapping[str, Any]) -> Status:
        """Failed where nothing was generated."""
        return Status.ERROR if fields["output_tokens"] == 0 else Status.OK
