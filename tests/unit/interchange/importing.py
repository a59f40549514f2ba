"""Small files imported and compiled: what the tests of every format look at."""

import gzip
import json
from pathlib import Path

import numpy as np

from tracekit.analyzers.kernels.layout import StepKind
from tracekit.analyzers.workload import compile_workload
from tracekit.interchange.formats import import_files
from tracekit.interchange.reader import Settings
from tracekit.provenance import Provenance
from tracekit.schema import FORMAT_VERSION, Kind
from tracekit.trace import Trace

S = 1_000_000_000
MS = 1_000_000


def text_of(content):
    """Text as it is, a list as JSON lines, another object as JSON."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(row + "\n" if isinstance(row, str) else json.dumps(row) + "\n" for row in content)
    return json.dumps(content)


class Import:
    """An import of `contents`, one file each, and the trace it made."""

    def __init__(self, folder: Path, name, *contents, strict=False, packed=False, force=False, **settings):
        paths = []
        for index, content in enumerate(contents):
            path = folder / f"source{index}"
            if isinstance(content, Path):
                path = content
            elif packed:
                path.write_bytes(gzip.compress(text_of(content).encode()))
            else:
                path.write_text(text_of(content))
            paths.append(path)
        self.provenance = Provenance(FORMAT_VERSION, "test", ["tracekit", "import"], 0)
        self.path = folder / "t.parquet"
        self.made = import_files(
            name, paths, self.path, self.provenance, settings=Settings(**settings), strict=strict, force=force
        )
        self.trace = Trace.open(self.path)

    def rows(self, kind: Kind):
        """Rows of a kind, in order of start."""
        return sorted(self.trace.rows(kind).to_pylist(), key=lambda row: (row["start_ns"], row["row_id"]))

    @property
    def calls(self):
        return self.rows(Kind.LLM_CALL)

    @property
    def tools(self):
        return self.rows(Kind.TOOL_SPAN)

    @property
    def sessions(self):
        return self.rows(Kind.SESSION)

    @property
    def workload(self):
        return compile_workload(self.trace).workload

    @property
    def lags_s(self):
        """Of the calls, in order of session and start."""
        workload = self.workload
        return np.round(workload.lag_s[workload.kind == StepKind.CALL], 9).tolist()

    @property
    def tokens(self):
        workload = self.workload
        calls = workload.kind == StepKind.CALL
        return list(
            zip(workload.input_tokens[calls].tolist(), workload.output_tokens[calls].tolist(), strict=True)
        )

    @property
    def bad(self):
        return list(self.made.bad_rows.lines())

    @property
    def prefixes(self):
        """(owner's position among the calls or None, shared tokens) of each call."""
        position = {row["row_id"]: at for at, row in enumerate(self.calls)}
        return [
            (None if row["prefix_call_id"] is None else position[row["prefix_call_id"]], row["prefix_tokens"])
            for row in self.calls
        ]
