"""HTTP attempts: spool records of one request's start and end, paired."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tracekit.schema import Status
from tracekit.spool import Record


@dataclass
class Part:
    """One message of a prompt in template order: who wrote it, how long, which hashes; never its text."""

    role: str
    size_bytes: int
    prefix_hash: int | None
    content_hash: str | None
    tool_call_ids: tuple[str, ...]
    tool_result_id: str | None

    @classmethod
    def of(cls, raw: Record) -> Part:
        return cls(
            role=str(raw.get("role")),
            size_bytes=int(raw.get("bytes") or 0),
            prefix_hash=_hash(raw.get("prefix_hash")),
            content_hash=raw.get("content_hash"),
            tool_call_ids=tuple(raw.get("tool_call_ids") or ()),
            tool_result_id=raw.get("tool_result_id"),
        )


@dataclass
class Attempt:
    """One HTTP request and what came back; `end_ns` is None if its process died first."""

    key: str
    start_ns: int
    record: Record
    end_ns: int | None = None
    status: Status = Status.INTERRUPTED
    outcome: Record = field(default_factory=dict)

    @property
    def request(self) -> Record:
        request = self.record.get("request")
        return request if isinstance(request, dict) else {}

    @property
    def response(self) -> Record:
        response = self.outcome.get("response")
        return response if isinstance(response, dict) else {}

    @property
    def http_status(self) -> int | None:
        return self.outcome.get("http_status")

    @property
    def failed(self) -> bool:
        return self.status is Status.ERROR

    @property
    def context(self) -> tuple[Any, ...]:
        """Where it ran: two attempts of one call, or two calls of one task, share it."""
        return context_of(self.record)

    @property
    def scope(self) -> object:
        """The flow of control it belongs to: tasks inherit it from the code that started them."""
        return self.record.get("scope") or self.context

    @property
    def parts(self) -> list[Part]:
        return [Part.of(raw) for raw in self.request.get("parts") or [] if isinstance(raw, dict)]


def pair_attempts(records: Iterable[Record]) -> list[Attempt]:
    """Every attempt that was started, in order of start."""
    attempts: dict[str, Attempt] = {}
    for record in records:
        if record["t"] == "attempt_start":
            attempts[record["id"]] = Attempt(record["id"], record["ns"], record)
        elif record["t"] == "attempt_end" and (attempt := attempts.get(record["id"])):
            attempt.end_ns = record["ns"]
            attempt.outcome = record
            attempt.status = _status(record)
    return sorted(attempts.values(), key=lambda attempt: (attempt.start_ns, attempt.key))


def _status(record: Record) -> Status:
    status = known_status(record.get("status"))
    if status is Status.OK and (record.get("http_status") or 200) >= 400:
        return Status.ERROR
    return status


def context_of(record: Record) -> tuple[Any, ...]:
    """The process, thread and task that a record tells of; of a thread that is used again, the job."""
    return (record.get("pid"), record.get("job") or record.get("thread"), record.get("task"))


def known_status(word: object) -> Status:
    """The status that a record names; one that this version does not know is an error."""
    return Status(str(word)) if word in tuple(Status) else Status.ERROR


def _hash(text: str | None) -> int | None:
    return int(text, 16) if text else None
