"""The command line in one folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.end_to_end.program import Done, batch_updater

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Inside:
    folder: Path

    def __call__(self, *arguments: str | Path, stdin: str = "", **variables: str | None) -> Done:
        """Run one command to its end."""
        return batch_updater(*arguments, cwd=self.folder, stdin=stdin, **variables)
