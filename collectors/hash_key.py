"""The user's own key: with it, equal prompts of two recordings are seen to be equal, by nobody else."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

KEY_BYTES = 32


def hash_key_file(given: Path | None = None) -> Path:
    """The file that holds the key, made (0600) if it is missing.

    Parameters
    ----------
    given : a key of the user's choice, shared by several hosts; default: ``~/.config/tracekit/hash-key``.

    Raises
    ------
    OSError : it cannot be made.
    """
    file = given or _default()
    if not file.is_file():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return file
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secrets.token_hex(KEY_BYTES) + "\n")
    return file


def _default() -> Path:
    configuration = os.environ.get("XDG_CONFIG_HOME") or ""
    if not os.path.isabs(configuration):
        configuration = os.path.join(os.path.expanduser("~"), ".config")
    return Path(configuration) / "tracekit" / "hash-key"
