"""The real command line in the process of the test: for many short commands, each of which would import everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batch_updater.cli.commands import main
from tests.end_to_end.program import TOKEN, Done

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


class Inside:
    """Runs commands in a folder, one after the other."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, captured: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._captured = captured
        patch.chdir(folder)
        patch.setenv("NEXUS_TOKEN", TOKEN)

    def __call__(self, *arguments: str | Path) -> Done:
        """Run one command to its end."""
        self._captured.readouterr()
        code = main([*map(str, arguments)])
        out, err = self._captured.readouterr()
        assert TOKEN not in out + err
        assert "Traceback" not in err, err
        return Done(code, out, err)
