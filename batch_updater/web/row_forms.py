"""The grid in which people correct cells: what it shows of a draft, and what becomes of a form that comes back.

The page of a check and the page of a run show it. Nothing here knows HTTP. Every function may block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self
from urllib.parse import urlencode

import msgspec
from msgspec.structs import replace

from batch_updater.errors import UsageError
from batch_updater.loader.open_questions import readings
from batch_updater.loader.refusal import shown
from batch_updater.messages import counted
from batch_updater.questions import OF_COLUMNS, Answers, Choice
from batch_updater.records import Cause, MadeEdit, OutcomeKind, Problem
from batch_updater.reporter.cell_values import text_of_cell
from batch_updater.runs.draft import WAITS, CellEdit, Draft, DraftRow, Group

ROWS_OF_A_PAGE = 50
_CHOICES_LISTED = 100
"""Values that a select has: a longer list is slower to read than the value is to type."""
_LARGEST_NUMBER = 2**31
"""No row, column or edit has a higher one."""


class GridFilter(msgspec.Struct, frozen=True):
    """Which rows of an upload are shown, as an address says it."""

    cause: str | None = None
    after: int = -1
    """The row behind which the page begins."""
    row: int | None = None
    """One row alone, with all its cells."""
    asked_row: str = ""
    """What a person typed for it."""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Self:
        """Return what the query of an address says; numbers that are none count as absent."""
        asked = query.get("row", "").strip()
        after = number_in(query.get("after", ""))
        return cls(query.get("cause") or None, -1 if after is None else after, number_in(asked), asked)

    @property
    def query(self) -> str:
        """The same as the query of an address, with its question mark; '' if all rows are shown from the first on."""
        words = {"cause": self.cause, "after": self.after if self.after >= 0 else None, "row": self.row}
        stated = {name: value for name, value in words.items() if value is not None}
        return f"?{urlencode(stated)}" if stated else ""


def number_in(text: str) -> int | None:
    """Return the number of a row, column or edit that a text is; None if it is none."""
    digits = text.strip().replace(",", "")
    return (
        int(digits)
        if digits.isascii() and digits.isdecimal() and len(digits) < 12 and int(digits) < _LARGEST_NUMBER
        else None
    )


class NamedText(msgspec.Struct, frozen=True):
    """A cell to be read."""

    header: str
    address: str
    text: str


class CellForm(msgspec.Struct, frozen=True):
    """A cell that can be changed."""

    position: int
    header: str
    address: str
    text: str
    """What it shows now."""
    typed: str
    """What its input holds: `text`, unless what a person typed could not be kept."""
    problems: tuple[Problem, ...]
    choices: tuple[str, ...]
    """Values that are valid, the nearest first; () if they are unknown."""
    near: str
    """To what they are the nearest: the cell as it was when its row was first shown, so that their order stays."""
    edit: MadeEdit | None
    old: str
    """What it showed before `edit`."""
    together: int
    """How many cells were changed together with it, itself included, where it offers to undo them; else 0."""
    group: Group | None
    """All cells with the same problem, this one included; None if it is the only one, or another row offers it."""
    readings: tuple[Choice, ...]
    """How the whole column can be read instead."""
    same: int
    """How many rows of the column such an answer is about."""
    conflict: str
    """Who changed the cell meanwhile, and to what; '' if no one did."""


class RowForm(msgspec.Struct, frozen=True):
    """A row of the grid."""

    number: int
    record: tuple[NamedText, ...]
    """The cells that say which record it is about."""
    problems: tuple[Problem, ...]
    """Those of no cell that is among `cells`."""
    cells: tuple[CellForm, ...]
    others: tuple[NamedText, ...] | None
    """All other cells; None: not asked for."""
    is_good: bool
    may_be_accepted: bool
    """Whether it can be sent as it is, although the API refused it."""
    fault: str = ""
    """Why nothing of the form could be kept; '' if it could."""

    @property
    def state(self) -> str:
        """How the row is now, in a sentence."""
        if self.is_good:
            return f"Row {self.number} is good now."
        problems = [problem for cell in self.cells for problem in cell.problems] or list(self.problems)
        return f"Row {self.number} is not good yet: {problems[0].in_full}" if problems else ""

    @property
    def is_kept(self) -> bool:
        """Whether everything that was typed into it is kept."""
        return not self.fault and not any(cell.conflict for cell in self.cells)


class Grid(msgspec.Struct, frozen=True):
    """Some rows of an upload, and where their forms go."""

    page: str
    """Path of the page that shows it."""
    files: str
    """Path of the upload, below which the addresses of its forms are."""
    rows: tuple[RowForm, ...]
    total: int
    """How many rows all pages have."""
    next_page: str | None
    """Address of the next rows; None on the last page."""
    filter: GridFilter

    @property
    def first_page(self) -> str:
        """Address of the first rows."""
        return f"{self.page}{replace(self.filter, after=-1).query}"

    @property
    def is_one_row(self) -> bool:
        """Whether a person asked for one row."""
        return bool(self.filter.asked_row)

    def with_row(self, row: RowForm) -> Grid:
        """Return the grid with a row as it is now, in its place, whether or not it still needs someone."""
        rows = sorted([*(one for one in self.rows if one.number != row.number), row], key=lambda one: one.number)
        return replace(self, rows=tuple(rows))

    def row_action(self, number: int) -> str:
        """Return where the form of a row goes."""
        query = self.filter.query
        return f"{self.files}/rows/{number}{query}{self.on.replace('&', '&' if query else '?')}"

    @property
    def on(self) -> str:
        """What addresses of the upload end with where a run's page shows the grid."""
        return "&on=run" if self.page.startswith("/runs/") else ""


def grid_of(draft: Draft, causes: Sequence[Cause], shown_rows: GridFilter, *, page: str, files: str) -> Grid:
    """Return the rows that a page shows. `causes`: those of the summary, for how many rows have one."""
    forms = RowForms(draft, causes)
    if shown_rows.row is not None or shown_rows.asked_row:
        row = draft.row(shown_rows.row) if shown_rows.row is not None else None
        rows = (forms.of(row, is_whole=True),) if row else ()
        return Grid(page, files, rows, len(rows), None, shown_rows)
    listed = draft.grid(cause=shown_rows.cause, after=shown_rows.after, most=ROWS_OF_A_PAGE)
    rest = None
    if listed.next_after is not None:
        rest = f"{page}{replace(shown_rows, after=listed.next_after).query}"
    return Grid(page, files, tuple(map(forms.of, listed.rows)), listed.total, rest, shown_rows)


class RowInput(msgspec.Struct, frozen=True):
    """The form of a row as it came back; what it says of single cells is by their positions."""

    typed: Mapping[int, str]
    seen: Mapping[int, str]
    """What each cell showed when the page was made."""
    near: Mapping[int, str]
    same: Mapping[int, tuple[int, str, str]]
    """How many cells were like this one: count, code of the problem, value."""
    apply: int | None
    """Position of the cell whose value goes into all that are like it."""
    read: int | None
    """Position of the cell whose column is to be read in another way."""
    reading: int
    """In which of the ways that were offered."""
    undo: int | None
    """Number of the edit that is undone."""
    undo_all: int | None
    """Number of an edit that is undone with all that were made together with it."""
    accept: bool
    """Whether a row that the API refused is to be sent as it is."""

    @classmethod
    def of(cls, form: Mapping[str, str]) -> Self:
        """Return what a form says; fields that are none of ours are ignored."""

        def by_position(name: str) -> dict[int, str]:
            found = ((number_in(key.removeprefix(name)), text) for key, text in form.items() if key.startswith(name))
            return {position: form_text(text) for position, text in found if position is not None}

        same = {}
        for position, text in by_position("same-").items():
            count, code, value = (*text.split(":", 2), "", "")[:3]
            same[position] = (number_in(count) or 0, code, value)
        # What is typed beside a list wins over what is chosen in it.
        others = {position: text for position, text in by_position("other-").items() if text}
        read = number_in(form.get("read", ""))
        return cls(
            typed=by_position("cell-") | others,
            seen=by_position("seen-"),
            near=by_position("near-"),
            same=same,
            apply=number_in(form.get("apply", "")),
            read=read,
            reading=number_in(form.get(f"reading-{read}", "")) or 0,
            undo=number_in(form.get("undo", "")),
            undo_all=number_in(form.get("undo-all", "")),
            accept="accept" in form,
        )


def form_text(text: str) -> str:
    """Return a text as forms carry it: with plain line ends, and without what HTML and UTF-8 cannot hold."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\N{REPLACEMENT CHARACTER}")
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class RowChange:
    """What a person did to a row, as it is kept: edits, an undo, the same for a whole group of cells."""

    def __init__(self, draft: Draft, row: DraftRow, form: RowInput, by: str) -> None:
        self._draft = draft
        self._columns = draft.columns
        self._row = row
        self.form = form
        self._by = by
        self._field_at = {position: name for name, position in draft.columns.of_field.items()}
        self.conflicts: dict[int, str] = {}
        """Position -> what another person has made of the cell since the page was made."""
        self.groups: dict[int, Group] = {}
        """Position of a cell that was changed -> the cells that were like it."""
        self.said: list[str] = []
        """What was done, in sentences."""
        self.events: list[tuple[str, str]] = []
        """What was done and to what, for the list of who did what."""
        self.fault = ""
        """Why something could not be done; '' if all was."""
        self.answers: Answers | None = None
        """How a column is to be read from now on."""
        self.is_of_many = False
        """Whether other rows have changed, too: cells of theirs, or what is wrong with them."""

    @property
    def left(self) -> dict[int, str]:
        """What was typed and is not kept, by position."""
        is_left = set(self.form.typed) if self.fault else set(self.conflicts)
        return {position: text for position, text in self.form.typed.items() if position in is_left}

    @property
    def result(self) -> str:
        """What was done, and what could not be done, in sentences."""
        return " ".join(filter(None, [*self.said, *self.conflicts.values(), self.fault]))

    def save(self) -> None:
        """Keep it. A cell that another person has changed since the page was made keeps what they typed."""
        listed = self._listed()
        try:
            edits, group = self._edits(), self._filled_group()
            if group is not None:
                edits = [edit for edit in edits if edit.position != group.position]
            if edits:
                self._draft.edit(edits, self._by)
                for edit in edits:
                    old = text_of_cell(self._row.cells[edit.position])
                    self.events.append(
                        ("edited", f"{self._place(edit.position)}: {_quoted(old)} → {_quoted(edit.text)}")
                    )
            if self.form.undo is not None:
                self._undo(self.form.undo)
            if self.form.undo_all is not None:
                self._undo_all(self.form.undo_all)
            if self.form.accept and self._row.is_refused:
                self._accept()
            if group is not None:
                self._fill(group)
            if self.form.read is not None:
                self._read(self.form.read)
        except UsageError as error:
            self.fault = f"{error.message} {error.remedy}".strip()
        now = self._draft.row(self._row.number) or self._row
        is_alone = self._listed() - listed == bool(now.problems) - bool(self._row.problems)
        self.is_of_many = self.is_of_many or not is_alone

    def _listed(self) -> int:
        """Return how many rows need someone."""
        summary = self._draft.summary()
        return summary[OutcomeKind.INVALID] + summary[OutcomeKind.NOT_SENT]

    def _edits(self) -> list[CellEdit]:
        edits = []
        for position, text in self.form.typed.items():
            if position not in self._field_at:
                continue
            now = form_text(text_of_cell(self._row.cells[position]))
            seen = self.form.seen.get(position, now)
            if text not in {seen, now}:
                if group := self._group(position):
                    self.groups[position] = group
                if seen != now:
                    edit = self._row.edits.get(position)
                    who = f"{edit.by} changed this cell" if edit else "This cell was changed"
                    self.conflicts[position] = f"{who} to {_quoted(now)} meanwhile. Save again to replace that."
                else:
                    edits.append(CellEdit(self._row.number, position, text))
        return edits

    def _group(self, position: int) -> Group | None:
        """Return the cells like one: by its problem, or if it has none any more by what its form says it was."""
        field = self._field_at[position]
        for problem in self._row.problems:
            if problem.field == field:
                return self._draft.group(problem)
        count, code, value = self.form.same.get(position, (0, "", ""))
        return Group(field, position, code, value, count) if code else None

    def _edit_of_number(self, number: int) -> MadeEdit | None:
        """Return the last edit of a cell, if it has this number; else say why it cannot be undone."""
        edit = next((edit for edit in self._row.edits.values() if edit.number == number), None)
        if edit is None:
            self.fault = "That edit is undone already, or the cell was changed again."
        return edit

    def _undo(self, number: int) -> None:
        edit = self._edit_of_number(number)
        if edit is None:
            return
        self._draft.undo_edit(number, self._by)
        place, old = self._place(edit.position), _quoted(text_of_cell(edit.old))
        self.events.append(("undid an edit", f"{place}: {_quoted(edit.new)} → {old}"))
        self.said.append(f"{place} is {old} again.")

    def _undo_all(self, number: int) -> None:
        if self._edit_of_number(number) is not None:
            what, text = undo_together(self._draft, number, self._by)
            self.events.append((what, text))
            self.said.append(f"{text}.")
            self.is_of_many = True

    def _accept(self) -> None:
        row = self._draft.accept_row(self._row.number, self._by)
        if any(problem.code != WAITS for problem in row.problems):
            self.fault = "It cannot be sent as it is: it is the check that finds it wrong, not the API alone."
            return
        self.events.append(("accepted a row", f"{self._columns.row(self._row.number)} is sent as it is"))
        self.said.append("The row will be sent as it is.")

    def _filled_group(self) -> Group | None:
        """Return the cells that get what was typed into one of them; None if that was not asked for, or cannot be."""
        position = self.form.apply
        if position not in self._field_at or position in self.conflicts:
            return None
        group, text = self.groups.get(position) or self._group(position), self.form.typed.get(position)
        if group is None or text is None or text == group.value:
            self.fault = "Type or choose another value first: it goes into all cells like this one."
            return None
        return group

    def _fill(self, group: Group) -> None:
        text = self.form.typed[group.position]
        count = self._draft.edit_group(group, text, self._by, row=self._row.number)
        cells = f"{counted(count, 'cell')} of {self._columns.header_of(group.field)}"
        self.events.append(("edited", f"{cells}: {_quoted(group.value)} → {_quoted(text)}"))
        self.said.append(f"{cells} {'is' if count == 1 else 'are'} {_quoted(text)} now.")
        self.is_of_many = True

    def _read(self, position: int) -> None:
        field = self._field_at.get(position)
        choices = [
            choice
            for problem in self._row.problems
            if problem.field == field
            for choice in readings(problem, self._columns.names[position])
        ]
        if self.form.reading < len(choices):
            self.answers = choices[self.form.reading].answers

    def _place(self, position: int) -> str:
        return self._columns.short_place(self._row.number, self._field_at[position])


def undo_together(draft: Draft, number: int, by: str) -> tuple[str, str]:
    """Undo all edits that were made together with one; return what was done and to what, for the list of events.

    Raises UsageError if all of them are undone.
    """
    count = draft.undo_batch(number, by)
    return "undid edits", f"{counted(count, 'edit')} made together {'is' if count == 1 else 'are'} undone"


def _quoted(text: str) -> str:
    return shown(text, quoted=True) if text else "blank"


class RowForms:
    """Makes forms of the rows of one page."""

    def __init__(self, draft: Draft, causes: Sequence[Cause]) -> None:
        self._draft = draft
        self._columns = columns = draft.columns
        self._field_at = {position: name for name, position in columns.of_field.items()}
        self._selecting = [
            columns.of_field[field.name]
            for field in draft.endpoint.fields
            if field.selects_record and field.name in columns.of_field
        ]
        self._rows_of_cause = {cause.text: cause.count for cause in causes}
        self._offered: set[tuple[str | None, str, str]] = set()
        """Field, code and value of the cells that a row above offers to change together."""
        self._undoable: set[int] = set()
        """Batches of edits that a row above offers to undo."""
        self._open = {
            (name, header)
            for question in draft.questions
            for choice in question.choices
            for name in OF_COLUMNS
            for header in getattr(choice.answers, name)
        }
        """Answers about columns that are wanting, or were refused on purpose: name and header."""
        for name in OF_COLUMNS:
            answers = getattr(draft.answers, name)
            self._open |= {(name, header) for header, answer in answers.items() if answer == "none"}

    def of(self, row: DraftRow, *, is_whole: bool = False, change: RowChange | None = None) -> RowForm:
        """Return the form of a row; `change`: what was just done to it."""
        of_cells: dict[int, list[Problem]] = {}
        of_row = []
        for problem in row.problems:
            position = self._columns.of_field.get(problem.field or "")
            if position is None:
                of_row.append(problem)
            else:
                of_cells.setdefault(position, []).append(problem)
        positions = {*of_cells, *row.edits, *(change.conflicts if change else ())}
        if not of_cells and any(problem.code != WAITS for problem in of_row):
            positions |= set(self._field_at)
        others = None
        if is_whole:
            hidden = {*positions, *self._selecting}
            others = tuple(self._text(row, at) for at in range(len(self._columns.headers)) if at not in hidden)
        return RowForm(
            number=row.number,
            record=tuple(self._text(row, position) for position in self._selecting),
            problems=tuple(of_row),
            cells=tuple(
                self._cell(row, position, tuple(of_cells.get(position, ())), change)
                for position in sorted(positions & set(self._field_at))
            ),
            others=others,
            is_good=not row.problems and not row.is_refused,
            may_be_accepted=row.is_refused and not row.is_wrong,
            fault=change.fault if change else "",
        )

    def _text(self, row: DraftRow, position: int) -> NamedText:
        return NamedText(self._header(position), self._address(row, position), text_of_cell(row.cells[position]))

    def _header(self, position: int) -> str:
        return " ".join(self._columns.headers[position].split()) or f"column {self._columns.letters(position)}"

    def _address(self, row: DraftRow, position: int) -> str:
        cell = self._columns.cell(row.number, self._field_at.get(position))
        return cell or f"{self._columns.letters(position)}{row.number}"

    def _cell(self, row: DraftRow, position: int, problems: tuple[Problem, ...], change: RowChange | None) -> CellForm:
        text = form_text(text_of_cell(row.cells[position]))
        near = change.form.near.get(position, text) if change else text
        as_first_shown = replace(row, cells=(*row.cells[:position], near, *row.cells[position + 1 :]))
        edit, ways = row.edits.get(position), self._readings(problems, position)
        group = change.groups.get(position) if change else None
        if group is None and problems and not ways:
            group = self._group(problems[0])
        return CellForm(
            position=position,
            header=self._header(position),
            address=self._address(row, position),
            text=text,
            typed=change.left.get(position, text) if change else text,
            problems=problems,
            choices=self._draft.choices(as_first_shown, self._field_at[position])[:_CHOICES_LISTED],
            near=near,
            edit=edit,
            old=text_of_cell(edit.old) if edit else "",
            together=self._together(edit) if edit else 0,
            group=group,
            readings=ways,
            same=self._rows_of_cause.get(problems[0].cause(self._columns), 1) if ways else 0,
            conflict=change.conflicts.get(position, "") if change else "",
        )

    def _group(self, problem: Problem) -> Group | None:
        """Return the cells with the same problem, unless a row above offers to change them."""
        key = (problem.field, problem.code, problem.value)
        if key in self._offered:
            return None
        self._offered.add(key)
        return self._draft.group(problem)

    def _together(self, edit: MadeEdit) -> int:
        """Return how many edits were made together with one, unless it is alone, or a row above offers to undo them."""
        if edit.batch in self._undoable:
            return 0
        self._undoable.add(edit.batch)
        count = self._draft.made_together(edit)
        return count if count > 1 else 0

    def _readings(self, problems: Sequence[Problem], position: int) -> tuple[Choice, ...]:
        """Return how the column of a cell can be read, if that is open or was left so on purpose."""
        header = self._columns.names[position]
        for problem in problems:
            ways = readings(problem, header)
            if any((name, header) in self._open for way in ways for name in OF_COLUMNS if getattr(way.answers, name)):
                return ways
        return ()
