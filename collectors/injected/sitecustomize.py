"""Starts tracekit's recorder in a Python that `tracekit record` runs, then the user's own sitecustomize.

Python puts this directory on `sys.path` because the supervisor put it on PYTHONPATH; it is taken off again at
once, while PYTHONPATH stays for child processes. Only the standard library, in words that every Python since
2.7 can read: where the recorder cannot run (before 3.8, other implementations of `sys`), nothing happens.
"""

# ruff: noqa: ANN001, ANN202, SIM105, UP036  (words of Python 2)
# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False

import os
import sys


def _record(here):
    if sys.version_info < (3, 8) or "_tracekit_inside" in sys.modules or not os.environ.get("TRACEKIT_SPOOL"):
        return
    from _frozen_importlib import module_from_spec
    from _frozen_importlib_external import spec_from_file_location

    inside = os.path.join(os.path.dirname(here), "inside")
    spec = spec_from_file_location(
        "_tracekit_inside", os.path.join(inside, "__init__.py"), submodule_search_locations=[inside]
    )
    module = module_from_spec(spec)
    sys.modules["_tracekit_inside"] = module
    try:
        spec.loader.exec_module(module)
        module.install(here)
    except Exception:
        if getattr(sys.modules.get("_tracekit_inside.state"), "STATE", None) is None:
            sys.modules.pop("_tracekit_inside", None)


def _leave_path(here):
    sys.path[:] = [entry for entry in sys.path if entry != here]


def _run_the_users():
    """Run the sitecustomize that Python would have found without us; what it raises is its own business."""
    if sys.version_info < (3, 8):
        return
    from _frozen_importlib import module_from_spec
    from _frozen_importlib_external import PathFinder

    spec = PathFinder.find_spec("sitecustomize", sys.path)
    if spec is None or spec.loader is None:
        return
    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


_here = os.path.dirname(__file__)
_leave_path(_here)
try:
    _record(_here)
except Exception:
    pass
_run_the_users()
