"""Real clients, each in an environment of its own, against a server whose truth is known."""
