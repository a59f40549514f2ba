"""The peer, opentelemetry-instrumentation-genai-openai, in an environment of its own with the openai client."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.dynosim import CACHE

VERSION = "1.3b0"
OPENAI = "3.54.0"
PACKAGES = (
    f"opentelemetry-instrumentation-genai-openai=={VERSION}",
    f"openai=={OPENAI}",
    "opentelemetry-sdk",
)


def interpreter() -> Path | None:
    """A Python with the client and the peer, installed at the first call; None where pip cannot get it."""
    environment = CACHE / "genai-openai"
    python = environment / "bin" / "python"
    if not _runs(python):
        CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", environment], check=True, capture_output=True)
        install = [str(python), "-m", "pip", "install", "--quiet", *PACKAGES]
        subprocess.run(install, check=False, capture_output=True)
    return python if _runs(python) else None


def _runs(python: Path) -> bool:
    asked = "import openai, opentelemetry.sdk, opentelemetry.instrumentation.genai.openai"
    return (
        python.is_file()
        and subprocess.run([str(python), "-c", asked], check=False, capture_output=True).returncode == 0
    )
