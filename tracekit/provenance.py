"""Where a trace comes from and what it did not see: the JSON in the file's metadata.

Versioned with the file format. Everything a reader needs to judge a number is here: software, command,
environment, hosts with their clock, the labels of synthetic parts, and the honesty counts (`not_seen`).
"""

from __future__ import annotations

import json
import os
import platform
import sys
from dataclasses import asdict, dataclass, field
from typing import Any, Self

METADATA_KEY = b"tracekit"


@dataclass
class Host:
    """One machine's clock: wall time = its monotonic clock + `clock_offset_ns`, known to `clock_error_ns`."""

    name: str
    clock_offset_ns: int | None
    clock_error_ns: int | None = None


@dataclass
class NotSeen:
    """What the recording knows it missed; every field counts something.

    `engine_metrics` names servers whose metrics were not read, and why. `bad_rows` (by reason) and
    `calls_without_end` are of imports.
    """

    calls_without_tokens: int = 0
    interrupted_calls: int = 0
    interrupted_tools: int = 0
    processes_not_followed: dict[str, int] = field(default_factory=dict)
    processes_left_running: int = 0
    requests_not_read: int = 0
    hook_errors: dict[str, int] = field(default_factory=dict)
    unreadable_lines: int = 0
    lost_records: int = 0
    unfit_values: int = 0
    power: str | None = None
    engine_metrics: list[str] = field(default_factory=list)
    bad_rows: dict[str, int] = field(default_factory=dict)
    calls_without_end: int = 0


@dataclass
class Provenance:
    """Who made the trace, with what, on which machines.

    `origin` is recorded, imported or published-shape; `labels` name what is not a user's real workload
    (engine, weights, content of the demo, say).
    """

    format_version: int
    software_version: str
    command: list[str]
    created_ns: int
    origin: str = "recorded"
    environment: dict[str, str] = field(default_factory=dict)
    hosts: list[Host] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    not_seen: NotSeen = field(default_factory=NotSeen)
    exit_code: int | None = None
    recovered: bool = False

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """The record; keys that a later minor version added are ignored.

        Raises
        ------
        ValueError, TypeError, KeyError : the text is not such a record.
        """
        raw: dict[str, Any] = json.loads(text)
        known = {name: raw[name] for name in cls.__dataclass_fields__ if name in raw}
        known["hosts"] = [Host(**_fields(Host, host)) for host in raw.get("hosts", [])]
        known["not_seen"] = NotSeen(**_fields(NotSeen, raw.get("not_seen", {})))
        return cls(**known)


def _fields(record: type[Any], raw: dict[str, Any]) -> dict[str, Any]:
    """What `raw` holds of the record's own fields."""
    return {name: value for name, value in raw.items() if name in record.__dataclass_fields__}


def environment() -> dict[str, str]:
    """The interpreter and machine at hand, as provenance keeps them."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu_count": str(os.cpu_count()),
        "executable": sys.implementation.name,
    }
