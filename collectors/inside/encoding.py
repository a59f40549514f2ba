"""Content encodings undone on our copy of the bytes; what the agent reads is never touched."""

from __future__ import annotations

import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def decoder(encoding: str) -> Callable[[bytes], bytes] | None:
    """A function that decodes chunk after chunk; None if nothing here can read this encoding."""
    names = [name.strip().lower() for name in encoding.split(",")]
    names = [name for name in names if name not in ("", "identity")]
    if not names:
        return bytes
    decoders = []
    for name in reversed(names):  # the last one was done last
        make = _DECODERS.get(name)
        decode = None if make is None else make()
        if decode is None:
            return None
        decoders.append(decode)
    return decoders[0] if len(decoders) == 1 else lambda data: _through(decoders, data)


def _through(decoders: list[Callable[[bytes], bytes]], data: bytes) -> bytes:
    for decode in decoders:
        data = decode(data)
    return data


def decoded_body(data: bytes) -> bytes | None:
    """A request's body without the compression that its first bytes tell of; None if that cannot be undone."""
    for magic, encoding in _MAGIC:
        if data.startswith(magic):
            decode = decoder(encoding)
            try:
                return None if decode is None else decode(data)
            except Exception:
                return None
    return data


class _Gzip:
    """Gzip, also of several members one after the other."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(16 + zlib.MAX_WBITS)

    def decode(self, data: bytes) -> bytes:
        decoded = self._member.decompress(data)
        while self._member.eof and self._member.unused_data.strip(b"\0"):
            rest = self._member.unused_data
            self._member = zlib.decompressobj(16 + zlib.MAX_WBITS)
            decoded += self._member.decompress(rest)
        return decoded


class _Deflate:
    """Deflate as servers send it: with the zlib header, or without."""

    def __init__(self) -> None:
        self._decompress: Any = None

    def decode(self, data: bytes) -> bytes:
        if self._decompress is None:
            with_header = zlib.decompressobj()
            try:
                decoded = with_header.decompress(data)
                self._decompress = with_header.decompress
                return decoded
            except zlib.error:
                self._decompress = zlib.decompressobj(-zlib.MAX_WBITS).decompress
        decoded = self._decompress(data)
        return bytes(decoded)


def _brotli() -> Callable[[bytes], bytes] | None:
    brotli: Any = _first_importable("brotli", "brotlicffi")
    if brotli is None:
        return None
    decompressor = brotli.Decompressor()
    decode: Callable[[bytes], bytes] = getattr(decompressor, "decompress", None) or decompressor.process
    return decode


def _zstandard() -> Callable[[bytes], bytes] | None:
    zstd: Any = _first_importable("compression.zstd", "zstandard")
    if zstd is None:
        return None
    decompressor = zstd.ZstdDecompressor()
    make = getattr(decompressor, "decompressobj", None)  # the package's; the standard library's is one itself
    decode: Callable[[bytes], bytes] = (make() if make else decompressor).decompress
    return decode


def _first_importable(*names: str) -> Any:
    for name in names:
        try:
            return __import__(name, fromlist=["*"])
        except ImportError:  # noqa: PERF203
            continue
    return None


_MAGIC = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))
COMPRESSED = tuple(magic for magic, _ in _MAGIC)
"""What bodies begin with that `decoded_body` has to look at."""
_DECODERS: dict[str, Callable[[], Callable[[bytes], bytes] | None]] = {
    "gzip": lambda: _Gzip().decode,
    "x-gzip": lambda: _Gzip().decode,
    "deflate": lambda: _Deflate().decode,
    "br": _brotli,
    "zstd": _zstandard,
}
