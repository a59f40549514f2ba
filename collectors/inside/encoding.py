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
    if len(names) > 1:
        return None
    make = _DECODERS.get(names[0])
    return None if make is None else make()


def _gzip() -> Callable[[bytes], bytes]:
    return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress


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


_DECODERS: dict[str, Callable[[], Callable[[bytes], bytes] | None]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": lambda: _Deflate().decode,
    "br": _brotli,
    "zstd": _zstandard,
}
