"""What may be asked unbidden, and what odd servers answer."""

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.unit.engine import pages
from tracekit.collectors.engine import endpoint as endpoint_module
from tracekit.collectors.engine.endpoint import Endpoint, Unavailable


class Server(ThreadingHTTPServer):
    """Answers every path with what `answer` does; remembers what it was asked."""

    daemon_threads = True

    def __init__(self, answer):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.asked = []

    @property
    def endpoint(self):
        return Endpoint("http", "127.0.0.1", self.server_address[1])

    def handle_error(self, request, client_address):
        """Nothing: clients that have enough hang up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        self.server.answer(self)

    def log_message(self, *arguments):
        """Nothing."""

    def page(self, body=pages.VLLM_V1, status=200, **headers):
        data = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def serve():
    servers = []

    def start(answer):
        server = Server(answer)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_page_is_read_and_no_key_is_sent(serve):
    server = serve(lambda handler: handler.page())
    assert server.endpoint.page("127.0.0.1") == pages.VLLM_V1
    [(path, headers)] = server.asked
    assert path == "/metrics"
    assert set(headers) == {"Host", "Accept", "User-Agent", "Accept-Encoding"}
    assert headers["Accept-Encoding"] == "identity"


def test_chunks_and_the_redirect_of_a_mounted_page(serve):
    def answer(handler):
        if handler.path == "/metrics":
            handler.page("", 307, Location="http://elsewhere.example/metrics/")
            return
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"5\r\nhello\r\n0\r\n\r\n")

    server = serve(answer)
    assert server.endpoint.page("127.0.0.1") == "hello"
    assert [path for path, _headers in server.asked] == ["/metrics", "/metrics/"]


def drip(handler):
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"x")
        time.sleep(0.05)


def flood(handler):
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"x" * 65536)


def hang_up(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda handler: handler.page("secret", 401), "HTTP 401"),
        (lambda handler: handler.page("", 404), "HTTP 404"),
        (lambda handler: handler.page("", 302, Location="http://127.0.0.1/login"), "HTTP 302"),
        (drip, "no answer in time"),
        (lambda handler: time.sleep(5), "no answer in time"),
        (flood, "more than 1 MiB"),
        (hang_up, "cut off"),
        (lambda handler: handler.wfile.write(b"\x16\x03\x01 no http\r\n"), "BadStatusLine"),
    ],
)  # fmt: skip
def test_answers_that_are_no_page(serve, monkeypatch, answer, why):
    monkeypatch.setattr(endpoint_module, "LARGEST_ANSWER_BYTES", 2**20)
    with pytest.raises(Unavailable) as caught:
        serve(answer).endpoint.page("127.0.0.1", 0.4)
    assert str(caught.value) == why


def test_nobody_there():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(Unavailable, match="ConnectionRefused"):
            Endpoint("http", "127.0.0.1", taken.getsockname()[1]).page("127.0.0.1")


@pytest.mark.parametrize(
    ("addresses", "asked"),
    [
        (["127.0.0.1"], "127.0.0.1"), (["::1"], "::1"), (["10.1.2.3"], "10.1.2.3"), (["100.64.0.9"], "100.64.0.9"),
        (["fd00::7"], "fd00::7"), (["8.8.8.8", "10.0.0.1"], "10.0.0.1"), (["::ffff:10.0.0.1"], "::ffff:10.0.0.1"),
        (["8.8.8.8"], None), (["2001:4860:4860::8888"], None), (["::ffff:8.8.8.8"], None),
        (["169.254.169.254"], None), (["fe80::1%eth0"], None), (["224.0.0.1"], None),
    ],
)  # fmt: skip
def test_only_private_addresses_are_asked_unbidden(monkeypatch, addresses, asked):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **more: found)
    assert Endpoint("http", "server", 80).address() == asked
    assert Endpoint.of_url("http://server").address() == addresses[0]


def test_an_unknown_name():
    with pytest.raises(Unavailable, match="name is not known"):
        Endpoint("http", "no-such-host.invalid", 80).address()


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://gpu:8000", "gpu:8000"), ("gpu:8000/metrics", "gpu:8000"), ("https://gpu/", "gpu:443"),
        ("http://[::1]:9/b/metrics", "[::1]:9/b/metrics"),
    ],
)  # fmt: skip
def test_urls(url, name):
    assert Endpoint.of_url(url).name == name


@pytest.mark.parametrize(
    "url", ["ftp://a", "http://", "http://user:pw@a/metrics", "http://a/metrics?key=1", "http://a:x"]
)
def test_urls_that_are_refused(url):
    with pytest.raises(ValueError):  # noqa: PT011
        Endpoint.of_url(url)
