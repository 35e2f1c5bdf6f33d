"""Every row with its outcome, once more and in file order, from the journal of its run."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from batch_updater.endpoint.allowed import AllowedValues
from batch_updater.endpoint.compare import changes_of
from batch_updater.runs.history import JOURNAL
from batch_updater.runs.journal import journal_reader
from batch_updater.runs.reconcile import settled_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from batch_updater.endpoint.description import Endpoint
    from batch_updater.loader.table import Review, Table
    from batch_updater.records import ReportRow, Stop
    from batch_updater.runs.journal import Journal, JournalReader


def rows_of(folder: Path, table: Table, review: Review, stop: Stop | None, endpoint: Endpoint) -> Iterator[ReportRow]:
    """Go over the rows of a run whose journal lies in that folder; `stop`: why some had no turn."""
    with journal_reader(folder / JOURNAL) as journal:
        yield from rows_in(journal, table, review, stop, endpoint)


def rows_in(
    journal: Journal | JournalReader, table: Table, review: Review, stop: Stop | None, endpoint: Endpoint
) -> Iterator[ReportRow]:
    """Go over the rows of a run whose journal is open; what each changes is judged by the names that were learned."""
    changed = functools.partial(changes_of, endpoint, AllowedValues.of(endpoint, journal.allowed()))
    return settled_rows(table, review, journal.outcomes(), stop, changed)
