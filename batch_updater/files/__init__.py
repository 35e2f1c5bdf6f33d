"""Files on disk: ours, written whole and private; those of other people, opened without waiting."""
