"""How cells are read once the whole file is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

RAGGED = "ragged-row"
"""Code of the problem of a row that is longer or shorter than the header row."""


class MarkEvidence(NamedTuple):
    """What shows that numbers of a column may be written with the other decimal mark."""

    sentence: str
    """Without a full stop: `Row 5 has 1.234,50 (amountDue)`."""
    decides: bool
    """Whether every cell of the column that can tell is written so: then the column is read with that mark."""


@dataclass(frozen=True, slots=True)
class Findings:
    """How cells are read once the whole file is known."""

    marks: Mapping[str, MarkEvidence] = field(default_factory=dict)
    """Number fields in which the configured decimal mark does not settle every number."""
    perhaps_thousands: frozenset[str] = frozenset()
    """Number fields in which every number with a decimal mark has three digits behind it, so that it may be none."""
    with_fractions: frozenset[str] = frozenset()
    """Text fields that hold numbers with a fraction, so that 2.0 is meant as it is written."""
    below_from: int | None = None
    """First row below the table; None if there is none."""
