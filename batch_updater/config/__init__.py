"""The configuration: its keys, and how they are read from a file and the environment."""
