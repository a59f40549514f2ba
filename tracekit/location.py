"""Where a file is: on this machine by its path, or elsewhere by a URL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit, urlunsplit

_URL = re.compile(r"[a-z][a-z0-9+.-]+(::[a-z][a-z0-9+.-]+)*://", re.IGNORECASE)
_PATH_OF_URL = re.compile(r"(?P<kind>[a-z][a-z0-9+.-]+):/(?P<rest>[^/].*)", re.IGNORECASE)


@dataclass(frozen=True)
class Url:
    """A file somewhere else; as text without the password and the query, which may be a signature."""

    text: str

    def __str__(self) -> str:
        return without_secrets(self.text)

    @property
    def kinds(self) -> list[str]:
        """What says how it is reached: s3, https; several where one is on top of another (`simplecache::s3`)."""
        return self.text.partition("://")[0].lower().split("::")

    @property
    def name(self) -> str:
        """The last part of its path."""
        return PurePosixPath(unquote(urlsplit(self.text).path) or self.text).name

    @property
    def stem(self) -> str:
        """That without its suffix."""
        return PurePosixPath(self.name).stem


Location = Path | Url


def is_url(text: str) -> bool:
    """Whether the text is a URL, not a path."""
    return _URL.match(text) is not None


def location_of(text: str) -> Location:
    """The path, or the URL; one of `file://` is a path."""
    if not is_url(text):
        return Path(text)
    parts = urlsplit(text)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(unquote(parts.path))
    return Url(text)


def without_secrets(text: str) -> str:
    """The URL without password and query, also behind `NAME=`; any other text as it is."""
    if not is_url(text):
        name, equals, rest = text.partition("=")
        return f"{name}={without_secrets(rest)}" if equals and is_url(rest) else text
    parts = urlsplit(text)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def identity(location: Location) -> object:
    """Equal for locations of one file, as far as their names tell."""
    return location.resolve() if isinstance(location, Path) else location


def url_meant(path: Path) -> str | None:
    """The URL that was given where only a path can be; None where it may be one."""
    found = _PATH_OF_URL.fullmatch(str(path))
    if found is None or Path(f"{found['kind']}:").exists():
        return None
    return without_secrets(f"{found['kind']}://{found['rest']}")
