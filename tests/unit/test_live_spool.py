"""What a growing spool says at a moment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tracekit.live_spool import LiveSpool
from tracekit.reports.status_line import status_text

S = 1_000_000_000


def write(file: Path, *records: dict[str, Any]) -> None:
    with file.open("ab") as stream:
        for record in records:
            stream.write(json.dumps(record, separators=(",", ":")).encode() + b"\n")


def start(key: str, at_s: float) -> dict[str, Any]:
    return {"t": "attempt_start", "ns": int(at_s * S), "id": key, "request": {"parts": []}}


def end(key: str, at_s: float, tokens: int | None) -> dict[str, Any]:
    usage = None if tokens is None else {"output": tokens}
    return {"t": "attempt_end", "ns": int(at_s * S), "id": key, "response": {"usage": usage}}


def test_calls_tools_and_watts_are_followed(tmp_path: Path) -> None:
    spool = LiveSpool(tmp_path)
    assert spool.standing(0) == (0, 0, 0, None, None)
    write(tmp_path / "1-1.jsonl", {"t": "process", "ns": 1, "pid": 1}, start("a", 1), start("b", 2))
    write(tmp_path / "2-1.jsonl", {"t": "tool_start", "ns": 3 * S, "id": "t"})
    write(
        tmp_path / "3-1.jsonl",
        {"t": "power", "ns": 1, "gpu_index": 0, "power_w": 100.0},
        {"t": "power", "ns": 1, "gpu_index": 1, "power_w": 50.5},
        {"t": "power", "ns": 2, "gpu_index": 0, "power_w": 300.0},
    )
    assert spool.standing(3 * S) == (2, 2, 1, None, 350.5)
    write(tmp_path / "1-1.jsonl", end("a", 4, 30))
    write(tmp_path / "2-1.jsonl", {"t": "tool_end", "ns": 4 * S, "id": "t"})
    assert spool.standing(4 * S) == (2, 1, 0, pytest.approx(3.0), 350.5)


def test_tokens_count_while_they_are_generated_in_the_window(tmp_path: Path) -> None:
    spool = LiveSpool(tmp_path)
    write(tmp_path / "1-1.jsonl", start("a", 0), end("a", 20, 200))
    assert spool.standing(20 * S).output_tokens_per_s == pytest.approx(10.0)
    assert spool.standing(25 * S).output_tokens_per_s == pytest.approx(5.0)
    assert spool.standing(31 * S).output_tokens_per_s is None


def test_lines_are_taken_once_and_only_when_whole(tmp_path: Path) -> None:
    file = tmp_path / "1-1.jsonl"
    spool = LiveSpool(tmp_path)
    line = json.dumps(start("a", 1), separators=(",", ":")).encode()
    file.write_bytes(line[:20])
    assert spool.standing(S).calls == 0
    with file.open("ab") as stream:
        stream.write(line[20:] + b"\n" + b'{"t":"attempt_start",torn\n' + b'{"t":"power","ns":[]}\n')
    assert [spool.standing(S).calls for _ in range(3)] == [1, 1, 1]


def test_unknown_things_are_left_out_of_the_line(tmp_path: Path) -> None:
    spool = LiveSpool(tmp_path)
    write(tmp_path / "1-1.jsonl", start("a", 1), end("a", 2, None), end("never began", 2, 5))
    assert status_text(spool.standing(2 * S), 61.9) == "tracekit: 1 call, 1:01"
    write(tmp_path / "1-1.jsonl", start("b", 1), {"t": "tool_start", "ns": 1, "id": "t"})
    write(tmp_path / "1-1.jsonl", {"t": "power", "ns": 1, "gpu_index": 0, "power_w": None})
    assert status_text(spool.standing(2 * S), 3) == "tracekit: 2 calls (1 running), 1 tool running, 0:03"
