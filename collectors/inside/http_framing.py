"""Where a message's body lies among the bytes of HTTP/1.1: chunked, of known length, or up to the end."""

from __future__ import annotations

LONGEST_LINE = 65536  # what http.client takes


class Framing:
    """Tells a body from its framing, in whatever pieces the bytes come.

    Attributes
    ----------
    is_complete : the whole body has come; of a body up to the end, nobody knows before the end.
    is_broken : this is no chunked body; nothing more is read from it.
    """

    __slots__ = ("_is_trailer", "_left", "_line", "_pads", "is_broken", "is_chunked", "is_complete", "length")

    def __init__(self, *, is_chunked: bool, length: int | None) -> None:
        self.is_chunked = is_chunked
        self.length = None if is_chunked else length
        self.is_complete = self.length == 0
        self.is_broken = False
        self._left = self.length or 0
        self._line = b""
        self._pads = False  # the line end behind a chunk's data is still to come
        self._is_trailer = False

    def payload(self, data: bytes) -> bytes:
        """The body's own bytes among the next ones that came."""
        if self.is_complete or self.is_broken:
            return b""
        if self.is_chunked:
            return self._chunks(data)
        if self.length is None:
            return data
        data = data[: self._left] if len(data) > self._left else data
        self._left -= len(data)
        self.is_complete = not self._left
        return data

    def _chunks(self, data: bytes) -> bytes:
        if not (self._left or self._pads or self._line or self._is_trailer):
            whole = _whole_chunk(data)
            if whole:
                return whole
        pieces = []
        at, size = 0, len(data)
        while at < size and not self.is_complete and not self.is_broken:
            if self._left:
                piece = data[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                self._pads = not self._left
                continue
            end = data.find(b"\n", at)
            if end < 0:
                self._line += data[at:]
                self.is_broken = len(self._line) > LONGEST_LINE
                break
            self._take_line((self._line + data[at:end]).strip())
            self._line = b""
            at = end + 1
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _take_line(self, line: bytes) -> None:
        if self._pads:
            self._pads = False
            self.is_broken = bool(line)
        elif self._is_trailer:
            self.is_complete = not line
        else:
            try:
                self._left = int(line.split(b";", 1)[0], 16)
            except ValueError:
                self._left = -1
            self._is_trailer = self._left == 0
            self.is_broken = self._left < 0


def _whole_chunk(data: bytes) -> bytes:
    """What is in these bytes if they are one chunk, as streams mostly come; else nothing."""
    end = data.find(b"\r\n")
    try:
        stop = end + 2 + int(data[:end], 16)
    except ValueError:
        return b""
    return data[end + 2 : stop] if data[stop:] == b"\r\n" else b""
