"""Files by URL, through fsspec: only those bytes come that are asked for."""

from __future__ import annotations

import logging
from typing import Any, BinaryIO

from tracekit.errors import RemoteRefused, TracekitError, UnknownName
from tracekit.location import Url

TALKATIVE = ("adlfs", "fsspec", "gcsfs", "s3fs")
"""Their words, tracebacks among them, go where the program sends its logs, and not past it to stderr."""
FORBIDDEN = (401, 403)
GONE = (404, 410)
DRIVERS = {
    "abfs": "adlfs",
    "abfss": "adlfs",
    "az": "adlfs",
    "gcs": "gcsfs",
    "gs": "gcsfs",
    "hf": "huggingface_hub",
    "http": "aiohttp",
    "https": "aiohttp",
    "oci": "ocifs",
    "oss": "ossfs",
    "s3": "s3fs",
    "s3a": "s3fs",
    "sftp": "paramiko",
    "smb": "smbprotocol",
    "ssh": "paramiko",
}
"""Packages that fsspec reads these kinds of URL with; of others it says so itself."""


def opened(url: Url) -> BinaryIO:
    """The file, to be read at any place; nothing of it is kept.

    Raises
    ------
    UnknownName : no kind of URL is called so.
    RemoteRefused : fsspec or its driver is missing, or there is no such file, no permission, no way, or no parts of it.
    """
    files, path = _file_system(url)
    try:
        file: BinaryIO = files.open(path, "rb", cache_type="none")
        length = _length(file)
        is_folder = length == 0 and files.isdir(path)
    except Exception as error:
        raise refused(url, error) from error
    if is_folder:
        raise RemoteRefused.folder(url)
    if length is None:
        raise RemoteRefused.whole_files_only(url)
    return file


def refused(url: Url, error: Exception) -> TracekitError:
    """What the user is told of an error of a driver; each has classes of its own."""
    if isinstance(error, TracekitError):
        return error
    behind = error.__cause__ if isinstance(error, FileNotFoundError) and error.__cause__ else error
    status = getattr(behind, "status", None)
    if isinstance(behind, PermissionError) or status in FORBIDDEN or "Credential" in type(behind).__name__:
        return RemoteRefused.forbidden(url, _words(behind))
    if isinstance(behind, FileNotFoundError) or status in GONE:
        return RemoteRefused.missing(url)
    if isinstance(behind, IsADirectoryError):
        return RemoteRefused.folder(url)
    if "support range requests" in str(behind):
        return RemoteRefused.whole_files_only(url)
    return RemoteRefused.unreachable(url, _words(behind))


def _file_system(url: Url) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs  # noqa: PLC0415
        from fsspec.registry import known_implementations, registry  # noqa: PLC0415
    except ImportError as error:
        raise RemoteRefused.no_fsspec(url) from error
    for name in TALKATIVE:
        logging.getLogger(name).addHandler(logging.NullHandler())
    known = {*known_implementations, *registry}
    for kind in url.kinds:
        if kind not in known:
            raise UnknownName.among("kind of URL", kind, known)
    try:
        files, path = url_to_fs(url.text)
    except ImportError as error:
        package = next((DRIVERS[kind] for kind in url.kinds if kind in DRIVERS), None)
        raise RemoteRefused.no_driver(url, package, _words(error)) from error
    except Exception as error:
        raise refused(url, error) from error
    return files, path


def _length(file: BinaryIO) -> int | None:
    """Its bytes; None where it can only be read from its beginning."""
    try:
        file.seek(0, 2)
        length = file.tell()
        file.seek(0)
    except (ValueError, OSError, TypeError):
        return None
    return length


def _words(error: BaseException) -> str:
    lines = str(error).splitlines()
    return (lines[0].rstrip(".") if lines else "") or type(error).__name__
