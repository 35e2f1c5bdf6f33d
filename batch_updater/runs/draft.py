"""A spreadsheet that is checked on the page: its rows staged on disk, edited by people, and ready to become a run.

The draft of an upload is a database as a run has one, with what is needed to judge its rows again without the file. It
is made under another name, and is there whole or not at all. An edit is one transaction, on disk before it is answered.

What the whole file shows about its cells (which decimal mark a column has, where the table ends, which order its dates
have) is what the file holds, whatever is edited: an edit never makes another cell sendable that the file leaves open,
nor the other way round. What is typed is judged as a text cell of a CSV file is, and more strictly where only the file
could vouch for it: see `RowParser.parse_edited`.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from itertools import groupby, islice
from pathlib import Path
from typing import NamedTuple, Self

import msgspec
from filelock import FileLock
from msgspec.structs import replace

from batch_updater.config.schema import Config, InputSettings
from batch_updater.endpoint.adjusted import endpoint_for
from batch_updater.endpoint.allowed import AllowedValues
from batch_updater.endpoint.description import Endpoint, Field, Kind
from batch_updater.endpoint.stored import decode_endpoint, encode_endpoint
from batch_updater.errors import InputError, ResultsError, UsageError
from batch_updater.files.writing import sync_folder
from batch_updater.loader.findings import RAGGED
from batch_updater.loader.open_questions import is_open
from batch_updater.loader.row_parser import SavedParser
from batch_updater.loader.survey import DatesOfOrders
from batch_updater.loader.table import restored_parser
from batch_updater.questions import Answers, Question
from batch_updater.records import Cell, Columns, Job, MadeEdit, Outcome, OutcomeKind, Problem, StagedInput
from batch_updater.reporter.cell_values import text_of_cell
from batch_updater.reporter.summary import NEEDS_PERSON, Summary
from batch_updater.reporter.summary_view import SummaryView, summary_view
from batch_updater.runs import edits as kept
from batch_updater.runs import statements
from batch_updater.runs.encoding import as_list, encode_problems
from batch_updater.runs.folder import Snapshot, folder_faults, sha256_of
from batch_updater.runs.grid import ALL, EDITED, RowLists, key_of_cause, key_of_group
from batch_updater.runs.guards import exceeded
from batch_updater.runs.history import DATABASE, Identity
from batch_updater.runs.judged_rows import DraftedRow, EditableRow, JudgedRows, editable_rows, named_record
from batch_updater.runs.names import RememberedNames, names_stamp, remembered_names
from batch_updater.runs.plan import Plan, open_snapshot
from batch_updater.runs.rows import unsent
from batch_updater.runs.store import (
    BEFORE_ALL_ROWS,
    DamagedStoreError,
    OtherFormatError,
    Store,
    companions,
    converted,
    draft_of,
    faults_named,
    opened_store,
)
from batch_updater.text.characters import suggestion
from batch_updater.text.spelling import nearest_of_all
from batch_updater.text.typed_values import typed_json
from batch_updater.version import __version__

DRAFT = "draft.sqlite"
_READY = "draft.sqlite-ready"
"""A draft that is complete and not in its place yet."""
_LOCK = ".draft-lock"
_FACTS, _DIGEST = "facts", "digest"
_TABLE = "its table draft"
CHECKED_AGAIN = "The file is being checked again: try it in a moment."
"""Why nothing can be changed in a draft that is about to be replaced."""
WAITS = "waits"
"""Code of the problem of a row that waits for an earlier one of its target."""
_REFUSED = "refused"
"""Code of the problem of a row that the API refused without naming a cell."""
_OF_OTHER_ROWS = frozenset({"duplicate-target", "row-number"})
"""Codes of problems with other rows, which are here as well."""
_LONGEST_TEXT = 1_000_000
"""Characters of a cell that is typed: no one types more."""
_BATCH = 500
_NEAREST = 10
"""Valid values that are ranked by how near they are."""
_RANKINGS_KEPT = 1_000
"""The same wrong value is often in many cells, and hundreds of names take a hundredth of a second to rank."""


class HeldDraftError(UsageError):
    """A draft cannot be changed at this moment; the message says why."""


class CellEdit(NamedTuple):
    """What a person types into a cell of an upload."""

    row: int
    """The row's number, as on the page."""
    position: int
    """Of the column, in `Columns.headers`."""
    text: str
    """'' empties the cell."""


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
    """Whether it is here because it needed someone in the run that is repaired, and nothing was changed since."""
    is_wrong: bool = False
    """Whether the check finds it wrong, whatever the API has refused: a row that only a correction makes good."""


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


class _DraftFacts(msgspec.Struct, frozen=True):
    """What a draft holds beside its rows."""

    program: str
    """Version of the program that staged it."""
    base_url: str | None
    description: str
    """SHA-256 of the endpoint that the configuration calls, without the columns of its open parts."""
    input: InputSettings
    """How files are read by the configuration."""
    endpoint: str
    """As `encode_endpoint` gives it, with a field for each column of an open part."""
    file: str
    """Name of the upload in its folder."""
    name: str
    stem: str
    sha256: str
    source_path: str | None
    identity: Identity
    parser: SavedParser
    date_orders: Mapping[str, DatesOfOrders]
    questions: tuple[Question, ...]
    """Of the file, whatever is edited. So `notes`, without those on names."""
    notes: tuple[str, ...]
    in_order: bool
    staged_at: datetime


class Draft:
    """The staged rows of one upload. Every method may be called from any thread.

    Each raises DamagedStoreError if the database cannot be relied on, HeldDraftError if it was closed because the
    upload is checked again, and one that changes something also while it is held, and StoreError if nothing can be
    written.
    """

    def __init__(self, folder: Path, config: Config, store: Store, facts: _DraftFacts) -> None:
        self.folder = folder
        self.config = config
        self._writer = store
        self.store = Store.reading(folder / DRAFT) if store.has_write_ahead_log else store
        """The rows as they were after the last change that was made as a whole."""
        self.endpoint: Endpoint = decode_endpoint(facts.endpoint)
        self._facts = facts
        self._changes = threading.RLock()
        """Held while the rows are changed. That may take seconds, and others read meanwhile."""
        self._reading = self._changes if self.store is store else threading.RLock()
        """Held for a moment, while rows and figures are read, or those after a change are shown. Taken second."""
        self._is_closed = False
        self._held = ""
        """Why nothing can be changed at this moment; '' if it can."""
        self._file = _file_identity(folder / DRAFT)
        self._staged = converted(store.fact("staged"), StagedInput, "its table run")
        self.columns: Columns = self._staged.columns
        self._parser = restored_parser(facts.parser, self.endpoint)
        self._rows = JudgedRows(
            store, self.endpoint, self.columns, self._parser, facts.date_orders,
            in_order=facts.in_order, is_undo=self._staged.is_undo,
        )  # fmt: skip
        self._ranked: dict[tuple[str, tuple[str, ...]], tuple[str, ...]] = {}
        """What was typed, and the valid values -> these, the nearest first."""
        self._names: tuple[object, RememberedNames] | None = None
        """When `names.json` was last changed, and what it holds."""
        self._rows.count_names(self._known_names().allowed)
        self._lists = RowLists(self.store, self.columns)
        self._cached_summary: Summary | None = None
        self._cached_identity: Identity | None = None
        self._group_lengths: dict[int, int] = {}
        """Key of a group -> its rows; counted when it is asked for, until the next edit."""
        self._batch_lengths: dict[int, int] = {}
        """Number of a batch -> its edits that are not undone; counted as the groups are."""

    @classmethod
    def open(cls, folder: Path, config: Config) -> Self | None:
        """Open the draft in an upload's folder; None if there is none, or one that another configuration has staged.

        Raises DamagedStoreError, and EndpointError and ConfigError if the configuration names no usable description.
        """
        path = folder / DRAFT
        _put_in_place(folder)
        if not path.exists():
            return None
        with _opened_draft(path) as store:
            facts = _facts_in(store) if store else None
        if facts is None or not _is_of(facts, config):
            return None
        with faults_named(path, "read"):
            return cls(folder, config, Store.writing(path), facts)

    def close(self) -> None:
        """Let go of the database, once a change that is going on has ended; later calls are refused."""
        with self._changes, self._reading:
            self._is_closed = True
            self.store.close()
            self._writer.close()

    def close_if_unchanged(self) -> bool:
        """Do the same unless a change is going on, or the draft is held; return whether it is closed."""
        if not self._changes.acquire(blocking=False):
            return False
        try:
            if not self._held:
                self.close()
            return self._is_closed
        finally:
            self._changes.release()

    @contextmanager
    def _shown(self) -> Iterator[Store]:
        """Give the rows as they were after the last change; the figures are theirs."""
        with self._reading:
            if self._is_closed:
                raise HeldDraftError(CHECKED_AGAIN)
            yield self.store

    @contextmanager
    def held(self, why: str) -> Iterator[None]:
        """Let no one change the rows meanwhile, once a change that is going on has ended; `why`: in a sentence."""
        with self._changes:
            self._held = why
        try:
            yield
        finally:
            self._held = ""

    @property
    def staged(self) -> StagedInput:
        """What is known of the input, with the figures as the edits have made them."""
        with self._reading:
            return replace(self._staged, questions=self.questions)

    @property
    def questions(self) -> tuple[Question, ...]:
        """What the cells and rows of the whole file leave open, as far as no edit has settled it."""
        with self._reading:
            causes, columns = {cause.text for cause in self._staged.causes}, self.columns
            return tuple(
                question
                for question in self._facts.questions
                if is_open(question, columns, self.answers, lambda problem: problem.cause(columns) in causes)
            )

    @property
    def answers(self) -> Answers:
        """The answers with which the rows were staged."""
        return self._facts.parser.answers

    @property
    def identity(self) -> Identity:
        """What makes the run that begins from it the same as another; its edits are part of it."""
        with self._shown() as store:
            if self._cached_identity is None:
                edits = kept.digest_of_edits(store, self.columns)
                self._cached_identity = replace(self._facts.identity, edits=edits)
            return self._cached_identity

    @property
    def snapshot(self) -> Snapshot:
        """The uploaded file."""
        facts = self._facts
        return Snapshot(self.folder / facts.file, facts.name, facts.stem, facts.sha256, facts.source_path)

    def plan(self) -> Plan:
        """Return the plan of the rows as they are now; its store is that of the draft."""
        return Plan(
            self.config, self.endpoint, self.snapshot, self.staged, self.store, self.answers, self._known_names(),
            is_of_page=True,
        )  # fmt: skip

    def _known_names(self) -> RememberedNames:
        """Return the names that the API is known to have by now."""
        folder = self.config.results.folder
        stamp = names_stamp(folder)
        with self._reading:
            if self._names is None or self._names[0] != stamp:
                names = remembered_names(folder, self.endpoint.name, self.config.api.base_url)
                self._names = stamp, names
            return self._names[1]

    def summary(self) -> Summary:
        """Return counts, ranked causes and verdict of the rows as they are now; cheap at any number of rows."""
        with self._shown():
            if self._cached_summary is None:
                staged = self._staged
                counts = dict.fromkeys(OutcomeKind, 0) | {
                    OutcomeKind.PLANNED: staged.good, OutcomeKind.NOT_SENT: staged.waiting,
                    OutcomeKind.INVALID: staged.invalid,
                }  # fmt: skip
                self._cached_summary = Summary(staged.rows, counts, self._lists.causes(), of_check=True)
            return self._cached_summary

    def view(self) -> SummaryView:
        """Return what reports say of it: verdict, counts, causes, mapping, facts and notes."""
        with self._shown() as store:
            plan = self.plan()
            facts = plan.facts("check", self._facts.staged_at, store)
            over = tuple(exceeded(self.config.guards, plan.staged, store))
            notes = (*plan.notes, *(guard.note for guard in over))
            facts = replace(facts, finished_at=self._facts.staged_at, notes=notes, is_over_guard=bool(over))
            return summary_view(facts, self.endpoint, self.columns, self.summary())

    def grid(
        self, *, cause: str | None = None, edited: bool = False, after: int = BEFORE_ALL_ROWS, most: int = 50
    ) -> GridPage:
        """Return the rows that need someone, those of one cause, or those that were edited; paged by SQL."""
        key = EDITED if edited else ALL if cause is None else key_of_cause(cause)
        with self._shown():
            numbers = self._lists.rows(key, after, most + 1)
            next_after = numbers[most - 1] if len(numbers) > most else None
            return GridPage(self._rows_of(numbers[:most]), next_after, self._lists.length(key))

    def row(self, number: int) -> DraftRow | None:
        """Return a row, whether or not it needs someone; None if there is none of that number."""
        return next(iter(self._rows_of([number])), None)

    def _rows_of(self, numbers: Iterable[int]) -> tuple[DraftRow, ...]:
        """Return those of some rows that there are, in the order of their numbers."""
        with self._shown() as store:
            found = editable_rows(store, numbers)
            withheld = kept.why_withheld(store, self.columns, {row: one.texts for row, one in found.items()})
            refused = [one for row, one in found.items() if withheld.get(row)]
            wrong = self._rows.found_wrong(refused, store) if refused else frozenset()
            width = len(self.columns.headers)
            return tuple(
                DraftRow(
                    number,
                    (*one.cells, *[None] * (width - len(one.cells))),
                    self._shown_problems(one.row),
                    {edit.position: edit for edit in one.made.edits},
                    is_refused=bool(withheld.get(number)),
                    is_wrong=number in wrong if withheld.get(number) else one.row.state == "invalid",
                )
                for number, one in found.items()
            )

    def _shown_problems(self, row: DraftedRow) -> tuple[Problem, ...]:
        if row.waits_for is None:
            return row.problems
        remedy = f"Repair row {row.waits_for}."
        return (Problem(row.number, None, WAITS, "", statements.WAITS_FOR_ROW % row.waits_for, remedy),)

    def choices(self, row: DraftRow, field: str) -> tuple[str, ...]:
        """Return the values that are known to be valid in a cell, the nearest to what it holds first; () if unknown."""
        described = self.endpoint.by_name.get(field)
        if described is None or field not in self.columns.of_field:
            return ()
        valid = self._valid_values(described, row)
        typed = text_of_cell(row.cells[self.columns.of_field[field]]).strip()
        if not valid or not typed:
            return valid
        with self._reading:
            if (typed, valid) not in self._ranked:
                if len(self._ranked) >= _RANKINGS_KEPT:
                    self._ranked.clear()
                first = filter(None, [suggestion(typed, valid).name])
                near = dict.fromkeys((*first, *nearest_of_all(typed, valid, _NEAREST)))
                self._ranked[typed, valid] = (*near, *(name for name in valid if name not in near))
            return self._ranked[typed, valid]

    def _valid_values(self, field: Field, row: DraftRow) -> tuple[str, ...]:
        if field.kind in {Kind.LIST, Kind.JSON}:  # its cells hold several
            return ()
        if field.enum:
            return tuple(text for value in field.enum if (text := str(value)))
        if field.kind is Kind.BOOLEAN:
            return ("TRUE", "FALSE")
        lists = [one for one in self._known_names().allowed if one.field == field.name]
        if not lists:
            return ()
        with self._reading:
            values = self._parser.parse(row.number, row.cells).values
        key = AllowedValues(self.endpoint).key_of(field, Job(row.number, "", values))
        found = next((one for one in lists if (one.field, one.depends_on) == key), None)
        return tuple(value.name for value in found.values) if found else ()

    def group(self, problem: Problem) -> Group | None:
        """Return all cells with the same problem and value; None if the problem is about no cell, or about one only."""
        key = key_of_group(problem, self.columns)
        if key is None or problem.field is None:
            return None
        with self._shown():
            if key not in self._group_lengths:
                self._group_lengths[key] = self._lists.length_of_group(key)
            rows = self._group_lengths[key]
        position = self.columns.of_field[problem.field]
        return Group(problem.field, position, problem.code, problem.value, rows) if rows > 1 else None

    def edit(self, edits: Sequence[CellEdit], by: str) -> tuple[DraftRow, ...]:
        """Change cells, judge their rows and those of the same targets, and keep who changed what: in one transaction.

        Returns the rows as they are now. The person's file is not touched. A text that the cell shows already changes
        nothing. Raises UsageError for a row or column that there is not.
        """
        with self._changing():
            first = kept.next_edit(self._writer)
            left = iter([(row, [*of_row]) for row, of_row in groupby(sorted(edits, key=_row), key=_row)])
            while of_rows := dict(islice(left, _BATCH)):
                self._edit(of_rows, first, by)
        return self._rows_of({edit.row for edit in edits})

    def _edit(self, edits: Mapping[int, Sequence[CellEdit]], batch: int, by: str) -> int:
        """Do what `edit` does within a transaction, given the edits of each row; return how many cells were changed."""
        rows, made = list[EditableRow](), list[tuple[int, int, int, Cell, str]]()
        found = editable_rows(self._writer, edits)
        for number, of_row in edits.items():
            one = found.get(number)
            if one is None:
                raise UsageError(f"There is no row {number:,}.", remedy="Load the page again.")
            cells, texts = one.cells, dict[int, str]()
            for edit in of_row:
                self._require_editable(edit)
                is_beyond = edit.position >= len(cells)
                old = None if is_beyond else cells[edit.position]
                is_missing = is_beyond and any(problem.code == RAGGED for problem in one.row.problems)
                if text_of_cell(old) != edit.text or is_missing:
                    made.append((number, edit.position, one.width, old, edit.text))
                    texts[edit.position] = edit.text
                    cells = kept.overlaid(cells, texts)
            if texts:
                rows.append(EditableRow(one.row, one.cells, one.made, {**one.texts, **texts}))
        kept.add_edits(self._writer, made, batch, by, datetime.now(UTC))
        self._rows.judge(rows)
        return len(made)

    def _require_editable(self, edit: CellEdit) -> None:
        if not 0 <= edit.position < len(self.columns.headers):
            raise UsageError(f"There is no column {edit.position}.", remedy="Load the page again.")
        if len(edit.text) > _LONGEST_TEXT:
            raise UsageError(f"A cell holds at most {_LONGEST_TEXT:,} characters.", remedy="Type a shorter text.")

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Write everything that follows, and the figures after it, in one transaction, or nothing of it."""
        path = self.folder / DRAFT
        with self._changes:
            if why := CHECKED_AGAIN if self._is_closed else self._held:
                raise HeldDraftError(why)
            if _file_identity(path) != self._file:
                raise UsageError("The file has been checked again meanwhile.", remedy="Load the page again.")
            before = self._staged
            try:
                with faults_named(path), ExitStack() as until_committed, self._writer.transaction():
                    yield
                    staged = self._rows.sum_up(before)
                    # From here to the commit no one reads: rows and figures are to be those of one moment.
                    until_committed.enter_context(self._reading)
                    self._show(replace(staged, notes=(*self._facts.notes, *self._rows.names.notes(self.columns))))
                    self._writer.set_facts({"staged": msgspec.to_builtins(self.staged)})
                    self._writer.execute(statements.DROP_DRAFT_FACT, name=_DIGEST)
            except BaseException:
                self._show(before)
                self._rows.forget()
                self._rows.count_names(self._known_names().allowed)
                raise

    def _show(self, staged: StagedInput) -> None:
        with self._reading:
            self._staged = staged
            self._cached_summary = self._cached_identity = None
            self._group_lengths.clear()
            self._batch_lengths.clear()

    def edit_group(self, group: Group, text: str, by: str, *, row: int | None = None) -> int:
        """Type the same into every cell of a group, in one transaction. Returns how many cells were changed.

        `row`: one whose cell gets the text, too, where it is of the group no more.
        """
        problem = Problem(0, group.field, group.code, group.value, "", "")
        key = key_of_group(problem, self.columns)
        if key is None or self.columns.of_field.get(group.field) != group.position:
            raise UsageError("There is no such group of cells.", remedy="Load the page again.")
        count, after = 0, BEFORE_ALL_ROWS
        with self._changing():
            first = kept.next_edit(self._writer)
            if row is not None:
                count += self._edit({row: [CellEdit(row, group.position, text)]}, first, by)
            while numbers := self._rows.lists.rows(key, after, _BATCH):
                count += self._edit({number: [CellEdit(number, group.position, text)] for number in numbers}, first, by)
                after = numbers[-1]
        return count

    def undo_edit(self, number: int, by: str) -> DraftRow:
        """Put back what a cell held before an edit and all later edits of it. Raises UsageError if there is no such."""
        with self._changing():
            edit = kept.edit_of_number(self._writer, number)
            if edit is None or edit.is_undone:
                raise _not_undoable(number)
            self._undo([edit], by)
        return self._row_of(edit.row)

    def undo_batch(self, number: int, by: str) -> int:
        """Do what `undo_edit` does for all edits that were made together with one, in one transaction.

        Returns how many these were. Raises UsageError if there is none of them, or if all are undone.
        """
        count = 0
        with self._changing():
            edit = kept.edit_of_number(self._writer, number)
            while edit and (batch := kept.edits_of_batch(self._writer, edit.batch, _BATCH)):
                self._undo(batch, by)
                count += len(batch)
            if not count:
                raise _not_undoable(number)
        return count

    def _undo(self, edits: Sequence[MadeEdit], by: str) -> None:
        rows = {edit.row: None for edit in edits}
        before = editable_rows(self._writer, rows)
        when = datetime.now(UTC).timestamp()
        self._writer.executemany(
            statements.UNDO_EDITS,
            [
                {"of_row": edit.row, "at_position": edit.position, "first": edit.number, "who": by, "when": when}
                for edit in edits
            ],
        )
        left = kept.edits_of_rows(self._writer, as_list(rows))
        self._rows.judge([one._replace(texts=left[row].texts if row in left else {}) for row, one in before.items()])

    def made_together(self, edit: MadeEdit) -> int:
        """Return how many edits were made together with one, itself included, as far as they are not undone."""
        with self._shown() as store:
            if edit.batch not in self._batch_lengths:
                self._batch_lengths[edit.batch] = kept.length_of_batch(store, edit.batch)
            return self._batch_lengths[edit.batch]

    def accept_row(self, number: int, by: str) -> DraftRow:
        """Let a row that needed someone in the run that is repaired be sent as it is. Raises UsageError if it is none.

        What our own check finds wrong with it stays wrong.
        """
        with self._changing():
            found = editable_rows(self._writer, [number])
            texts = {row: one.texts for row, one in found.items()}
            if not kept.why_withheld(self._writer, self.columns, texts).get(number):
                raise UsageError(f"Row {number:,} was not refused.", remedy="Load the page again.")
            self._writer.execute(statements.ACCEPT, of_row=number, who=by, when=datetime.now(UTC).timestamp())
            self._rows.judge([*found.values()])
        return self._row_of(number)

    def _row_of(self, number: int) -> DraftRow:
        row = self.row(number)
        if row is None:
            raise DamagedStoreError(f"its row {number} is gone")
        return row

    def edits(self, *, after: int = 0, most: int = 100) -> tuple[MadeEdit, ...]:
        """Return edits by number, the undone ones included."""
        with self._shown() as store:
            return kept.edits_after(store, after, most)

    def digest(self) -> str:
        """Return SHA-256 (hex) over all requests that would be sent, in order: what an approval is for."""
        with self._changes, self._shown() as store:
            found = store.execute(statements.DRAFT_FACT, name=_DIGEST).fetchone()
            if found is not None:
                return str(found[0])
            digest = self.digest_of(store)
            with faults_named(self.folder / DRAFT):
                self._writer.execute(statements.SET_DRAFT_FACT, name=_DIGEST, value=digest)
            return digest

    def digest_of(self, store: Store) -> str:
        """Return the same of the rows of a run: that of this draft if it sends exactly what the draft would."""
        facts = self._facts
        digest = hashlib.sha256(msgspec.json.encode((facts.base_url, facts.endpoint)))
        for record in store.execute(statements.REQUESTS_IN_ORDER):
            digest.update(msgspec.json.encode(record))
        return digest.hexdigest()


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
    Earlier drafts of the upload are to be closed first.
    """
    folder = upload.path.parent
    path = folder / DRAFT
    _put_in_place(folder)

    def snapshot() -> Snapshot:
        return Snapshot(upload.path, upload.name, upload.stem, sha256_of(upload.path), upload.source_path)

    with ExitStack() as stack:
        opened = open_snapshot(snapshot, config, answers, layout)
        stack.callback(opened.table.close)
        with folder_faults(folder):
            for left in (draft_of(path), *companions(draft_of(path))):
                left.unlink(missing_ok=True)
            store = stack.enter_context(Store.draft(path))
            with faults_named(path), store.transaction():
                staged_at = datetime.now(UTC)
                for statement in statements.in_order("CREATE_DRAFT"):
                    store.execute(statement)
                _take_over_edits(path, opened.table.sheet, opened.table.columns, store)
                _keep_refusals(upload, store)
                staging = opened.staging(store, for_sending=True, progress=progress)
                staged = staging.stage()
                store.executemany(statements.SET_NAMED, (named_record(*entry) for entry in staging.names.entries))
                store.execute(statements.INDEX_DRAFT)
                RowLists(store, staged.columns).fill(row for row, _ in kept.edited_rows(store))
                facts = _DraftFacts(
                    __version__,
                    config.api.base_url,
                    _digest_of(config),
                    config.input,
                    encode_endpoint(opened.endpoint),
                    upload.path.name,
                    opened.snapshot.name,
                    opened.snapshot.stem,
                    opened.snapshot.sha256,
                    opened.snapshot.source_path,
                    opened.identity,
                    opened.table.parser.saved,
                    staging.date_orders,
                    staged.questions,
                    (*opened.table.notes,),
                    opened.table.in_order,
                    staged_at,
                )
                _set_fact(store, facts)
            store.close()
            _sync(draft_of(path))
            draft_of(path).rename(folder / _READY)
            sync_folder(folder)
            _put_in_place(folder)
    draft = Draft.open(folder, config)
    if draft is None:
        raise ResultsError(f"The draft {path} is gone.", remedy="Check the file again.")
    return draft


def _row(edit: CellEdit) -> int:
    return edit.row


def _not_undoable(number: int) -> UsageError:
    return UsageError(f"There is no edit {number:,} that could be undone.", remedy="Load the page again.")


def _put_in_place(folder: Path) -> None:
    """Put a draft that is complete into the place of an earlier one, which may have been begun by a killed process."""
    ready, path = folder / _READY, folder / DRAFT
    if not ready.exists():
        return
    with folder_faults(folder), FileLock(folder / _LOCK, mode=0o600):
        if ready.exists():
            for file in companions(path):  # of the earlier one, whose edits the new one has
                file.unlink(missing_ok=True)
            ready.replace(path)
            sync_folder(folder)


def _take_over_edits(path: Path, sheet: str | None, columns: Columns, store: Store) -> None:
    """Write the edits and refusals of an earlier draft, unless the rows are of another sheet."""
    with _opened_draft(path) as earlier:
        if earlier is None:
            return
        staged = converted(earlier.fact("staged"), StagedInput, "its table run")
        if staged.sheet == sheet and staged.columns.first_column == columns.first_column:
            kept.copy_edits(earlier.sqlite, store)


def _keep_refusals(upload: Upload, store: Store) -> None:
    """Write which rows the API refused in the run that is repaired, unless an earlier draft says so already."""
    if upload.repairs is None or store.execute(statements.ALL_REFUSALS).fetchone() is not None:
        return
    try:
        with opened_store(upload.repairs / DATABASE) as past:
            store.executemany(
                statements.ADD_REFUSAL,
                (
                    {"row": row.number, "problems": encode_problems(problems), "accepted_by": None, "accepted_at": None,
                     "by_cell": int(row.outcome.kind is OutcomeKind.INVALID)}
                    for row in past.rows(unsent(None), statements.ROWS_TO_FIX)
                    if row.outcome.kind in NEEDS_PERSON and (problems := _why_refused(row.outcome))
                ),
            )  # fmt: skip
    except FileNotFoundError as error:
        raise InputError(
            f"The run {upload.repairs.name}, whose rows are repaired here, is gone: which of them the API refused is "
            "not known.",
            remedy="Put its folder back, or upload its workbook as a file of its own.",
        ) from error


def _why_refused(outcome: Outcome) -> tuple[Problem, ...]:
    if outcome.kind is OutcomeKind.INVALID:
        return tuple(problem for problem in outcome.problems if problem.code not in _OF_OTHER_ROWS)
    return outcome.problems or (Problem(outcome.row, None, _REFUSED, "", outcome.message, outcome.advice),)


def _set_fact(store: Store, facts: _DraftFacts) -> None:
    told = msgspec.json.encode(facts, enc_hook=lambda section: section.model_dump(mode="json")).decode()
    store.execute(statements.SET_DRAFT_FACT, name=_FACTS, value=told)


def _facts_in(store: Store) -> _DraftFacts | None:
    """Return what a draft holds beside its rows; None of one that another version of the program has staged."""
    if store.fact("staged_by") != __version__:
        return None
    (text,) = store.execute(statements.DRAFT_FACT, name=_FACTS).fetchone() or (None,)
    try:
        return typed_json(text or b"", _DraftFacts, lambda section, value: section.model_validate(value))
    except (msgspec.MsgspecError, ValueError) as error:
        raise DamagedStoreError(f"{_TABLE} holds what is never written there ({error})") from error


@contextmanager
def _opened_draft(path: Path) -> Iterator[Store | None]:
    """Give the draft at a path for reading; None if there is none, or one of another format."""
    with ExitStack() as stack:
        store = None
        with suppress(FileNotFoundError, OtherFormatError):
            store = stack.enter_context(opened_store(path))
        yield store


def _digest_of(config: Config) -> str:
    endpoint = endpoint_for(config.api, config.input.constants)
    return hashlib.sha256(encode_endpoint(endpoint).encode()).hexdigest()


def _is_of(facts: _DraftFacts, config: Config) -> bool:
    """Whether this configuration would stage the same."""
    is_same = facts.base_url == config.api.base_url and facts.input == config.input
    return is_same and facts.description == _digest_of(config)


def _file_identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _sync(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())
