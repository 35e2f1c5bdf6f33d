"""How a secret is set on every system; for the messages of init and doctor."""

from __future__ import annotations


def ways_to_set(name: str) -> tuple[str, ...]:
    """Return lines on how to set an environment variable; the program has to be started from the same window."""
    return (
        f"Linux, macOS:  export {name}='...'",
        f"cmd:           set {name}=...",
        f"PowerShell:    $env:{name} = '...'",
        "Scheduled:     a private file, by token: file:PATH",
    )
