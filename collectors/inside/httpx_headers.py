"""Headers of httpx and httpx2, which look through all of theirs anew for each one they are asked for."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def retry_count(headers: Any) -> str:
    """How often the client says that it has tried before; "" if it does not."""
    for _, name, value in reversed(_rows(headers)):  # its own come last
        if name == b"x-stainless-retry-count":
            return str(value, "latin-1")
    return ""


def content_headers(headers: Any) -> tuple[str, str]:
    """The content's type and encoding, "" if they are not told; encodings told apart are joined."""
    content_type = encoding = b""
    for _, name, value in _rows(headers):
        if name == b"content-type":
            content_type = value
        elif name == b"content-encoding":
            encoding = encoding + b", " + value if encoding else value
    return str(content_type, "latin-1"), str(encoding, "latin-1")


def _rows(headers: Any) -> list[tuple[Any, bytes, bytes]]:
    """Of every header something, its name in lower case, and its value."""
    rows: list[tuple[Any, bytes, bytes]] = getattr(headers, "_list", None) or []
    if rows and len(rows[0]) == 3:
        return rows
    return [
        (None, name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers.items()
    ]
