"""Content encodings that the server can speak. Brotli and zstd in stored blocks, which every decoder reads."""

from __future__ import annotations

import struct
import zlib


class Gzip:
    """gzip, flushed at each chunk."""

    def __init__(self) -> None:
        self.compressor = zlib.compressobj(wbits=31)

    def add(self, data: bytes) -> bytes:
        """The bytes for one more chunk."""
        return self.compressor.compress(data) + self.compressor.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        """What closes the body."""
        return self.compressor.flush()


class Brotli:
    """RFC 7932: each chunk an uncompressed meta-block, with a window of 64 KiB."""

    def __init__(self) -> None:
        self.opened = False

    def add(self, data: bytes) -> bytes:
        """The bytes for one more chunk."""
        out = b""
        for start in range(0, len(data), 65536):
            piece = data[start : start + 65536]
            bits = (len(piece) - 1) << 3 | 1 << 19  # not last, four nibbles of length, uncompressed
            if not self.opened:
                bits, self.opened = bits << 1, True  # one bit: the window
            out += struct.pack("<I", bits)[:3] + piece
        return out

    def end(self) -> bytes:
        """What closes the body: a last and empty meta-block."""
        return b"\x03" if self.opened else b"\x06"


class Zstandard:
    """RFC 8878: each chunk a raw block."""

    def __init__(self) -> None:
        self.opened = False

    def add(self, data: bytes) -> bytes:
        """The bytes for one more chunk."""
        out = b"" if self.opened else b"\x28\xb5\x2f\xfd\x00\x58"
        self.opened = True
        for start in range(0, len(data), 65536):
            piece = data[start : start + 65536]
            out += struct.pack("<I", len(piece) << 3)[:3] + piece
        return out

    def end(self) -> bytes:
        """What closes the body: a last and empty block."""
        return b"\x01\x00\x00"


ENCODINGS: dict[str, type[Gzip | Brotli | Zstandard]] = {"gzip": Gzip, "br": Brotli, "zstd": Zstandard}
