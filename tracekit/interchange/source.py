"""A file to import, read as it streams: plain or gzip, by its first bytes; the place in it is known at any time."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from tracekit.errors import SourceUnreadable

_GZIP = b"\x1f\x8b"
_TELL_EVERY = 512


class Source:
    """One file; `seen` is told the bytes of it (as stored) that have been read."""

    def __init__(self, path: Path, seen: Callable[[int], None] = lambda _bytes: None) -> None:
        self.path = path
        self._seen = seen

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Lines that are not blank, with their numbers from 1.

        Raises
        ------
        SourceUnreadable : it cannot be opened, or its compression is damaged.
        """
        number = 0
        with self._streams() as (raw, stream), self._damage(lambda: f"line {number}"):
            for line in stream:
                number += 1
                if not number % _TELL_EVERY:
                    self._tell(raw)
                if not line.isspace():
                    yield number, line
            self._tell(raw)

    @contextmanager
    def text(self) -> Iterator[Iterator[str]]:
        """Its lines as text for a reader of its own, line ends kept.

        Raises
        ------
        SourceUnreadable : it cannot be opened, or its compression is damaged.
        """
        number = 0
        with self._streams() as (raw, stream), self._damage(lambda: f"line {number}"):
            decoded = io.TextIOWrapper(cast("BinaryIO", stream), "utf-8-sig", errors="replace", newline="")

            def told() -> Iterator[str]:
                nonlocal number
                for line in decoded:
                    number += 1
                    if not number % _TELL_EVERY:
                        self._tell(raw)
                    yield line
                self._tell(raw)

            try:
                yield told()
            finally:
                decoded.detach()

    def whole(self) -> bytes:
        """All of it.

        Raises
        ------
        SourceUnreadable : it cannot be opened, or its compression is damaged.
        """
        with self._streams() as (raw, stream), self._damage(lambda: "its start"):
            content = stream.read()
            self._tell(raw)
        return content

    def start(self) -> bytes:
        """Its first bytes, as stored; none of a pipe, which can be read only once."""
        if not self.path.is_file():
            return b""
        with self._streams() as (raw, _stream):
            return raw.read(4)

    def _tell(self, raw: IO[bytes]) -> None:
        if raw.seekable():
            self._seen(raw.tell())

    @contextmanager
    def _streams(self) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
        """The file, and what is in it."""
        try:
            raw = self.path.open("rb")
        except OSError as error:
            raise SourceUnreadable.missing(self.path, error.strerror or str(error)) from error
        with raw:
            packed = raw.peek(2)[:2] == _GZIP
            if not packed:
                yield raw, raw
            else:
                with gzip.GzipFile(fileobj=raw) as unpacked:
                    yield raw, cast("IO[bytes]", unpacked)

    @contextmanager
    def _damage(self, place: Callable[[], str]) -> Iterator[None]:
        try:
            yield
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise SourceUnreadable.damaged(self.path, place(), str(error)) from error
