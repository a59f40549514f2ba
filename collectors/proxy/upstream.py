"""The servers behind the proxy: each has a token that nobody can guess, and paths that begin with it lead there."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import SplitResult, urlsplit, urlunsplit

from tracekit.collectors.inside.loopback import HOST

TOKEN_BYTES = 16
_PORTS = {"http": 80, "https": 443}
# AI SDK adds the version only to the address that it knows
_UNVERSIONED = {("api.anthropic.com", "messages"): "v1/"}


@dataclass(frozen=True)
class Origin:
    """A server: scheme, host and port."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, parts: SplitResult) -> Self:
        """The server of a URL.

        Raises
        ------
        ValueError : it is not the address of an HTTP server.
        """
        port = parts.port or _PORTS.get(parts.scheme)
        if port is None or not parts.hostname:
            raise ValueError(parts.scheme)
        return cls(parts.scheme, parts.hostname, port)

    @property
    def authority(self) -> str:
        """host:port as a Host header has it, without the scheme's usual port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


@dataclass
class Upstreams:
    """The proxy's table: token -> server."""

    port: int
    origins: dict[str, Origin] = field(default_factory=dict)

    @classmethod
    def read(cls, words: str) -> Self:
        """The table as `words` spells it."""
        port, *pairs = words.split()
        origins = {token: Origin.of(urlsplit(text)) for token, text in (pair.split("=", 1) for pair in pairs)}
        return cls(int(port), origins)

    def words(self) -> str:
        """The table as one text, without spaces in its parts."""
        return " ".join([str(self.port), *(f"{token}={origin}" for token, origin in self.origins.items())])

    def through(self, url: str) -> str:
        """The address at the proxy that stands for this URL: path, query and user are the URL's own.

        Raises
        ------
        ValueError : it is not the address of an HTTP server.
        """
        parts = urlsplit(url)
        token = self._token(Origin.of(parts))
        user = parts.netloc.rpartition("@")[0]
        netloc = f"{user}@{HOST}:{self.port}" if user else f"{HOST}:{self.port}"
        return urlunsplit(("http", netloc, f"/{token}{parts.path}", parts.query, parts.fragment))

    def find(self, target: str) -> tuple[str, Origin, str] | None:
        """A request target's token, server and true path with query; None if no token is known."""
        token, slash, rest = target.removeprefix("/").partition("/")
        token, mark, query = (token, "", "") if slash else token.partition("?")
        origin = self.origins.get(token)
        if origin is None:
            return None
        version = _UNVERSIONED.get((origin.host, rest.partition("/")[0].partition("?")[0]), "")
        return token, origin, f"/{version}{rest}{mark}{query}"

    def location(self, text: str, token: str, origin: Origin) -> str:
        """A redirect's target as the agent is to see it: on the same server it goes on leading through here."""
        if text.startswith("/") and not text.startswith("//"):
            return f"/{token}{text}"
        try:
            is_same = Origin.of(urlsplit(text)) == origin
        except ValueError:
            return text
        return self.through(text) if is_same else text

    def _token(self, origin: Origin) -> str:
        for token, known in self.origins.items():
            if known == origin:
                return token
        token = secrets.token_hex(TOKEN_BYTES)
        self.origins[token] = origin
        return token
