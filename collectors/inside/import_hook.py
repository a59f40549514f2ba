"""Patches a library at the moment the agent imports it; never imports one itself."""

from __future__ import annotations

import sys

from .frameworks import FRAMEWORKS
from .state import STATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

# module -> the module beside this one whose patch(module) hooks it
HOOKS = {
    "aiohttp": "aiohttp_hooks",
    "concurrent.futures.thread": "thread_hooks",
    "http.client": "http_client_hooks",
    "httpx": "httpx_hooks",
    "httpx2": "httpx_hooks",
    "multiprocessing.process": "process_hooks",
    "subprocess": "process_hooks",
    "threading": "thread_hooks",
    "urllib3.connection": "http_client_hooks",
    "websockets.asyncio.connection": "websockets_hooks",
    "websockets.sync.connection": "websockets_hooks",
    **dict.fromkeys(FRAMEWORKS, "framework_hooks"),
}


class PatchingFinder:
    """Asked first; finds what the others find, and adds the patch behind the module's own execution."""

    def __init__(self) -> None:
        self._finding: set[str] = set()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The real spec of a library that we hook, its loader told to patch afterwards; else nothing."""
        if name not in HOOKS or name in self._finding:
            return None
        self._finding.add(name)
        try:
            spec = _real_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                _patch_after_execution(spec.loader)
            return spec
        finally:
            self._finding.discard(name)


def _real_spec(name: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
    for finder in list(sys.meta_path):
        find_spec = getattr(finder, "find_spec", None)
        if find_spec is not None and not isinstance(finder, PatchingFinder):
            spec: ModuleSpec | None = find_spec(name, path, target)
            if spec is not None:
                return spec
    return None


def _patch_after_execution(loader: Any) -> None:
    """Shadow `exec_module` on this one loader, so that the loader stays the object everybody expects."""
    if isinstance(loader, type):  # a frozen or built-in module's, which all of those share
        STATE.note("hook_error", "import_hook: " + loader.__name__)
        return
    original = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        loader.__dict__.pop("exec_module", None)
        original(module)
        patch(module)

    try:
        loader.exec_module = exec_module
    except AttributeError as error:
        STATE.failed("import_hook", error)


def patch(module: ModuleType) -> None:
    """Hook a library that is loaded; a failure is noted and leaves it as it is."""
    try:
        hooks = __package__ + "." + HOOKS[module.__name__]
        __import__(hooks)
        sys.modules[hooks].patch(module)
    except Exception as error:
        STATE.failed("patch " + module.__name__, error)


def install() -> None:
    """Hook what is loaded already, and what will be."""
    for name in HOOKS:
        module = sys.modules.get(name)
        if module is not None:
            patch(module)
    sys.meta_path.insert(0, PatchingFinder())
