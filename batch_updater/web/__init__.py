"""The page for operations: the whole job in a browser."""
