"""A stream of server-sent events without what it holds only because the recorder asked for usage.

That is one event, `choices: []` with `usage`, and in every other event `"usage": null`. All else passes as soon as
it is certain to be something else: at the end of its line, which is before any client can make sense of it.
"""

from __future__ import annotations

import json
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LONGEST_LINE = 64 * 1024  # no event of token counts is longer; what is passes unread
MOST_LINES = 64
_ENVELOPE = frozenset((
    "id", "object", "created", "model", "choices", "usage", "system_fingerprint", "service_tier", "obfuscation",
    "provider", "request_id", "timings",
))  # fmt: skip
_NULL = re.compile(rb',\s*"usage"\s*:\s*null(?=\s*[,}])|(\{\s*)"usage"\s*:\s*null\s*,\s*')
# as servers write it, at the end of an event: what is behind it shows that it stands at the top
_USUAL = re.compile(rb'(,\s*"usage"\s*:\s*null)\s*(?:,\s*"obfuscation"\s*:\s*"[^"\\]*"\s*)?\}\s*\Z')
_NULL_LINE = re.compile(rb'data:\s*"usage"\s*:\s*null\s*,\s*')  # of an event over several lines
_OPENING = re.compile(rb"data:\s*\{")
_BLANK = (b"\n", b"\r\n", b"\r")


class UsageStream:
    """Bytes in as they come, bytes out for the agent.

    Parameters
    ----------
    keeps_null : the server sends `"usage": null` to those who did not ask as well.
    """

    __slots__ = (
        "_after_return",
        "_held",
        "_in_line",
        "_keeps_null",
        "_passing",
        "_piece",
        "_shown",
        "hidden",
    )

    def __init__(self, *, keeps_null: bool = False) -> None:
        self.hidden = 0  # events that the agent does not see
        self._keeps_null = keeps_null
        self._piece = b""  # of a line whose end is still to come
        self._held: list[bytes] = []  # lines of an event that may be the one to hide
        self._passing = False  # the rest of this event is the agent's
        self._in_line = False  # and a piece of its current line has passed
        self._after_return = (
            ""  # where a line went that ended with \r: held, shown or dropped; a \n may follow
        )
        self._shown: list[bytes] = []

    def show(self, data: bytes) -> bytes:
        """What the agent may see by now."""
        if not data or self._is_plain(data):
            return data
        if self._after_return and data.startswith(b"\n"):
            data = data[1:]
            self._end_return()
        self._after_return = ""
        lines = (self._piece + data).splitlines(True)
        self._piece = b""
        if lines and not lines[-1].endswith((b"\n", b"\r")):
            self._piece = lines.pop()
        went = ""
        for line in lines:
            went = self._take(line)
        if lines and not self._piece and lines[-1].endswith(b"\r"):
            self._after_return = went
        self._pass_piece()
        return self._taken()

    def rest(self) -> bytes:
        """What is left when the body is over, whose last event may lack its blank line."""
        if self._piece:
            self._held.append(self._piece)
            self._piece = b""
        if self._held:
            self._decide(self._event())
        return self._taken()

    def _is_plain(self, data: bytes) -> bool:
        """Whole events that say nothing of usage, after whole events: nearly every chunk."""
        return (
            b'"usage"' not in data
            and data.endswith(b"\n\n")
            and not (self._piece or self._held or self._passing or self._after_return)
        )

    def _taken(self) -> bytes:
        shown, self._shown = self._shown, []
        return b"".join(shown)

    def _end_return(self) -> None:
        """A line feed behind a carriage return goes where its line went."""
        if self._after_return == "held":
            self._held[-1] += b"\n"
        elif self._after_return == "shown":
            self._shown.append(b"\n")

    def _pass_piece(self) -> None:
        """The beginning of a line that need not be looked at, or is too long to be looked at."""
        if self._piece and (self._passing or len(self._piece) > LONGEST_LINE):
            self._release()
            self._shown.append(self._piece)
            self._piece, self._passing, self._in_line = b"", True, True

    def _take(self, line: bytes) -> str:
        """Where a line went: shown, held or dropped."""
        if line in _BLANK and not self._in_line:
            self._passing = False
            if self._held and self._decide(self._event()):
                return "dropped"
            self._shown.append(line)
            return "shown"
        self._in_line = False
        if self._passing or (line.startswith(b":") and not self._held):
            self._shown.append(line)
            return "shown"
        self._held.append(line)
        if len(self._held) > MOST_LINES:
            self._release()
            self._passing = True
            return "shown"
        if line.startswith(b"data:"):
            usual = _USUAL.search(line, max(0, line.rfind(b'"usage"') - 2)) if len(self._held) == 1 else None
            if usual and line.count(b'"usage"') == 1 and _OPENING.match(line):
                self._held = []
                self._shown.append(line if self._keeps_null else line[: usual.start()] + line[usual.end(1) :])
                self._passing = True
                return "shown"
            event = self._event()
            is_text = not line[5:].lstrip().startswith(b"{") and len(self._held) == 1
            if is_text or (event is not None and not _is_usage(event)):
                self._decide(event)
                self._passing = True
                return "shown"
        return "held"

    def _event(self) -> dict[str, Any] | None:
        """The object that the held lines spell, if they do."""
        data = [line[5:] for line in self._held if line.startswith(b"data:")]
        try:
            value = json.loads(b"\n".join(data).decode("utf-8", "replace")) if data else None
        except (ValueError, RecursionError):
            return None
        return value if isinstance(value, dict) else None

    def _decide(self, event: dict[str, Any] | None) -> bool:
        """Show the held lines; whether they are dropped instead, but for comments."""
        if event is not None and _is_usage(event):
            self.hidden += 1
            self._held = [line for line in self._held if line.startswith(b":")]
            self._release()
            return True
        if event is not None and not self._keeps_null and event.get("usage", event) is None:
            self._held = [without_null(line) for line in self._held if not _NULL_LINE.fullmatch(line)]
        self._release()
        return False

    def _release(self) -> None:
        self._shown += self._held
        self._held = []


def without_null(line: bytes) -> bytes:
    """A data line without its one `"usage": null`; as it is if it has none, or several."""
    return _NULL.sub(rb"\g<1>", line) if len(_NULL.findall(line)) == 1 else line


def _is_usage(event: dict[str, Any]) -> bool:
    """Whether an event has nothing but token counts."""
    if event.get("choices") != [] or not isinstance(event.get("usage"), dict) or not event["usage"]:
        return False
    return all(key in _ENVELOPE or value is None for key, value in event.items())
