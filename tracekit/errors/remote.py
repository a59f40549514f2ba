"""Traces behind a URL."""

from __future__ import annotations

from typing import Self

from tracekit.errors.message import TracekitError
from tracekit.location import Url


class RemoteRefused(TracekitError):
    @classmethod
    def no_fsspec(cls, url: Url) -> Self:
        return cls(
            f"{url} is read through fsspec, which is not installed. Install it: pip install 'tracekit-replay[remote]', "
            "or fetch the file."
        )

    @classmethod
    def no_driver(cls, url: Url, package: str | None, reason: str) -> Self:
        if package is None:
            return cls(f"{url} cannot be read: {reason}. Install what is missing, or fetch the file.")
        return cls(f"{url} needs {package}: pip install {package}, or fetch the file.")

    @classmethod
    def missing(cls, url: Url) -> Self:
        return cls(
            f"There is no file {url}. Check the URL; where you may not look into its folder, a store may say so of a "
            "file that is there."
        )

    @classmethod
    def folder(cls, url: Url) -> Self:
        return cls(f"{url} is a folder, not a trace. Give the .parquet file that `tracekit record` wrote.")

    @classmethod
    def forbidden(cls, url: Url, reason: str) -> Self:
        return cls(
            f"{url} may not be read ({reason}). Log in the way of its store: AWS_PROFILE or `aws configure` for s3, "
            "`gcloud auth application-default login` for gs; or give a signed https URL."
        )

    @classmethod
    def whole_files_only(cls, url: Url) -> Self:
        return cls(
            f"The server of {url} sends whole files only, and a trace is read in parts. Fetch the file, and give its "
            "path."
        )

    @classmethod
    def unreachable(cls, url: Url, reason: str) -> Self:
        return cls(f"{url} cannot be read ({reason}). Check the URL and the network, or fetch the file.")

    @classmethod
    def no_parquet(cls, url: Url, reason: str) -> Self:
        return cls(f"{url} is not a complete Parquet file ({reason}). Was it fully uploaded?")
