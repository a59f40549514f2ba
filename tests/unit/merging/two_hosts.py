"""Two hosts whose clocks are known to the test alone, and the traces that they would write."""

import json
from dataclasses import dataclass

import numpy as np

from tests.unit.crafted_trace import call_row, session_row
from tracekit.provenance import Host, Provenance
from tracekit.schema import Kind
from tracekit.trace import table_of, write_trace

START_NS = 1_790_000_000_000_000_000
BOOT_NS = 5_000_000_000_000


@dataclass
class HostAtWork:
    """A host with a clock that is `ahead_s` and runs `ppm` too fast, and sleeps (when, how long) that it misses.

    `true_s` is the time since START_NS that an ideal clock shows.
    """

    name: str
    ahead_s: float = 0.0
    ppm: float = 0.0
    sleeps: tuple = ()

    def __post_init__(self):
        self.rows = {kind: [] for kind in Kind}
        self.boot_id = f"boot of {self.name}"
        self.offset_ns = START_NS + round(self.ahead_s * 1e9) - BOOT_NS

    def monotonic_ns(self, true_s):
        slept_s = sum(min(max(true_s - at_s, 0), long_s) for at_s, long_s in self.sleeps)
        return BOOT_NS + round((true_s - slept_s) * (1 + self.ppm * 1e-6) * 1e9)

    def ns(self, true_s):
        """What the host's recording calls a time."""
        return self.monotonic_ns(true_s) + self.offset_ns

    def add(self, kind, true_s, **row):
        self.rows[kind].append({"start_ns": self.ns(true_s), "host": self.name} | row)

    def mark(self, true_s, name, **told):
        self.add(Kind.MARK, true_s, name=name, text=json.dumps(told))

    def reads_its_clock(self, true_s, wall_error_s=None, max_error_s=0.01):
        slept_s = sum(min(max(true_s - at_s, 0), long_s) for at_s, long_s in self.sleeps)
        synchronized = wall_error_s is not None
        wall_ns = START_NS + round((true_s + (wall_error_s or 0.0)) * 1e9)
        self.mark(
            true_s, "tracekit.clock", wall_offset_ns=wall_ns - self.ns(true_s), slept_ns=round(slept_s * 1e9),
            synchronized=synchronized, max_error_ns=round(max_error_s * 1e9) if synchronized else None,
        )  # fmt: skip

    def asks(self, other, true_s, there_s, back_s):
        """Ask the other for its clock; how long each way takes."""
        self.mark(
            true_s, "tracekit.clock_exchange", peer_boot_id=other.boot_id,
            received_ns=other.monotonic_ns(true_s + there_s), replied_ns=other.monotonic_ns(true_s + there_s + 1e-5),
            returned_ns=self.ns(true_s + there_s + 1e-5 + back_s),
        )  # fmt: skip

    def calls(self, true_s, end_s, response_id):
        row = call_row(0, 0, 0, response_id=response_id)
        self.add(
            Kind.LLM_CALL, true_s, **{name: row[name] for name in row if name not in ("start_ns", "row_id")}
        )
        self.rows[Kind.LLM_CALL][-1]["end_ns"] = self.ns(end_s)

    def write(self, path, **words):
        """The trace, whose row ids begin at 0."""
        sessions = (
            [session_row(0) | {"start_ns": self.ns(0), "end_ns": None}] if self.rows[Kind.LLM_CALL] else []
        )
        self.rows[Kind.SESSION] = sessions
        tables, next_row = {}, 0
        for kind in Kind:
            numbered = [row | {"row_id": next_row + index} for index, row in enumerate(self.rows[kind])]
            next_row += len(numbered)
            if numbered:
                tables[kind] = table_of(kind, numbered)
        host = Host(self.name, self.offset_ns, boot_id=self.boot_id)
        write_trace(path, tables, Provenance(1, "0", ["x"], 0, hosts=[host], **words), force=True)
        return path


def delays(rng, least_s=0.0002, mean_s=0.004):
    """How long a packet is under way: a least time, and queues that are unlike in the two directions."""
    return least_s + rng.exponential(mean_s), least_s + rng.exponential(mean_s * 3)


def power_at(host, times_s):
    for true_s in times_s:
        host.add(Kind.POWER_SAMPLE, true_s, power_w=100.0, gpu_index=0)


def errors_s(trace, times_s, reference):
    """By how much the merged trace's power samples miss the time that the reference's clock showed."""
    merged = np.sort(trace.rows(Kind.POWER_SAMPLE, ["start_ns"])["start_ns"].to_numpy())
    expected = np.array([reference.ns(true_s) for true_s in times_s])
    return (merged - expected) / 1e9
