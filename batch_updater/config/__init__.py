"""The configuration: its keys, how they are read from a file and the environment, and how a file is made."""
