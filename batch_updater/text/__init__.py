"""Text for people: characters that cannot be seen, printable lines, spelling, redaction of secrets."""
