"""The command line: parses, asks, prints, and turns exceptions into messages and exit codes."""
