"""The user's certificates and proxies on the way to a server. `loopback.pem` is nobody's but these tests'."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.unit.collectors.proxy.test_forwarding import ASK, CHAT, answering, settled
from tracekit.collectors.proxy import route
from tracekit.collectors.proxy.upstream import Origin

PEM = Path(__file__).with_name("loopback.pem")
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture
def secure(scripted: Any) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    return str(scripted(answering(ANSWER), ssl=context).url)


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Set before the proxy starts."""
    for name, value in request.param.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    "trusting",
    [
        {"SSL_CERT_FILE": str(PEM)},
        {"REQUESTS_CA_BUNDLE": str(PEM)},
        {"CURL_CA_BUNDLE": str(PEM)},
        {"NODE_EXTRA_CA_CERTS": str(PEM)},
        {"NODE_TLS_REJECT_UNAUTHORIZED": "0"},
    ],
    indirect=True,
    ids=lambda environment: next(iter(environment)),
)
@pytest.mark.usefixtures("trusting")
def test_the_users_authorities_are_trusted(secure: str, request: pytest.FixtureRequest) -> None:
    through = request.getfixturevalue("through")
    records = request.getfixturevalue("recorded")
    assert httpx.post(through(secure) + CHAT, json=ASK).content == b"{}"
    [end] = settled(records)
    assert end["status"] == "ok"
    assert records("attempt_start")[0]["scheme"] == "https"


def test_others_are_not_and_the_answer_says_what_to_do(through: Any, recorded: Any, secure: str) -> None:
    answer = httpx.post(through(secure) + CHAT, json=ASK)
    assert answer.status_code == 502
    assert "SSL_CERT_FILE" in answer.json()["error"]["message"]
    [end] = settled(recorded)
    assert (end["status"], end["error_type"]) == ("error", "ClientConnectorCertificateError")


def test_a_file_that_is_gone_or_none_is_passed_over(tmp_path: Path) -> None:
    route.tls(
        {"REQUESTS_CA_BUNDLE": str(tmp_path / "gone"), "CURL_CA_BUNDLE": "", "NODE_EXTRA_CA_CERTS": __file__}
    )


def test_a_server_behind_the_users_proxy(
    through: Any, scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = scripted(answering(ANSWER))
    monkeypatch.setenv("http_proxy", forward.url.replace("://", "://me:word@"))
    assert httpx.get(through("http://models.example:81/v1") + "/models", trust_env=False).content == b"{}"
    lines = forward.requests[0].split(b"\r\n")
    assert lines[0] == b"GET http://models.example:81/v1/models HTTP/1.1"
    assert b"Proxy-Authorization: Basic bWU6d29yZA==" in lines


@pytest.mark.parametrize(
    ("environment", "origin", "proxy"),
    [
        ({}, ("http", "a", 80), None),
        ({"https_proxy": "http://p:1"}, ("https", "a", 443), "http://p:1"),
        ({"HTTPS_PROXY": "p:1"}, ("https", "a", 443), "http://p:1"),
        ({"https_proxy": "http://p:1"}, ("http", "a", 80), None),
        ({"all_proxy": "http://p:1"}, ("http", "a", 80), "http://p:1"),
        ({"https_proxy": "http://p:1", "no_proxy": "b,.a.example"}, ("https", "x.a.example", 443), None),
        ({"https_proxy": "http://p:1", "no_proxy": "a:8443"}, ("https", "a", 8443), None),
        ({"https_proxy": "http://p:1", "no_proxy": "*"}, ("https", "a", 443), None),
    ],
)
def test_which_proxy(
    environment: dict[str, str],
    origin: tuple[str, str, int],
    proxy: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert route.forward_proxy(Origin(*origin)) == proxy
