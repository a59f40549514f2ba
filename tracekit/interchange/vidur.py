"""Vidur's request traces (github.com/microsoft/vidur): arrived_at in seconds, num_prefill_tokens, num_decode_tokens.

The arrivals count from the trace's own start; each row is a session of one call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from tracekit.interchange.request_table import RequestTableReader


class Reader(RequestTableReader):
    """Rows of a Vidur trace."""

    columns: ClassVar[Mapping[str, str]] = {
        "arrived_at": "start_s",
        "num_prefill_tokens": "input_tokens",
        "num_decode_tokens": "output_tokens",
    }
    usage_source = None
    clock = "seconds since the trace's own start, not dates"
