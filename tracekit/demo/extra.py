"""The packages of the optional extra `demo`, imported only where they are used."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Self

from tracekit.errors import TracekitError


class DemoExtraError(TracekitError):
    @classmethod
    def lacking(cls, package: str) -> Self:
        return cls(
            "The demo runs a small language model on this machine and needs the package "
            f"'{package}', which is not installed. Type `pip install 'tracekit-replay[demo]'` "
            "(about 35 MB, no weights are downloaded) and run the demo again."
        )


def optional(package: str) -> ModuleType:
    """The imported package; `DemoExtraError` says what to install if it is absent."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as absent:
        if absent.name != package:
            raise
        raise DemoExtraError.lacking(package) from None
