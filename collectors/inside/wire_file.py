"""A connection's file with somebody listening: reads what would be read, when it would be read."""

from __future__ import annotations

from io import BufferedReader, RawIOBase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .http_body import Body


def listened(file: Any, body: Body) -> BufferedReader:
    """A file of the same class, behind which every byte of the response's body passes `body`.

    Parameters
    ----------
    file : the buffered file that the response reads, its headers read already.
    """
    return BufferedReader(WireFile(file, body))


class WireFile(RawIOBase):
    """The raw file under the client's buffer; it takes what the real one has, and never waits for more."""

    def __init__(self, file: Any, body: Body) -> None:
        super().__init__()
        self._file = file
        self._body = body
        self._pending = b""

    def __getattr__(self, name: str) -> Any:
        file = self.__dict__.get("_file")
        if file is None:
            raise AttributeError(name)
        return getattr(file.raw, name)

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read once; the number of bytes, 0 at the end, None if a socket that does not block has none."""
        pending = self._pending
        while not pending:
            try:
                count: int | None = self._file.readinto1(buffer)
            except BaseException as error:
                self._body.failed(error)
                raise
            if count is None:
                return None
            if not count:
                pending = self._body.over() if len(buffer) else b""
                break
            data = bytes(buffer[:count])
            pending = self._body.came(data)
            if pending is data:
                return count
        count = min(len(buffer), len(pending))
        buffer[:count] = pending[:count]
        self._pending = pending[count:]
        return count

    def fileno(self) -> int:
        """The socket's."""
        descriptor: int = self._file.fileno()
        return descriptor

    def close(self) -> None:
        """Close the real file; reading is over."""
        if self.closed:
            return
        try:
            self._file.close()
        finally:
            super().close()
            try:
                self._body.closed()
            except Exception:  # an interpreter that is shutting down has taken its modules apart
                return
