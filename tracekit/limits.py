"""How much a trace may hold and still be replayed in the integers that it is kept in."""

LONGEST_NS = 36_525 * 86_400 * 1_000_000_000
"""100 years from the first start to the last end: more would not fit int64 ns beside what a replay adds."""

MOST_CALL_TOKENS = 2**31 - 1
"""Prompt and output of a call together: what 32 bits hold, a thousand times the longest context there is."""
