"""What recording costs the agent, how true its times are, and what survives a kill."""
