"""What the recorder knows in this process, once, however often these modules were loaded.

`sitecustomize` loads this package as `_tracekit_inside`; a program that imports tracekit loads it again as
`tracekit.collectors.inside`. The second copy takes the first one's state, so that marks and hooks meet.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .identity import Hashing
    from .loopback import Loopback
    from .marks import Span
    from .spool import Writer

INJECTED_NAME = "_tracekit_inside"


class State:
    """The open spool and what the running code belongs to."""

    def __init__(self) -> None:
        self.writer: Writer | None = None
        self.hashing: Hashing | None = None
        self.hash_key_file = ""
        self.injected_directory = ""
        self.usage = "keep"  # or inject: ask for token counts where the client left it open
        self.content = "none"  # or redacted, or full: what is kept of prompts and answers
        self.usage_places: dict[tuple[str, int | None, str], str] = {}  # not to be asked for them, and why
        self.loopback: Loopback | None = None
        self.session: ContextVar[str | None] = ContextVar("tracekit_session", default=None)
        self.tool: ContextVar[str | None] = ContextVar("tracekit_tool", default=None)
        self.scope: ContextVar[str | None] = ContextVar("tracekit_scope", default=None)
        self.agent_run: ContextVar[str | None] = ContextVar("tracekit_agent_run", default=None)
        self.in_request: ContextVar[bool | None] = ContextVar("tracekit_in_request", default=None)
        self.observed: ContextVar[bool] = ContextVar("tracekit_observed", default=False)
        self.flow: tuple[ContextVar[Any], ...] = (
            self.session, self.tool, self.scope, self.agent_run, self.in_request,
        )  # fmt: skip
        self.jobs: dict[int, str] = {}  # by thread: the job that it does, since pools use threads again
        self.open_sessions: dict[str, int] = {}
        self.open_tools: dict[str, Span] = {}

    def choose(self, environment: Mapping[str, str]) -> None:
        """Take the user's choices, which the supervisor hands to every process that records, as variables."""
        self.usage = environment.get("TRACEKIT_USAGE") or "keep"
        self.content = environment.get("TRACEKIT_CONTENT") or "none"

    def record(self, kind: str, ns: int, fields: dict[str, Any]) -> None:
        """Append one record to the spool, if there is one."""
        writer = self.writer
        if writer is not None:
            writer.write(kind, ns, fields)

    def note(self, what: str, detail: str) -> None:
        """Write down that something was not seen, or went wrong."""
        writer = self.writer
        if writer is not None:
            writer.note(what, detail)

    def failed(self, where: str, error: BaseException) -> None:
        """Note that the recorder itself failed at `where`; the agent goes on."""
        self.note("hook_error", f"{where}: {type(error).__name__}")


def _shared() -> State:
    first = sys.modules.get(INJECTED_NAME + ".state")
    state: State | None = getattr(first, "STATE", None)
    return State() if state is None else state


STATE = _shared()
