"""Keyed hashes: equal texts of one user's recordings are seen to be equal, and nothing else is seen."""

from __future__ import annotations

import os
from binascii import b2a_base64
from hashlib import blake2b

from .state import STATE

BLOCK_BYTES = 256
BLOCKS_UP_TO = 1024 * 1024  # of a prompt: more text than models read; behind it lie images, and parts suffice


class Hashing:
    """64-bit hashes with the user's own key, so that nobody else can guess a text and check."""

    def __init__(self, key: bytes) -> None:
        self._empty = blake2b(
            digest_size=8, key=key if len(key) <= blake2b.MAX_KEY_SIZE else blake2b(key).digest()
        )

    def new(self) -> blake2b:
        """An empty hash."""
        return self._empty.copy()

    def of_bytes(self, data: bytes) -> str:
        """The hash of these bytes, 16 hex digits."""
        empty = self._empty.copy()
        empty.update(data)
        return empty.hexdigest()

    def of_text(self, text: str) -> str | None:
        """The hash of a text without its outer white space; None if there is no more to it."""
        text = text.strip()
        if not text:
            return None
        empty = self._empty.copy()
        empty.update(text.encode("utf-8", "surrogatepass"))
        return empty.hexdigest()


class PrefixHash:
    """One running hash over a prompt, read off at every part's end and every 256 bytes of its first 1 MiB."""

    def __init__(self, hashing: Hashing) -> None:
        self._hash = hashing.new()
        self._blocks: list[bytes] = []
        self.length = 0

    def mark(self) -> tuple[blake2b, int]:
        """Where it stands, to go on from here later."""
        return self._hash.copy(), self.length

    def resumed(self, mark: tuple[blake2b, int]) -> PrefixHash:
        """One to go on with from a mark, while this one stays."""
        twin = PrefixHash.__new__(PrefixHash)
        known, twin.length = mark
        twin._hash = known.copy()
        twin._blocks = self._blocks[: min(twin.length, BLOCKS_UP_TO) // BLOCK_BYTES]
        return twin

    def add(self, data: bytes) -> str:
        """Append bytes; the hash of everything so far, 16 hex digits."""
        update, digest, blocks = self._hash.update, self._hash.digest, self._blocks
        first = BLOCK_BYTES - self.length % BLOCK_BYTES
        last = min(len(data), BLOCKS_UP_TO - self.length)
        self.length += len(data)
        start = 0
        for end in range(first, last + 1, BLOCK_BYTES):
            update(data[start:end])
            blocks.append(digest())
            start = end
        update(memoryview(data)[start:])
        return self._hash.hexdigest()

    def blocks(self) -> str:
        """Base64 of the little-endian 64-bit hashes up to each multiple of 256 bytes, within the first 1 MiB."""
        return b2a_base64(b"".join(self._blocks), newline=False).decode("ascii")


def hashing() -> Hashing:
    """The recording's hashing; if its key cannot be read, one that no other process shares, and a note."""
    if STATE.hashing is None:
        key = _key()
        if not key:
            STATE.note("hash_key_missing", STATE.hash_key_file)
        STATE.hashing = Hashing(key or os.urandom(32))
    return STATE.hashing


def _key() -> bytes:
    try:
        with open(STATE.hash_key_file, "rb") as stream:
            return stream.read(4096).strip()
    except OSError:
        return b""
