"""Addresses at the proxy and what they stand for, as the proxy and as the agent's hooks see it."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from tracekit.collectors.inside.loopback import Loopback
from tracekit.collectors.proxy.upstream import Upstreams


@pytest.mark.parametrize(
    ("url", "target", "origin"),
    [
        ("http://box:8000/v1", "/v1/chat/completions", ("http", "box", 8000)),
        ("https://me.openai.azure.com/", "/chat/completions", ("https", "me.openai.azure.com", 443)),
        ("https://gate/a/b/", "/a/b/chat/completions", ("https", "gate", 443)),
        ("http://[::1]:9/v1", "/v1/chat/completions", ("http", "::1", 9)),
        ("http://[::1]/v1", "/v1/chat/completions", ("http", "::1", 80)),
        ("http://user:word@box/v1", "/v1/chat/completions", ("http", "box", 80)),
    ],
)
def test_there_and_back(url: str, target: str, origin: tuple[str, str, int]) -> None:
    upstreams = Upstreams(4321)
    address = upstreams.through(url).rstrip("/") + "/chat/completions"
    assert urlsplit(address).netloc.rpartition("@")[0] == urlsplit(url).netloc.rpartition("@")[0]
    assert address == upstreams.through(url).rstrip("/") + "/chat/completions"
    found = Upstreams.read(upstreams.words()).find(urlsplit(address).path + "?a=%2F")
    assert found is not None
    _token, server, rest = found
    assert ((server.scheme, server.host, server.port), rest) == (origin, target + "?a=%2F")
    seen = Loopback(upstreams.words()).true_url(("http", "127.0.0.1", 4321, urlsplit(address).path))
    assert seen == (*origin, target)


def test_each_server_has_a_token_of_its_own() -> None:
    upstreams = Upstreams(1)
    urls = ["http://a/v1", "http://a:80/v2", "https://a/v1", "http://b/v1"]
    tokens = [urlsplit(upstreams.through(url)).path.split("/")[1] for url in urls]
    assert tokens[0] == tokens[1]
    assert len(set(tokens)) == 3 == len(upstreams.origins)
    assert all(len(token) == 32 for token in tokens)


@pytest.mark.parametrize("path", ["", "/", "/v1/chat/completions", "/0123", "?x"])
def test_unknown_paths_lead_nowhere(path: str) -> None:
    upstreams = Upstreams(4321)
    upstreams.through("http://a/v1")
    assert upstreams.find(path) is None
    loopback = Loopback(upstreams.words())
    assert loopback.true_url(("http", "127.0.0.1", 4321, path)) is None


def test_others_addresses_are_their_own() -> None:
    upstreams = Upstreams(4321)
    path = urlsplit(upstreams.through("http://a/v1")).path
    loopback = Loopback(upstreams.words())
    assert loopback.true_url(("http", "127.0.0.1", 4322, path)) is None
    assert loopback.true_url(("http", "example.org", 4321, path)) is None


def test_a_version_that_a_client_adds_by_the_host_is_added() -> None:
    """AI SDK writes /v1 behind https://api.anthropic.com alone, Anthropic's clients themselves."""
    upstreams = Upstreams(1)
    address = urlsplit(upstreams.through("https://api.anthropic.com")).path
    for path in ("/messages", "/v1/messages"):
        found = upstreams.find(address + path + "?beta=true")
        assert found is not None
        assert found[2] == "/v1/messages?beta=true"
