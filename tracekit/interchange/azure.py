"""Azure's LLM inference traces (github.com/Azure/AzurePublicDataset, CC-BY 4.0): when, and how many tokens.

TIMESTAMP is a date (UTC where it names no zone), ContextTokens and GeneratedTokens are the lengths. No session, no
end: each row is a session of one call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from tracekit.interchange.request_table import RequestTableReader


class Reader(RequestTableReader):
    """Rows of an Azure trace."""

    columns: ClassVar[Mapping[str, str]] = {
        "TIMESTAMP": "start",
        "ContextTokens": "input_tokens",
        "GeneratedTokens": "output_tokens",
    }
