"""The speed and overhead figures, re-runnable with one command: `python -m benchmarks`."""
