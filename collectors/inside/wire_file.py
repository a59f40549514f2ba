"""A connection's file with somebody listening: reads what would be read, when it would be read."""

from __future__ import annotations

from io import BufferedReader, RawIOBase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .http_body import Body


class Ahead:
    """What somebody read before the client does: bytes, whether they are all, and what reading on raised."""

    __slots__ = ("data", "error", "is_whole")

    def __init__(self) -> None:
        self.data = b""
        self.is_whole = False
        self.error: BaseException | None = None


def listened(file: Any, body: Body, ahead: Ahead | None = None) -> BufferedReader:
    """A file of the same class, behind which every byte of the response's body passes `body`.

    Parameters
    ----------
    file : the buffered file that the response reads, its headers read already.
    ahead : what has been read from it since.
    """
    return BufferedReader(WireFile(file, body, Ahead() if ahead is None else ahead))


class WireFile(RawIOBase):
    """The raw file under the client's buffer; it takes what the real one has, and never waits for more."""

    def __init__(self, file: Any, body: Body, ahead: Ahead) -> None:
        super().__init__()
        self._file = file
        self._ahead = ahead
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
                count = self._read(buffer)
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

    def _read(self, buffer: Any) -> int | None:
        ahead = self._ahead
        if ahead.data:
            count = min(len(buffer), len(ahead.data))
            buffer[:count] = ahead.data[:count]
            ahead.data = ahead.data[count:]
            return count
        error, ahead.error = ahead.error, None
        if error is not None:
            raise error
        taken: int | None = self._file.readinto1(buffer)
        return taken

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
