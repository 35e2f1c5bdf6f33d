"""The nearest valid spelling of a misspelt word."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(typed: str, valid: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the valid spelling that is closest to what was typed, ignoring case; None if none is close.

    `cutoff` is the least similarity (0 to 1, as `difflib.SequenceMatcher.ratio` counts it).
    """
    by_folded = {name.casefold(): name for name in valid}
    matches = get_close_matches(typed.strip().casefold(), by_folded, n=1, cutoff=cutoff)
    return by_folded[matches[0]] if matches else None


def nearest_of_all(typed: str, valid: Iterable[str], most: int) -> list[str]:
    """Return at most so many valid spellings that are close to what was typed, as `nearest` does, the closest first."""
    by_folded = {name.casefold(): name for name in valid}
    return [by_folded[match] for match in get_close_matches(typed.strip().casefold(), by_folded, n=most)]
