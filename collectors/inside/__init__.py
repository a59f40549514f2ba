"""The recorder that runs inside the agent's process: the standard library only, Python 3.8 and later.

It is loaded under two names: `_tracekit_inside` by the injected `sitecustomize`, and
`tracekit.collectors.inside` by a program that imports tracekit. The state is one: see `state.py`.
"""

from __future__ import annotations


def install(injected_directory: str = "") -> bool:
    """Record this process if the environment says so; whether it does."""
    from . import startup

    return startup.install(injected_directory)
