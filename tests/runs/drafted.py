"""Uploads as the page keeps them, and their drafts."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from batch_updater.config.schema import Config
from batch_updater.questions import NO_ANSWERS, Answers
from batch_updater.runs.draft import Draft, Upload, stage_draft

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

HEADERS = ("Id", "Type", "OpportunityName", "SalesRevenue", "PendingCloseDate")
ID, TYPE, NAME, REVENUE, DAY = range(len(HEADERS))
GOOD = ("1", "Pre", "a", "12.50", "2026-01-02")


def configuration(folder: Path, **sections: dict[str, object]) -> Config:
    """Return a configuration whose results are beside the uploads."""
    given = {"api": {"base_url": "http://127.0.0.1:1"}, "results": {"folder": str(folder / "runs")}}
    return Config.model_validate(given | sections)


def uploaded(folder: Path, rows: Iterable[Sequence[object]], headers: Sequence[str] = HEADERS) -> Upload:
    """Put a CSV file into a folder of its own."""
    folder.mkdir(exist_ok=True, parents=True)
    path = folder / "input.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([headers, *rows])
    return Upload(path, "week 48.csv", "week_48")


def drafted(upload: Upload, config: Config, answers: Answers = NO_ANSWERS) -> Draft:
    """Stage an upload."""
    return stage_draft(upload, config, answers, None, progress=lambda _: None)


def content(draft: Draft) -> dict[str, object]:
    """Return everything about the rows of a draft that an edit may change, as the database and its methods say it."""
    tables = {
        name: draft.store.connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall()  # noqa: S608
        for name in ("rows", "grid", "lists")
    }
    return tables | {
        "staged": draft.staged, "summary": draft.summary(), "identity": draft.identity, "digest": draft.digest(),
        "grid": draft.grid(most=1000), "edited": draft.grid(edited=True),
    }  # fmt: skip
