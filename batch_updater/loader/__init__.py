"""File -> rows -> jobs and problems. No network."""
