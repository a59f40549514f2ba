"""What `merge` says at the end: by how much each host's times were moved, on what evidence, and what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from tracekit.provenance import Host, Provenance
from tracekit.reports.recording import counted
from tracekit.units import seconds

_EVIDENCE = {
    "reference": "its clock is the trace's",
    "given": "as given; the error is not known",
    "same_clock": "the same start of the same host",
    "exchange": "by questions and calls between the two",
    "wall_clock": "both clocks follow the network's time",
    "assumed": "NOT KNOWN: both wall clocks are taken to be right; give --offset, or use --clock and --serve",
}


def merged_lines(provenance: Provenance, output: Path) -> Iterator[str]:
    """The lines, without line ends."""
    yield f"tracekit: {counted(output)} -> {output}"
    for host in provenance.hosts:
        yield f"tracekit: {host_line(host)}"
    yield f"Next: tracekit analyze {shlex.quote(str(output))}"


def host_line(host: Host) -> str:
    """A host of a merged trace, and what was done to its times."""
    evidence = _EVIDENCE.get(host.clock_source or "", host.clock_source or "not merged")
    if host.clock_source in (None, "reference"):
        return f"{host.name}: {evidence}"
    error = "" if host.clock_error_ns is None else f" to within {seconds(host.clock_error_ns / 1e9)}"
    drift = f", drift {host.drift_ppm:+.1f} ppm" if host.drift_ppm else ""
    slept = f", {seconds(host.slept_ns / 1e9)} asleep put back" if host.slept_ns else ""
    moved = (
        "" if host.shift_ns is None else f"times moved by {host.shift_ns / 1e9:+.6f} s{error}{drift}{slept}"
    )
    return f"{host.name}: {moved} ({evidence})"
