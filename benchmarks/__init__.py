"""Speed and memory of the whole program, beside references that run in the same call."""
