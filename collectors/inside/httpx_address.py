"""Where a request of httpx and httpx2 goes: their URLs unquote and decode anew whenever they are asked."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Address = tuple[str, str, int | None, str]

_PORTS = {"http": 80, "https": 443}
_REMEMBERED = 256
_known: dict[Any, Address] = {}


def address_of(url: Any) -> Address:
    """Scheme, host, port and path."""
    reference = getattr(url, "_uri_reference", None)  # a tuple of what the URL was parsed into
    address = _known.get(reference)
    if address is None:
        address = (url.scheme, url.host, url.port or _PORTS.get(url.scheme), url.path)
        if reference is not None and len(_known) < _REMEMBERED:
            _known[reference] = address
    return address
