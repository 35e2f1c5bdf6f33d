"""The samples that come with the program."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

SAMPLE = "opportunities.xlsx"
"""The one with which people try it out."""


def sample(name: str) -> Path:
    """Return the path of a sample: inside the installed package, or beside it in a checkout."""
    packaged = Path(str(files("batch_updater"))) / "samples" / name
    return packaged if packaged.exists() else Path(__file__).parents[2] / "samples" / name
