"""What is read past httpx's own words for URLs and headers is what those words say."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import httpx
import httpx2
import pytest

from tracekit.collectors.inside.httpx_address import address_of
from tracekit.collectors.inside.httpx_headers import content_headers, retry_count

LIBRARIES = pytest.mark.parametrize("library", [httpx, httpx2], ids=lambda library: library.__name__)


@LIBRARIES
@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("http://127.0.0.1:8000/v1/chat/completions", ("http", "127.0.0.1", 8000, "/v1/chat/completions")),
        ("https://user:secret@Host.example/a%20b?key=1", ("https", "host.example", 443, "/a b")),
        ("https://user:secret@host.example/a%20b?key=2", ("https", "host.example", 443, "/a b")),
        ("http://bücher.example", ("http", "bücher.example", 80, "/")),
        ("http://[::1]:1/x", ("http", "::1", 1, "/x")),
    ],
)
def test_addresses(library: Any, text: str, address: tuple[Any, ...]) -> None:
    for _ in range(2):  # worked out, and remembered
        assert address_of(library.URL(text)) == address


def test_an_address_of_a_url_that_is_none_of_theirs() -> None:
    for port in (1, 2):
        url = SimpleNamespace(scheme="http", host="h", port=port, path="/")
        assert address_of(url) == ("http", "h", port, "/")


@LIBRARIES
@pytest.mark.parametrize(
    "told",
    [
        [],
        [("Content-Type", "text/event-stream; charset=utf-8"), ("CONTENT-ENCODING", "gzip")],
        [("content-encoding", "gzip"), ("x", "y"), ("Content-Encoding", "br"), ("content-type", "a/ü")],
        [("X-Stainless-Retry-Count", "2"), ("x-other", "1")],
    ],
)
def test_headers(library: Any, told: list[tuple[str, str]]) -> None:
    headers = library.Headers([(name.encode(), value.encode("latin-1")) for name, value in told])
    expected = headers.get("content-type", ""), headers.get("content-encoding", "")
    plain = {name: headers[name] for name in headers}
    for given in (headers, plain):
        assert content_headers(given) == expected
        assert retry_count(given) == headers.get("x-stainless-retry-count", "")
