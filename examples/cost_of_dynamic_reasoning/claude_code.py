"""100 recorded Claude Code sessions (kv-cache-tester, Apache-2.0), which are too large for the repository."""

from __future__ import annotations

import os
from pathlib import Path

from examples.cost_of_dynamic_reasoning.published import HERE
from tracekit import __version__
from tracekit.interchange.formats import import_files
from tracekit.provenance import Provenance
from tracekit.schema import FORMAT_VERSION

FOLDER = Path(os.environ.get("TRACEKIT_SHARED") or HERE.parents[2] / "shared") / "traces" / "claude_code"
"""Under $TRACEKIT_SHARED, or beside the repository; without them that part of the page says so."""

SOURCE = "callanjfox/kv-cache-tester @ 94f6046d"


def session_files() -> list[Path]:
    """Those at hand, in order of name; none where they are missing."""
    return sorted(FOLDER.glob("*.json.gz"))


def import_sessions(trace: Path) -> None:
    """Writes them as a trace, over an older one."""
    provenance = Provenance(FORMAT_VERSION, __version__, [], created_ns=0)
    import_files("weka", session_files(), trace, provenance, force=True)
