"""Requests that begin as an earlier one did, read on from where that one's last message ended.

An agent sends its whole conversation again at every step, and the same settings and tools around it. Parsing and
hashing all of that each time costs milliseconds where it is long; comparing it costs microseconds.
"""

from __future__ import annotations

import re
from functools import lru_cache

from .identity import Hashing
from .json_text import parsed, scan
from .parts import LIST_KEY, SPLIT, leading_parts
from .prompt import REMEMBERED_BYTES, REMEMBERED_PROMPTS
from .request import facts_text, memory
from .settings import settings_text
from .stripping import stripped
from .wire import is_call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NamedTuple

    from .prompt import Part

    class Frame(NamedTuple):
        """What stands around the items: settings as members of a JSON object, and parts of the prompt."""

        settings: str
        parts: list[Part]
        media: int

else:
    from collections import namedtuple

    Frame = namedtuple("Frame", "settings parts media")

_spaces: Any = re.compile(r"[ \t\n\r]*").match
_REMEMBERED_FRAMES = 16


class Beginning:
    """How a request began.

    Attributes
    ----------
    raw : its bytes up to the end of its last item, or to the bracket before the first.
    head : its text up to that bracket.
    items : what was read from there on, stripped.
    media : how much of it was taken out.
    state : the running hash of `raw`.
    """

    __slots__ = ("api", "hashing", "head", "items", "media", "raw", "state")

    def __init__(self, api: str, hashing: Hashing, head: str) -> None:
        self.api = api
        self.hashing = hashing
        self.head = head
        self.items: list[Any] = []
        self.media = 0
        self.raw = head.encode()
        self.state = hashing.new()
        self.state.update(self.raw)

    def followed(self, raw: bytes, items: list[Any]) -> Beginning:
        """The beginning that has these bytes and items more."""
        items, media = stripped(items, raw, self.hashing)
        longer = Beginning.__new__(Beginning)
        longer.api, longer.hashing, longer.head = self.api, self.hashing, self.head
        longer.items, longer.media, longer.raw = self.items + items, self.media + media, self.raw + raw
        longer.state = self.state.copy()
        longer.state.update(raw)
        return longer


class Beginnings:
    """How the last few requests of this process began."""

    def __init__(self) -> None:
        self._known: tuple[Beginning, ...] = ()

    def text(self, api: str, raw: bytes, path: str, hashing: Hashing) -> str | None:
        """The facts of a request in JSON, as `request_text` tells them.

        None if this cannot say: the request has no list of items, or it is none.
        """
        if api not in LIST_KEY:
            return None
        try:
            known = self._longest(api, raw, hashing) or Beginning(api, hashing, _head(api, raw))
            rest = raw[len(known.raw) :]
            text = rest.decode()
            items, end, tail = _items(text, is_first=not known.items)
        except (ValueError, IndexError, StopIteration, RecursionError):
            return None
        frame = _frame(api, path, known.head, text[tail:], hashing)
        if frame is None:
            return None
        beginning = known
        if items:
            size = end if text.isascii() else len(text[:end].encode())
            beginning, rest = known.followed(rest[:size], items), rest[size:]
            self._remember(beginning, known)
        state = beginning.state.copy()
        state.update(rest)
        prompt = memory.prompt([*frame.parts, *beginning.items], SPLIT[api], hashing)
        return facts_text(frame.settings, prompt, beginning.media + frame.media, len(raw), state.hexdigest())

    def _longest(self, api: str, raw: bytes, hashing: Hashing) -> Beginning | None:
        found = None
        for known in self._known:
            if raw.startswith(known.raw) and known.api == api and known.hashing is hashing:
                found = known if found is None or len(known.raw) > len(found.raw) else found
        return found

    def _remember(self, beginning: Beginning, instead: Beginning) -> None:
        kept, room = [beginning], REMEMBERED_BYTES - len(beginning.raw)
        for known in self._known:
            room -= len(known.raw)
            if known is not instead and room >= 0 and len(kept) < REMEMBERED_PROMPTS:
                kept.append(known)
        self._known = tuple(kept) if len(beginning.raw) <= REMEMBERED_BYTES else self._known


def _head(api: str, raw: bytes) -> str:
    """The text up to the bracket before the first item; ValueError, IndexError or StopIteration without one."""
    wanted, text = LIST_KEY[api], raw.decode()
    at = _spaces(text, 0).end()
    if text[at] != "{":
        raise ValueError
    while True:
        key, at = scan(text, _spaces(text, at + 1).end())
        at = _spaces(text, at).end()
        if text[at] != ":":
            raise ValueError
        at = _spaces(text, at + 1).end()
        if key == wanted and text[at] == "[":
            return text[: at + 1]
        _value, at = scan(text, at)
        at = _spaces(text, at).end()
        if text[at] != ",":
            raise ValueError


def _items(text: str, *, is_first: bool) -> tuple[list[Any], int, int]:
    """The items up to the closing bracket, the end of the last of them, and the place behind the bracket."""
    items: list[Any] = []
    end, at = 0, _spaces(text, 0).end()
    while text[at] != "]":
        if not is_first:
            if text[at] != ",":
                raise ValueError
            at = _spaces(text, at + 1).end()
        item, end = scan(text, at)
        if not isinstance(item, dict):
            raise ValueError  # noqa: TRY004  (of the request, not of an argument)
        items.append(item)
        is_first, at = False, _spaces(text, end).end()
    return items, end, at + 1


@lru_cache(maxsize=_REMEMBERED_FRAMES)
def _frame(api: str, path: str, head: str, tail: str, hashing: Hashing) -> Frame | None:
    """What a request says around its items; None if it is no call."""
    text = f"{head}]{tail}"
    try:
        body = parsed(text)
    except (ValueError, RecursionError):
        return None
    if not is_call(api, body, path) or body[LIST_KEY[api]]:  # that key once more
        return None
    body, media = stripped(body, text.encode(), hashing)
    return Frame(settings_text(api, body, path), leading_parts(api, body), media)
