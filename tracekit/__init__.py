"""Record an LLM agent, replay it on a GPU fleet, see where time, joules and dollars go."""

from tracekit.collectors.inside.marks import mark, session, tool

__version__ = "0.1.0"
__all__ = ["__version__", "mark", "session", "tool"]
