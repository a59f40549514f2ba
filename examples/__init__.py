"""Worked examples on tracekit's public API; run them from the repository's root."""
