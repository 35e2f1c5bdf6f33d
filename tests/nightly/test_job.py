"""job.py: what the program itself fails at concerns one file alone."""

from __future__ import annotations

import os
import time
from collections import UserDict
from typing import TYPE_CHECKING

import pytest

from batch_updater.config.environment import Environment
from batch_updater.config.loading import load_config
from batch_updater.nightly.job import run_night
from batch_updater.runs.interrupts import Interrupts
from tests.end_to_end.program import TOKEN, configure, sandbox
from tests.nightly.receivers import webhook

if TYPE_CHECKING:
    from pathlib import Path


class FailsOnce(UserDict[str, str]):
    """An environment that fails in an unforeseen way the first time that the token is looked up."""

    has_failed = False

    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]
        if key == "NEXUS_TOKEN" and not self.has_failed:
            self.has_failed = True
            raise RuntimeError("unforeseen")
        return super().get(key, default)


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise imports it
def test_an_unforeseen_fault_concerns_one_file_and_the_message_tells_of_all(tmp_path: Path) -> None:
    """The file goes to a person with a note, the next one is done, the exit code is 70, and people hear of both."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for number, name in enumerate(("a.csv", "b.csv"), 1):
        (inbox / name).write_text(f"Id,Type,OpportunityName\n{number},Pre,x\n", encoding="utf-8")
        os.utime(inbox / name, (time.time() - 3600 + number,) * 2)
    said: list[str] = []
    with sandbox() as api, webhook() as hook:
        configure(tmp_path, api.url, f"nightly: {{inbox: inbox, notify: ['json://{hook.place}/told']}}\n")
        environment = Environment(FailsOnce({"NEXUS_TOKEN": TOKEN}))
        night = run_night(
            load_config(tmp_path / "config.yaml", {}), environment, Interrupts(), said.append, said.append
        )
    assert night.exit_code == 70
    assert [(file.name, file.disposition.verdict) for file in night.files] == [
        ("a.csv", "attention"),
        ("b.csv", "done"),
    ]
    (note,) = (tmp_path / "attention").glob("*/a.csv.txt")
    assert "The program itself failed at it" in note.read_text(encoding="utf-8")
    assert any("RuntimeError: unforeseen" in line for line in said)
    (posted,) = hook.bodies()
    assert "a.csv: needs you" in posted["message"]
    assert "b.csv: done" in posted["message"]
