"""Turns recording on in a process that the supervisor, or a recorded process, has started."""

from __future__ import annotations

import os

from . import import_hook, loopback, process_hooks, stand_in
from .clock import Clock
from .spool import Writer
from .state import STATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def install(injected_directory: str = "", environment: Mapping[str, str] = os.environ) -> bool:
    """Record this process, as TRACEKIT_SPOOL and its companions in the environment say.

    Parameters
    ----------
    injected_directory : the entry of PYTHONPATH that children need to be followed.
    environment : where the supervisor's words are.

    Returns
    -------
    whether it is being recorded; False without TRACEKIT_SPOOL, or if it was on already.
    """
    directory = environment.get("TRACEKIT_SPOOL")
    if not directory or STATE.writer is not None:
        return False
    clock = Clock(environment.get("TRACEKIT_CLOCK"))
    configure(environment)
    STATE.injected_directory = injected_directory
    spare = environment.get("TRACEKIT_SPARE", "")
    STATE.writer = Writer(directory, clock, environment.get("TRACEKIT_VERSION", ""), spare=spare)
    STATE.writer.start()
    for step in (
        lambda: loopback.start(environment),
        import_hook.install,
        stand_in.install,
        process_hooks.patch_os,
    ):
        _try(step)
    return True


def configure(environment: Mapping[str, str]) -> None:
    """Take what the supervisor says of how to record; the proxy does as well."""
    STATE.hash_key_file = environment.get("TRACEKIT_HASH_KEY", "")
    STATE.choose(environment)


def _try(step: Callable[[], None]) -> None:
    try:
        step()
    except Exception as error:
        STATE.failed("install", error)
