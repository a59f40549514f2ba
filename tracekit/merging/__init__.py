"""Several traces onto one clock: what two hosts' clocks are known to differ by, and the rows of both in one file."""
