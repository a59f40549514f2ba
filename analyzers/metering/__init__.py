"""Measured joules: what the samples of GPUs say, how far off it may be, and whose it is."""
