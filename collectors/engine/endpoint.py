"""Where metrics are read: an address, whether it may be asked unbidden, and one bounded answer of it."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
from typing import NamedTuple
from urllib.parse import urlsplit

PATH = "/metrics"
LONGEST_ANSWER_S = 2.0
LARGEST_ANSWER_BYTES = 8 * 1024 * 1024
_PORTS = {"http": 80, "https": 443}
_OK = 200
_REDIRECTS = (301, 302, 307, 308)


class Unavailable(Exception):
    """No metrics there; the message says why, in a few words."""


class Endpoint(NamedTuple):
    """One page of metrics; `is_given` if a person named it, so that it may be anywhere."""

    scheme: str
    host: str
    port: int
    path: str = PATH
    is_given: bool = False

    @classmethod
    def of_url(cls, url: str) -> Endpoint:
        """The endpoint that a person names; without a path, /metrics. Raises ValueError with the reason."""
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("it has to be http://HOST:PORT or https://HOST:PORT")
        if parts.username is not None or parts.query:
            raise ValueError("metrics need no key: leave out user, password and query, which would be stored")
        path = parts.path if parts.path not in ("", "/") else PATH
        return cls(parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme], path, True)

    @classmethod
    def of_call(cls, scheme: str, host: str, port: int | None) -> Endpoint | None:
        """The endpoint of the server that a call went to; None for what cannot be one."""
        if scheme not in _PORTS or not host:
            return None
        return cls(scheme, host, port or _PORTS[scheme])

    @property
    def name(self) -> str:
        """HOST:PORT, as calls have it, and the path if it is another than /metrics."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}{'' if self.path == PATH else self.path}"

    def address(self) -> str | None:
        """The address to connect to; None for a public one that nobody named. Raises Unavailable."""
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise Unavailable("its name is not known") from error
        addresses = [str(entry[4][0]) for entry in found]
        if self.is_given:
            return addresses[0]
        return next((address for address in addresses if _is_private(address)), None)

    def page(self, address: str, longest_s: float = LONGEST_ANSWER_S) -> str:
        """The text of its metrics, from a server at `address`. Raises Unavailable."""
        end_s = time.monotonic() + longest_s
        status, body, place = self._answer(address, self.path, end_s)
        if status in _REDIRECTS and urlsplit(place).path == self.path + "/":
            status, body, _place = self._answer(address, self.path + "/", end_s)
        if status != _OK:
            raise Unavailable(f"HTTP {status}")
        return body.decode("utf-8", "replace")

    def _answer(self, address: str, path: str, end_s: float) -> tuple[int, bytes, str]:
        try:
            connection = self._connection(address, max(0.01, end_s - time.monotonic()))
            try:
                head = {"Host": self._authority, "Accept": "text/plain", "User-Agent": "tracekit"}
                connection.request("GET", path, headers=head)
                with connection.getresponse() as answer:
                    body = _bounded(answer, end_s) if answer.status == _OK else b""
                    return answer.status, body, answer.headers.get("Location") or ""
            finally:
                connection.close()
        except TimeoutError as error:
            raise Unavailable("no answer in time") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unavailable(type(error).__name__) from error

    @property
    def _authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def _connection(self, address: str, timeout_s: float) -> http.client.HTTPConnection:
        if self.scheme == "http":
            return http.client.HTTPConnection(address, self.port, timeout=timeout_s)
        # private servers sign their own certificates, and nothing secret is sent
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection(address, self.port, timeout=timeout_s, context=context)


def _is_private(address: str) -> bool:
    """Loopback or a private network; link-local addresses are where clouds keep credentials."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return not (parsed.is_global or parsed.is_link_local or parsed.is_multicast)


def _bounded(answer: http.client.HTTPResponse, end_s: float) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := answer.read1(65536):
        parts.append(part)
        size += len(part)
        if size > LARGEST_ANSWER_BYTES:
            raise Unavailable(f"more than {LARGEST_ANSWER_BYTES // 2**20} MiB")
        if time.monotonic() > end_s:
            raise Unavailable("no answer in time")
    if answer.length:
        raise Unavailable("cut off")
    return b"".join(parts)
