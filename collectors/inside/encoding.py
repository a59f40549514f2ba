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
    name = names[0]
    if name in ("gzip", "x-gzip"):
        return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress
    if name == "deflate":
        return _Deflate().decode
    if name == "br":
        return _brotli()
    if name == "zstd":
        return _zstandard()
    return None


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
    for name in ("brotli", "brotlicffi"):
        try:
            decompressor: Any = __import__(name).Decompressor()
        except (ImportError, AttributeError):
            continue
        decode: Any = getattr(decompressor, "decompress", None) or decompressor.process
        return decode  # type: ignore[no-any-return]
    return None


def _zstandard() -> Callable[[bytes], bytes] | None:
    for load in (_zstandard_of_stdlib, _zstandard_of_package):
        try:
            return load()
        except (ImportError, AttributeError):
            continue
    return None


def _zstandard_of_stdlib() -> Callable[[bytes], bytes]:
    zstd: Any = __import__("compression.zstd", fromlist=["ZstdDecompressor"])
    return zstd.ZstdDecompressor().decompress  # type: ignore[no-any-return]


def _zstandard_of_package() -> Callable[[bytes], bytes]:
    zstandard: Any = __import__("zstandard")
    return zstandard.ZstdDecompressor().decompressobj().decompress  # type: ignore[no-any-return]
