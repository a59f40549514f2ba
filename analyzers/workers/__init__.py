"""Where replays run: threads, or workers of a cluster, and what is kept of their results."""
