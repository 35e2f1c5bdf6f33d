"""Files on disk: ours are written whole and private; other people's are opened without blocking."""
