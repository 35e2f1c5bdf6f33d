"""A spreadsheet that is checked on the page: its rows staged on disk, edited by people, and ready to become a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Self

import msgspec

from batch_updater.config.schema import Config
from batch_updater.endpoint.description import Endpoint
from batch_updater.questions import Answers, Question
from batch_updater.records import Cell, Columns, Problem, StagedInput
from batch_updater.reporter.summary import Summary
from batch_updater.reporter.summary_view import SummaryView
from batch_updater.runs.history import Identity
from batch_updater.runs.plan import Plan
from batch_updater.runs.store import Store

DRAFT = "draft.sqlite"


class CellEdit(NamedTuple):
    """What a person types into a cell of an upload."""

    row: int
    """The row's number, as on the page."""
    position: int
    """Of the column, in `Columns.headers`."""
    text: str
    """'' empties the cell."""


class MadeEdit(msgspec.Struct, frozen=True):
    """An edit as it is kept."""

    number: int
    """From 1, over all edits of the upload."""
    row: int
    position: int
    old: Cell
    """The cell before this edit."""
    new: str
    by: str
    at: datetime
    """UTC."""
    is_undone: bool = False


class DraftRow(msgspec.Struct, frozen=True):
    """A row of the grid."""

    number: int
    cells: tuple[Cell, ...]
    """As they are now, the edits included."""
    problems: tuple[Problem, ...]
    """None of a row that is good by now."""
    edits: Mapping[int, MadeEdit]
    """Position -> the last edit of that cell that is not undone."""
    is_refused: bool = False
    """Whether it is here because the API refused it in the run that is repaired, and nothing was changed since."""


class GridPage(msgspec.Struct, frozen=True):
    """Some rows of the grid, in the order of the file."""

    rows: tuple[DraftRow, ...]
    next_after: int | None
    """The row behind which the next page begins; None on the last page."""
    total: int
    """How many rows the whole grid has."""


class Group(msgspec.Struct, frozen=True):
    """Cells with the same problem and the same value, which one edit can repair: `Apply to all 28 like this`."""

    field: str
    position: int
    code: str
    value: str
    """What the cells show."""
    rows: int


class Draft:
    """The staged rows of one upload. Every method may be called from any thread."""

    folder: Path
    config: Config
    endpoint: Endpoint
    columns: Columns
    store: Store
    identity: Identity
    """What makes the run that begins from it the same as another; its edits are part of it."""

    @classmethod
    def open(cls, folder: Path, config: Config) -> Self | None:
        """Open the draft in an upload's folder; None if there is none, or one that another configuration has staged.

        Raises DamagedStoreError.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the database."""
        raise NotImplementedError

    @property
    def staged(self) -> StagedInput:
        """What is known of the input, with the figures as the edits have made them."""
        raise NotImplementedError

    @property
    def questions(self) -> tuple[Question, ...]:
        """What the cells and rows of the whole file leave open."""
        raise NotImplementedError

    @property
    def answers(self) -> Answers:
        """The answers with which the rows were staged."""
        raise NotImplementedError

    def plan(self) -> Plan:
        """Return the plan of the rows as they are now; its store is that of the draft."""
        raise NotImplementedError

    def summary(self) -> Summary:
        """Return counts, ranked causes and verdict of the rows as they are now; cheap at any number of rows."""
        raise NotImplementedError

    def view(self) -> SummaryView:
        """Return what reports say of it: verdict, counts, causes, mapping, facts and notes."""
        raise NotImplementedError

    def grid(self, *, cause: str | None = None, edited: bool = False, after: int = -1, most: int = 50) -> GridPage:
        """Return the rows that need someone, those of one cause, or those that were edited; paged by SQL."""
        raise NotImplementedError

    def row(self, number: int) -> DraftRow | None:
        """Return a row, whether or not it needs someone; None if there is none of that number."""
        raise NotImplementedError

    def choices(self, row: DraftRow, field: str) -> tuple[str, ...]:
        """Return the values that are known to be valid in a cell, the nearest to what it holds first; () if unknown."""
        raise NotImplementedError

    def group(self, problem: Problem) -> Group | None:
        """Return all cells with the same problem and value; None if the problem is about no cell, or about one only."""
        raise NotImplementedError

    def edit(self, edits: Sequence[CellEdit], by: str) -> tuple[DraftRow, ...]:
        """Change cells, judge their rows and those of the same targets, and keep who changed what: in one transaction.

        Returns the rows as they are now. The person's file is not touched. Raises UsageError for a row or column that
        there is not.
        """
        raise NotImplementedError

    def edit_group(self, group: Group, text: str, by: str) -> int:
        """Type the same into every cell of a group. Returns how many cells were changed."""
        raise NotImplementedError

    def undo_edit(self, number: int, by: str) -> DraftRow:
        """Put back what a cell held before an edit and all later edits of it. Raises UsageError if there is no such."""
        raise NotImplementedError

    def accept_row(self, number: int, by: str) -> DraftRow:
        """Let a row that the API refused be sent again as it is."""
        raise NotImplementedError

    def edits(self, *, after: int = 0, most: int = 100) -> tuple[MadeEdit, ...]:
        """Return edits by number, the undone ones included."""
        raise NotImplementedError

    def digest(self) -> str:
        """Return SHA-256 (hex) over all requests that would be sent, in order: what an approval is for."""
        raise NotImplementedError


class Upload(msgspec.Struct, frozen=True):
    """Where an upload comes from, as far as staging needs it."""

    path: Path
    """The uploaded file in its folder: `input.<ext>`."""
    name: str
    """What people call it."""
    stem: str
    """What the names of results begin with."""
    source_path: str | None = None
    """Where it lies for others, of a workbook from a run's folder."""
    repairs: Path | None = None
    """Folder of the run whose refused rows it repairs."""


def stage_draft(
    upload: Upload, config: Config, answers: Answers, layout: str | None, *, progress: Callable[[int], None]
) -> Draft:
    """Read an upload once, judge every row, and put them into the draft of its folder, in place of an earlier one.

    Edits of an earlier draft are made again where their cells still are. `progress` gets the rows that are read so
    far, and may raise to end it. Raises OpenQuestionsError (where the headers are and what they mean), InputError,
    ConfigError, EndpointError, ResultsError. The draft is there whole or not at all, whenever the process is killed.
    """
    raise NotImplementedError
