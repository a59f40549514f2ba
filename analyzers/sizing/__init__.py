"""How many of which GPU serve a workload within its limits, and what that costs (DESIGN: sizing)."""
