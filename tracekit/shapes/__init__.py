"""Traces drawn from published shapes: so many calls, tools and tokens in the mean, nobody's real sessions."""
