"""The machine that a figure was measured on, in words."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def machine_in_words() -> str:
    """Cores, processor, load and software; a figure without these says little."""
    load = os.getloadavg()[0]
    cores = os.cpu_count() or 1
    return (
        f"{cores} cores of {_processor()}, shared with other work (load {load:.1f} when this began), "
        f"{platform.system()}, Python {platform.python_version()}"
    )


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
