"""`--usage inject`: a stream whose client left it open is asked to end with usage, and the agent sees none of it.

A server that refuses the option is asked again without it, where the transport can do that, and is not asked for
it any more by this process.
"""

from __future__ import annotations

import re
import zlib

from .encoding import decoder
from .state import STATE
from .usage_request import asking, says_nothing
from .usage_stream import UsageStream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Place = tuple[str, int | None, str]

REFUSED = "refused"
NEEDLESS = "needless"
# of these, streams hold usage (or llama.cpp's timings) for everybody; their own chunk of it must not be hidden
_HOSTS_THAT_TELL = ("openrouter.ai", "api.mistral.ai", "api.groq.com", "api.deepseek.com")
_NAMES_IT = re.compile(rb"stream_?options|include_?usage", re.IGNORECASE)
_UNKNOWN_FIELD = re.compile(
    rb"extra[ _](?:input|field|param|propert)|extra_forbidden|un(?:known|recogni[sz]ed|expected|supported) "
    rb"(?:request )?(?:arg|param|field|propert|key)|additional ?propert|signature",
    re.IGNORECASE,
)
_READ_BYTES = 64 * 1024  # of a refusal


def injected(
    api: str, address: tuple[str, str, int | None, str], request: dict[str, Any], body: bytes
) -> Injection | None:
    """The injection for a request, or None if it is to go out as it is."""
    if STATE.usage != "inject" or not says_nothing(api, request):
        return None
    host = str(address[1] or "").lower()
    place = (host, address[2], address[3])
    if place in STATE.usage_places or any(
        host == one or host.endswith("." + one) for one in _HOSTS_THAT_TELL
    ):
        return None
    asked = asking(request, body)
    return None if asked is None else Injection(place, asked)


class Injection:
    """What is sent instead of the agent's body, and what of the answer the agent sees.

    Attributes
    ----------
    body : the request that asks for usage; None once the server has refused it.
    added_headers : what to send with it: a compressed stream could not be read line by line.
    """

    __slots__ = ("_place", "_show", "_stream", "_tail", "added_headers", "body")

    def __init__(self, place: Place, body: bytes) -> None:
        self.body: bytes | None = body
        self.added_headers = {"accept-encoding": "identity"}
        self._place = place
        self._stream: UsageStream | None = None
        self._show: Callable[[bytes], bytes] | None = None
        self._tail: Callable[[], bytes] | None = None

    def refused(self, status: int, answer: bytes, encoding: str) -> bool:
        """Whether the server refused the option, not the request; then the agent's own is to be sent."""
        if self.body is None or status < 400:
            return False
        text = _decoded(answer[:_READ_BYTES], encoding)
        if not _NAMES_IT.search(text) and not (
            status in (400, 401, 403, 422) and _UNKNOWN_FIELD.search(text)
        ):
            return False
        self.body, self.added_headers = None, {}
        self.remember(REFUSED)
        return True

    def remember(self, why: str) -> None:
        """Ask this place no more."""
        if self._place not in STATE.usage_places:
            STATE.usage_places[self._place] = why
            if why == REFUSED:
                STATE.note("usage_refused", self._place[0])

    def begin(self, status: int, content_type: str, encoding: str) -> None:
        """The answer's headers are there: a stream will be read line by line."""
        if self.body is None or status >= 300 or "event-stream" not in content_type.lower():
            return
        coding = encoding.strip().lower()
        self._stream = UsageStream()
        if coding in ("", "identity"):
            self._show, self._tail = self._stream.show, self._stream.rest
        elif coding in _WBITS:
            recoded = _Recoded(self._stream, coding)
            self._show, self._tail = recoded.show, recoded.rest
        else:
            self._stream = None
            STATE.note("usage_not_hidden", self._place[0])
            self.remember(NEEDLESS)

    def show(self, data: bytes) -> bytes:
        """What the agent sees of a piece of the body."""
        if self._show is None:
            return data
        try:
            return self._show(data)
        except Exception as error:
            STATE.failed("usage", error)
            self._show = self._tail = None
            return data

    def rest(self) -> bytes:
        """What the agent is still to see of a body that is over."""
        tail, self._show, self._tail = self._tail, None, None
        try:
            return tail() if tail is not None else b""
        except Exception as error:
            STATE.failed("usage", error)
            return b""


_WBITS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


class _Recoded:
    """A stream that was compressed although nobody asked for it: opened, read and closed again."""

    def __init__(self, stream: UsageStream, encoding: str) -> None:
        decode = decoder(encoding)
        assert decode is not None
        self._decode = decode
        self._stream = stream
        self._encoder = zlib.compressobj(wbits=_WBITS[encoding])

    def show(self, data: bytes) -> bytes:
        shown = self._stream.show(self._decode(data))
        return self._encoder.compress(shown) + self._encoder.flush(zlib.Z_SYNC_FLUSH) if shown else b""

    def rest(self) -> bytes:
        return self._encoder.compress(self._stream.rest()) + self._encoder.flush()


def _decoded(answer: bytes, encoding: str) -> bytes:
    decode = decoder(encoding)
    if decode is None:
        return answer
    try:
        return decode(answer)
    except Exception:
        return answer
