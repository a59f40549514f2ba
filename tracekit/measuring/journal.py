"""Readings as they are made: JSON lines beside the output, so that nothing is lost and the same command goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tracekit.errors import MeasuringRefused
from tracekit.measuring.point import Point, Reading

SUFFIX = ".readings.jsonl"
Facts = dict[str, str]


class Journal:
    """One file: what measures, then every reading.

    Parameters
    ----------
    path : of the file.
    facts : what measures, and of which model; another's file is refused.

    Raises
    ------
    MeasuringRefused : the file is of other devices, models or packages, or cannot be written.
    """

    def __init__(self, path: Path, facts: Mapping[str, str]) -> None:
        self.path = path
        self.readings: list[Reading] = []
        self.idle: dict[str, float | None] = {}
        known = self._load(facts)
        if not known:
            self._append({"t": "device", **facts})

    @classmethod
    def beside(cls, output: Path) -> Path:
        """Where the journal of an output lies."""
        return output.with_name(output.name + SUFFIX)

    @property
    def done(self) -> set[Point]:
        """Points that were tried, whatever came of it."""
        return {reading.point for reading in self.readings}

    def keep(self, reading: Reading) -> None:
        """Append one."""
        self.readings.append(reading)
        self._append({"t": "reading", **reading.to_json()})

    def keep_idle(self, name: str, watts: float | None) -> None:
        """Append the watts of a device with nothing to do: `idle_w` without, `warm_idle_w` with a model."""
        self.idle[name] = watts
        self._append({"t": "idle", "name": name, "watts": watts})

    def _load(self, facts: Mapping[str, str]) -> bool:
        """Whether there was one; lines that were cut short are passed over."""
        try:
            lines = self.path.read_text("utf-8").splitlines()
        except FileNotFoundError:
            return False
        except (OSError, UnicodeDecodeError) as error:
            raise MeasuringRefused.journal(self.path, str(error)) from error
        known = False
        for line in lines:
            record = _record(line)
            if record.get("t") == "device":
                self._compare(record, facts)
                known = True
            elif record.get("t") == "idle":
                self.idle[str(record.get("name"))] = record.get("watts")
            elif record.get("t") == "reading":
                self._take(record)
        return known

    def _take(self, record: Mapping[str, Any]) -> None:
        try:
            self.readings.append(Reading.from_json(record))
        except TypeError:
            return

    def _compare(self, record: Mapping[str, Any], facts: Mapping[str, str]) -> None:
        for name, value in facts.items():
            if record.get(name) != value:
                raise MeasuringRefused.other(self.path, name, str(record.get(name)), value)

    def _append(self, record: Mapping[str, Any]) -> None:
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        except OSError as error:
            raise MeasuringRefused.journal(self.path, error.strerror or str(error)) from error


def _record(line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}
