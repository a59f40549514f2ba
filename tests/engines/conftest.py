"""Tests of real clusters: collected only where they are installed (`make test-engines` installs them)."""

import importlib.util

HAS_BOTH = all(importlib.util.find_spec(name) for name in ("distributed", "ray"))
collect_ignore_glob = [] if HAS_BOTH else ["test_*.py"]
