"""A stream's events as bytes, and where each came: server-sent events, and JSON objects line by line."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


_MARK = b"\xef\xbb\xbf"  # a byte order mark, which the standard lets a stream begin with


def events(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The data of every server-sent event and the offset of its last data line's end.

    Comments, names, ids and empty events are passed over; CRLF, CR and LF end lines; several data lines join
    with LF. A last event that no blank line ends is given too: its reader decides whether it is whole.
    """
    offset = 0
    end = 0
    lines: list[bytes] = []
    for line in data.splitlines(True):
        offset += len(line)
        if offset == len(line) and line.startswith(_MARK):
            line = line[len(_MARK) :]  # noqa: PLW2901
        if line.startswith(b"data:"):
            lines.append(line[6 if line[5:6] == b" " else 5 :].rstrip(b"\r\n"))
            end = offset
        elif lines and line in (b"\n", b"\r\n", b"\r"):
            yield end, lines[0] if len(lines) == 1 else b"\n".join(lines)
            lines = []
    if lines:
        yield end, b"\n".join(lines)


def lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Every line that is not empty, and the offset of its end."""
    offset = 0
    for line in data.splitlines(True):
        offset += len(line)
        line = line.strip()  # noqa: PLW2901
        if line:
            yield offset, line
