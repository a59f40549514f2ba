"""Recordings that cannot begin."""

from __future__ import annotations

from typing import Self

from tracekit.errors.message import TracekitError

PROXY_INSTALL = "pip install 'tracekit-replay[proxy]'"
"""What brings the proxy's library."""


class ProxyMissing(TracekitError):
    @classmethod
    def asked_for(cls) -> Self:
        return cls(
            f"--proxy always needs aiohttp, which is not installed beside tracekit. Type `{PROXY_INSTALL}`, or leave "
            "the option out: calls of Python processes are recorded without it. Nothing was started."
        )


class LaunchFailed(TracekitError):
    exit_code = 125

    @classmethod
    def not_found(cls, command: str) -> Self:
        error = cls(f"Command not found: {command}. Nothing was recorded; check the spelling and the PATH.")
        error.exit_code = 127
        return error

    @classmethod
    def not_executable(cls, command: str, reason: str) -> Self:
        error = cls(f"{command} cannot be executed ({reason}). Nothing was recorded.")
        error.exit_code = 126
        return error


class CompilerMissing(TracekitError):
    @classmethod
    def here(cls, reason: str) -> Self:
        return cls(
            f"The fake GPU is a small C file that is compiled where it is used, and that failed: {reason}. "
            "Install a C compiler (`apt install gcc libc6-dev`), or leave the fake GPU out."
        )
