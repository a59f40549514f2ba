"""The Cost of Dynamic Reasoning (arXiv 2506.04301), done again from its published shapes."""
