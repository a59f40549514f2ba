"""Documents read back: JSON that `--json` or `-o FILE.json` wrote, or the one in a timeline's metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tracekit.errors import DocumentUnreadable
from tracekit.reports.document import SCHEMA_VERSION
from tracekit.reports.timeline_file import METADATA_KEY

Document = dict[str, Any]
PARQUET_MAGIC = b"PAR1"


def read_document(path: Path) -> Document:
    """The document in a file.

    Raises
    ------
    DocumentUnreadable : there is none, it is of another program or version, or the file holds something else.
    """
    try:
        with path.open("rb") as file:
            is_parquet = file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC
        document = _of_timeline(path) if is_parquet else json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise DocumentUnreadable.at(path, error.strerror or str(error)) from error
    except (ValueError, RecursionError, pa.ArrowException) as error:
        raise DocumentUnreadable.at(path, "it is no JSON") from error
    if not isinstance(document, dict) or "schema_version" not in document:
        raise DocumentUnreadable.at(path, "it has no schema_version")
    if document["schema_version"] != SCHEMA_VERSION:
        raise DocumentUnreadable.version(path, document["schema_version"], SCHEMA_VERSION)
    return document


def _of_timeline(path: Path) -> Any:
    told = (pq.read_schema(path).metadata or {}).get(METADATA_KEY)
    if told is None:
        raise DocumentUnreadable.no_timeline(path)
    return json.loads(told)
