"""Speed and memory, as ratios against references run in the same call."""
