"""The page: every published table and figure beside ours. Here, and nowhere before, targets are read."""
