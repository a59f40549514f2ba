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
    """One machine's clock: a time in its recording = its monotonic clock + `clock_offset_ns`.

    `tracekit merge` puts all onto the first host's clock: `shift_ns` is what it added to the times of this one at
    their middle, `drift_ppm` how much faster the first host's clock runs, `clock_source` by what evidence
    (tracekit/merging/evidence.py), `clock_error_ns` its bound, None if unknown; `slept_ns` is what was added for
    time in suspension.
    """

    name: str
    clock_offset_ns: int | None
    clock_error_ns: int | None = None
    boot_id: str | None = None
    clock_source: str | None = None
    shift_ns: int | None = None
    drift_ppm: float | None = None
    slept_ns: int = 0


@dataclass
class NotSeen:
    """What the recording knows it missed; every field counts something.

    `processes_by_proxy` were not followed either, but had the recorder's proxy as their server's address.
    `calls_estimated` have tokens by bytes (`Estimate`); `streams_not_asked`, without the server's tokens, would have
    them with `--usage inject`; `usage_refusals` (by host) would not be asked.
    `power` is why there are no samples of GPUs at all, `power_faults` what was wrong with single devices, by what;
    `clocks` names hosts whose clock was asked for in vain;
    `engine_metrics` names servers whose metrics were not read, and why;
    `bad_rows` (by reason) and `calls_without_end` are of imports.
    """

    calls_without_tokens: int = 0
    calls_estimated: int = 0
    streams_not_asked: int = 0
    usage_refusals: dict[str, int] = field(default_factory=dict)
    interrupted_calls: int = 0
    interrupted_tools: int = 0
    processes_not_followed: dict[str, int] = field(default_factory=dict)
    processes_by_proxy: dict[str, int] = field(default_factory=dict)
    processes_left_running: int = 0
    requests_not_read: int = 0
    hook_errors: dict[str, int] = field(default_factory=dict)
    frameworks_not_hooked: dict[str, int] = field(default_factory=dict)
    unreadable_lines: int = 0
    lost_records: int = 0
    unfit_values: int = 0
    power: str | None = None
    power_faults: dict[str, int] = field(default_factory=dict)
    clocks: dict[str, int] = field(default_factory=dict)
    engine_metrics: list[str] = field(default_factory=list)
    bad_rows: dict[str, int] = field(default_factory=dict)
    calls_without_end: int = 0


@dataclass
class Estimate:
    """Tokens estimated by bytes, of one side (input or output) of the calls of one model and API.

    `tokens_per_byte` comes from `from_calls` calls that the server counted, and was used for `calls` others. The
    errors are those of estimating each counted call from the other ones, as a share of its count; None from one.
    """

    side: str
    model: str | None
    api: str | None
    tokens_per_byte: float
    from_calls: int
    calls: int
    median_error: float | None = None
    largest_error: float | None = None


@dataclass
class Provenance:
    """Who made the trace, with what, on which machines; `content`: none, redacted or full prompts and answers.

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
    content: str = "none"
    estimates: list[Estimate] = field(default_factory=list)
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
        known["estimates"] = [Estimate(**_fields(Estimate, row)) for row in raw.get("estimates", [])]
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
