"""The records that travel between the stages: all frozen, none of them knows a stage.

They are structs, which are made in a quarter of the time that a named tuple takes, and read in half of it. Named tuples
are left where they are taken apart, or stored in order.

A fault in a *row* is data (`Problem`, `Outcome`); an exception means that the program cannot go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from itertools import zip_longest
from typing import Annotated, NamedTuple, TypeAlias

import msgspec

from batch_updater.questions import Question, SampledColumn


class CellError(msgspec.Struct, frozen=True):
    """A cell without a value of its own: an error, a formula saved without its result, no number where one belongs."""

    code: str
    """`error-cell`, `formula-without-value`, `stale-formula`, `no-value`, `hidden-text`, `text-shown-otherwise`,
    `merged-cell`, `missing-cell` or `surplus-cell`."""
    text: str
    """What the cell shows: `#N/A`, `=A1+B1`; a hidden text itself."""


class ShownAs(Enum):
    """How a format shows a number that it does not show as it is."""

    IN_CURRENCY = "as it is, with a currency beside it"
    OTHER_TEXT = "the same number in other characters: 00123"
    EXPONENT = "the same number with an exponent: 1.2E+03"
    ROUNDED = "without some digits behind its decimal point"
    UNSIGNED = "in a colour instead of its minus sign"
    OTHERWISE = "another number, or no number: 40%, 1/2, #123"
    NOTHING = "not at all"


class FormattedNumber(msgspec.Struct, frozen=True):
    """A number that its format shows otherwise: 123 as `00123` or `OPP-123`, 0.4 as `40%`, 5 as `$5.00`.

    What the eye sees and what the cell holds are two readings.
    """

    number: int | Decimal
    text: str
    """What the cell shows, without marks between groups of digits; where it shows just the number, that."""
    format: str
    """The number format that shows it so, as Excel writes formats."""
    effect: ShownAs = ShownAs.OTHER_TEXT
    currency: str = ""
    """Sign, code or word of the currency that its format shows; '' if it shows none."""


DIGITS_OF_A_CELL = 15
"""Significant digits of a number that Excel keeps and shows; those behind them are what its arithmetic leaves over."""


def digits_of_double(value: float) -> Decimal:
    """Return a finite double of a sheet as the digits that Excel shows at most; a larger whole number in full."""
    if abs(value) >= 10**DIGITS_OF_A_CELL:
        return Decimal(repr(value).removesuffix(".0"))
    return Decimal(format(value, f".{DIGITS_OF_A_CELL}g"))


class PartlyShownDate(date):
    """A date of which its format does not show everything."""

    hidden: str
    """What it does not show: `day`, `day and month`, `century` ...; `date` where it shows a time of day alone."""

    @classmethod
    def of(cls, day: date, hidden: str) -> PartlyShownDate:
        """Return a date with what is not shown of it."""
        made = cls(day.year, day.month, day.day)
        made.hidden = hidden
        return made


class PartlyShownDateTime(datetime):
    """A moment within a day of which its format does not show everything."""

    hidden: str
    """What it does not show: `time of day`, `date`, `day`, `month`, `year` ..."""

    @classmethod
    def of(cls, moment: datetime, hidden: str) -> PartlyShownDateTime:
        """Return a moment with what is not shown of it."""
        made = cls.combine(moment.date(), moment.time())
        made.hidden = hidden
        return made


Cell: TypeAlias = str | int | Decimal | bool | date | datetime | time | timedelta | FormattedNumber | CellError | None
"""A cell as the file holds it. None is blank; a number with a fraction is a Decimal of the at most 15 digits that
Excel shows of the file's number; CSV knows only text and blank."""

Value: TypeAlias = str | int | Decimal | bool | date | None
"""A field's value as it is sent. None clears the field (JSON null); what is not sent has no value at all."""

MARK_PROPERTY = "batch-updater"
"""Custom document property of a workbook that this program wrote: `results`, `check`, `template` or `undo`.

With `undo-` before them the first two belong to a workbook that undoes a run. In an annotated copy, `annotated` follows
or is alone."""
ANNOTATED_MARK = "annotated"
ANNOTATION_COLUMNS = ("Outcome", "What is wrong", "What to do")
"""Headers of the columns that an annotated copy has to the right of the data."""
TO_FIX = "To fix"
"""Sheet of a results workbook that is read when it comes back."""
TO_FIX_COLUMNS = ("Row", "Outcome", "What is wrong", "What to do")
"""Headers of the first columns of `TO_FIX`, which are ours and not the input's."""
ALL_ROWS = "All rows"
"""Sheet of a results workbook with every row."""
TEMPLATE_SHEET = "Data"
"""Sheet of a template that is read when it comes back."""
SETTINGS_SHEET = "Settings"
"""Sheet of a results workbook that holds the mapping, besides the configuration."""
ORIGIN_SETTING = "origin"
"""Name of the setting that says where the rows of `TO_FIX` come from: an `Origin` in JSON."""
MAPPED_HEADER = "column: "
"""What the name of a setting begins with that says what a header means; the header follows."""
NOT_SENT = "not sent"
"""What the mapping says of a column that is not sent."""
NOT_EXACT_MARK = "[not exact] "
"""What a cell that a sheet cannot hold exactly begins with in a workbook of ours; refused when it comes back."""


class Row(msgspec.Struct, frozen=True):
    """One data row of the file, unchanged."""

    number: int
    """The row's number as Excel shows it, from 1."""
    cells: tuple[Cell, ...]
    """As many cells as the header row has, the first one in column `Columns.first_column`."""


def column_letters(index: int) -> str:
    """Return the letters of a 0-based column as Excel shows them: 0 is A, 26 is AA."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def distinct_headers(headers: Sequence[str]) -> tuple[str, ...]:
    """Return what tells columns apart: their headers, numbered where several are the same: `Price #1`, `Price #2`."""
    count, mark = Counter(headers), " #"
    while any(f"{header}{mark}" in other for header, times in count.items() if times > 1 for other in count):
        mark += "#"
    seen = Counter[str]()
    names = []
    for header in headers:
        seen[header] += 1
        is_alone = count[header] == 1 or not header.strip()
        names.append(header if is_alone else f"{header}{mark}{seen[header]}")
    return tuple(names)


def annotation_at(headers: Sequence[str]) -> int | None:
    """Return at which of the headers of an annotated copy our columns begin; None if they have gone."""
    width = len(ANNOTATION_COLUMNS)
    starts = range(len(headers) - width, -1, -1)
    return next((at for at in starts if tuple(headers[at : at + width]) == ANNOTATION_COLUMNS), None)


class MappedColumn(NamedTuple):
    """One line of the mapping table."""

    header: str
    """Numbered where several columns have the same."""
    first_value: str
    """What the first cell that is not blank shows; '' if the first few hundred are blank."""
    field: str | None
    """None: the column is not sent."""

    @property
    def meaning(self) -> str:
        """The field, or that the column is not sent."""
        return self.field or NOT_SENT


class Origin(msgspec.Struct, frozen=True):
    """The first file of rows that come back on the sheet `To fix`, through any number of rounds."""

    run: Annotated[str, msgspec.Meta(pattern=r"^([0-9]{8}-[0-9]{6}-[^/\\]+)?$")]
    """Name of the folder of its run; '' if it has only been checked."""
    file: str
    """Its name, without folders."""
    stem: str
    """What the names of its results begin with."""
    last_row: Annotated[int, msgspec.Meta(ge=0, le=2**30)]
    """Number of its last row. Rows that were added on `To fix` have higher ones."""
    next_row: Annotated[int, msgspec.Meta(ge=0, le=2**30)]
    """Number of the next row that is added."""
    letters: Mapping[str, Annotated[str, msgspec.Meta(pattern="^[A-Z]{1,3}$")]]
    """Field -> letters of its column."""
    rows: Annotated[str, msgspec.Meta(pattern=r"^([0-9]{1,10}(-[0-9]{1,10})?(,(?!$)|$))*$")] = ""
    """Numbers of the rows that the sheet had when it was written, `3-7,9`; '' where they are too many to be listed."""


class Columns(msgspec.Struct, frozen=True):
    """What the header row says: which column holds which field."""

    headers: tuple[str, ...]
    """The headers as the file holds them, one for each cell of a `Row`; a blank header is ''."""
    first_column: int
    """0-based column of the sheet where `headers[0]` stands; 0 unless the sheet does not start at A."""
    of_field: Mapping[str, int]
    """Field name -> position in `headers`. Fields that a constant fills are absent."""
    not_sent: tuple[str, ...]
    """Headers of the columns that are carried into the results but not sent."""
    header_row: int = 1
    """The row of the sheet in which the headers are."""
    first_values: tuple[tuple[str, ...], ...] = ()
    """What the first three filled cells of each column show, as far as the columns have headers."""
    notes: tuple[str, ...] = ()
    """What a person should know about the headers."""
    origin: Origin | None = None
    """Where the rows come from that have come back in a results workbook; their numbers are those that they have
    there."""

    @property
    def names(self) -> tuple[str, ...]:
        """What options and answers call the columns: their headers, numbered where several are the same."""
        return distinct_headers(self.headers)

    @property
    def mapping(self) -> tuple[MappedColumn, ...]:
        """The mapping table: every column with a header, in the order of the file."""
        return tuple(
            MappedColumn(column.header, "".join(column.first_values[:1]), column.field) for column in self.sampled
        )

    @property
    def sampled(self) -> tuple[SampledColumn, ...]:
        """The mapping table with three values of each column."""
        field_at = {position: name for name, position in self.of_field.items()}
        return tuple(
            SampledColumn(header, self.letters(position), field_at.get(position), tuple(values))
            for position, (header, values) in enumerate(zip_longest(self.names, self.first_values, fillvalue=""))
            if header.strip()
        )

    def letters(self, position: int) -> str:
        """Return the letters of a column of the sheet that is read."""
        return column_letters(self.first_column + position)

    def cell(self, row: int, field: str | None) -> str | None:
        """Return the address of a field's cell as Excel shows it: `F14`; None if the field has no column.

        Of a row that has come back it is the one in its first file: `F14 of q1.xlsx`.
        """
        position, origin = self.of_field.get(field or ""), self.origin
        if position is None or field is None:
            return None
        if origin is None:
            return f"{self.letters(position)}{row}"
        if row > origin.last_row:
            return f"new row {row:,}"
        return (
            f"{origin.letters[field]}{row} of {origin.file}" if field in origin.letters else f"new column, row {row:,}"
        )

    def row(self, number: int) -> str:
        """Return what messages call a row: `row 14`, or if it has come back `row 14 of q1.xlsx` or `new row 302`."""
        if self.origin is None:
            return f"row {number:,}"
        return f"new row {number:,}" if number > self.origin.last_row else f"row {number:,} of {self.origin.file}"

    def column(self, field: str) -> str:
        """Return what messages call the column of a field: `column G`, or that of the first file: `... of q1.xlsx`."""
        if self.origin is None:
            return f"column {self.letters(self.of_field[field])}"
        letters = self.origin.letters.get(field)
        return f"column {letters} of {self.origin.file}" if letters else "new column"

    def header_of(self, field: str) -> str:
        """Return what the person calls a field: its header on one line, or its own name if it has no column."""
        position = self.of_field.get(field)
        return field if position is None else " ".join(self.headers[position].split())

    def called(self, field: str) -> str:
        """Return the header of a field, and its own name behind it where that is another: `Close date (closeDate)`."""
        header = self.header_of(field)
        return header if _bare(header) == _bare(field) else f"{header} ({field})"

    def place(self, row: int, field: str) -> str:
        """Return a field's cell in words, and the field where it has another name: `Close date (G74, field dueDay)`."""
        header, cell = self.header_of(field), self.cell(row, field)
        names = [cell] if cell else []
        names += [f"field {field}"] if _bare(header) != _bare(field) else []
        return f"{header} ({', '.join(names)})" if names else header

    def short_place(self, row: int, field: str) -> str:
        """Return a field's cell in words where the field need not be named: `Close date (G74)`."""
        header, cell = self.header_of(field), self.cell(row, field)
        return f"{header} ({cell})" if cell else header


def _bare(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))


class HiddenRows(msgspec.Struct, frozen=True):
    """Data rows that the sheet does not show."""

    count: int
    numbers: str
    """The first of them in words: `row 3`, `rows 3-7, 9 and more`."""

    @property
    def counted(self) -> str:
        """How many they are: `1 row`, `12 rows`."""
        return "1 row" if self.count == 1 else f"{self.count:,} rows"


class Unknown(NamedTuple):
    """A value that the API does not tell."""

    id: str
    """The id that it reports in place of the name; '' if it reports nothing."""


class FieldChange(NamedTuple):
    """A field that an update would change."""

    field: str
    now: object
    """As the API reports it; None if it is empty; Unknown if it cannot be told."""
    new: object
    """The value that is sent; a list or JSON as from_json returns it."""


class ExpectedValue(NamedTuple):
    """One field of one record, before and after a run that is undone."""

    field: str
    before_shown: str
    """As people read it: a name in place of an id if it is known; '' if the field was empty. So `left_shown`."""
    left_shown: str
    before: str
    """As the API reported it, in JSON. So `left`."""
    left: str


Expected: TypeAlias = Mapping[str, tuple[ExpectedValue, ...]]
"""Target, as in `Job.target` -> the values that are expected of its fields."""


class Problem(msgspec.Struct, frozen=True):
    """Why a row cannot be sent, or why the API refused it, as far as one cell (or the row) is to blame."""

    row: int
    field: str | None
    """Name of the field whose cell is wrong; None if the whole row is."""
    code: str
    """A short name of the kind of problem in lower-case words: `not-a-number`, `name-not-accepted`."""
    value: str
    """What the cell shows, shortened for reading; '' if there is no cell."""
    reason: str
    """A sentence that says what is wrong, with the value: "'Propsal' is not a stage that Nexus accepts."."""
    remedy: str
    """A sentence that says what to do: "Did you mean 'Proposal'?"."""

    def cause(self, columns: Columns) -> str:
        """Return under which name problems of the same kind are counted together."""
        words = self.code.replace("-", " ")
        return f"{columns.called(self.field)}: {words}" if self.field else words

    @property
    def in_full(self) -> str:
        """Reason and remedy as sentences: a reason in the words of an API may lack its full stop."""
        if not self.remedy:
            return self.reason
        return f"{self.reason}{'' if self.reason.endswith(('.', '!', '?')) else '.'} {self.remedy}"


class Job(msgspec.Struct, frozen=True):
    """One good row, ready to be sent."""

    row: int
    target: str
    """Which record the row updates, the same text for the same record: `itemId=123&kind=A`."""
    values: Mapping[str, Value]
    """Field name -> value, for the fields that are sent: of route, query and body."""
    maybe_applied: bool = False
    """Whether an earlier part of the run sent it without learning its outcome."""


class OutcomeKind(StrEnum):
    """Outcomes: exactly one of these for every data row."""

    UPDATED = "updated"
    UNCHANGED = "unchanged"
    DIFFERS = "differs"
    INVALID = "invalid"
    REJECTED = "rejected"
    FAILED = "failed"
    UNCONFIRMED = "unconfirmed"
    NOT_SENT = "not_sent"
    PLANNED = "planned"


class RecordSnapshots(msgspec.Struct, frozen=True):
    """A row's record as JSON texts, to tell what has changed, and to undo it."""

    before: str | None
    """The record before the update; None where it was not read."""
    asked: str | None
    """The body of the update, in its own format."""
    reported: str | None
    """The record that the API answered with; where it is too long to be kept, a text that says so."""


class Outcome(msgspec.Struct, frozen=True):
    """The outcome of one row."""

    row: int
    kind: OutcomeKind
    message: str = ""
    """What is wrong, in whole sentences; '' where nothing is."""
    advice: str = ""
    """What to do about it; '' where nothing is to be done."""
    cause: str = ""
    """Under which name rows with the same trouble are counted together; '' where nothing is wrong.
    Not used if there are `problems`, which carry their own."""
    problems: tuple[Problem, ...] = ()
    """The cells to blame, where they are known."""
    status: int | None = None
    """HTTP status of the last answer; None if there was none."""
    attempts: int = 0
    """Requests that went out for this row."""
    sent_at: datetime | None = None
    """When the first request went out, UTC."""
    seconds: float | None = None
    """From the first request to the last answer."""
    kept: RecordSnapshots | None = None
    """None where nothing was sent or read."""
    maybe_applied: bool = False
    """Whether an attempt may have been applied that was not confirmed, even where the row was refused in the end."""


class AttemptDetails(msgspec.Struct, frozen=True):
    """What is kept of an attempt at a row that did not succeed at once. No text in it holds a secret."""

    target: str
    method: str
    sent_at: datetime
    """UTC; where no connection was made, when it was tried."""
    wait_s: float
    """Since the attempt before it had ended; 0 for the first."""
    took_s: float
    message: str
    """What the answer says, or why there was none, in a sentence; '' if it is a success."""
    for_log: str
    """The same without what the cells of the row hold."""
    answer: str | None
    """The body of the answer, cut off where it is long; None without one, and of an answer that confirms the row."""


class Attempt(msgspec.Struct, frozen=True):
    """One request and what came of it."""

    row: int
    number: int
    """From 1, over all requests of the row in this part of the run."""
    status: int | None
    """None: no answer came."""
    seconds: float
    """Since the row's first request."""
    why: str
    details: AttemptDetails | None = None
    """None as long as all attempts at the row have gone well."""


class StopReason(StrEnum):
    """Why a run ended before every row had its turn."""

    CREDENTIALS = "credentials"
    QUOTA = "quota"
    ALL_ALIKE = "all_alike"
    FAILURES = "failures"
    SERVICE_DOWN = "service_down"
    MAX_WAIT = "max_wait"
    INTERRUPTED = "interrupted"
    LIMIT = "limit"
    WAITING = "waiting"
    DISK = "disk"


class Stop(msgspec.Struct, frozen=True):
    """Why a run ended before every row had its turn, in words."""

    reason: StopReason
    message: str
    """One sentence that says what happened."""
    advice: str
    """One sentence that says what to do."""


class AllowedValue(msgspec.Struct, frozen=True):
    """One name that the API accepts for a field, and the id it reports for it (None if unknown)."""

    name: str
    id: int | str | None


class AllowedList(msgspec.Struct, frozen=True):
    """The valid names of one field, as an answer of the API listed them."""

    field: str
    depends_on: tuple[tuple[str, str], ...]
    """What the list depends on: (field name, value as text), such as (("language", "1"),)."""
    values: tuple[AllowedValue, ...]
    seen: date | None = None
    """The day of that answer, of a list that earlier runs learned."""


class MadeEdit(msgspec.Struct, frozen=True):
    """A cell that a person has changed on the page, as it is kept."""

    number: int
    """From 1, over all edits of the upload."""
    row: int
    position: int
    """Of the column, in `Columns.headers`."""
    old: Cell
    """The cell before this edit."""
    new: str
    """What was typed; '' empties the cell."""
    by: str
    at: datetime
    """UTC."""
    is_undone: bool = False
    batch: int = 0
    """Number of the first edit that was made together with it; 0 where that does not matter."""


class ReportRow(msgspec.Struct, frozen=True):
    """A row and its outcome: what the reporter receives, in file order."""

    row: Row
    outcome: Outcome
    target: str = ""
    """Which record it is about; '' where that does not matter."""
    changes: tuple[FieldChange, ...] = ()
    """What it changes, or would; known only where the record was read."""
    is_repeated: bool = False
    """Whether another row changes the same record; told only where there are changes."""
    first_wrong: str = ""
    """What was wrong with it in the first round, if it has come back."""
    edits: tuple[MadeEdit, ...] = ()
    """What people have changed in it on the page, by time."""


class Setting(NamedTuple):
    """One line of the `Settings` sheet."""

    name: str
    value: str


class Invocation(msgspec.Struct, frozen=True):
    """The command line that starts a run, as far as it says what is read and how."""

    file: str
    """`-` is standard input."""
    config: str | None
    sheet: str | None
    constants: tuple[tuple[str, str], ...]
    """Field and value."""
    compare: bool = False
    is_default_config: bool = False
    """Whether the configuration was found in the folder where the program was started, and not named."""
    header_row: int | None = None
    visible_only: bool = False
    """Whether rows that the sheet does not show are left out."""
    annotate: bool = False
    """Whether an annotated copy is asked for."""
    options: tuple[str, ...] = ()
    """Further options, about how cells are read."""

    @property
    def again(self) -> tuple[str, ...]:
        """What starts the same again, after the program's name."""
        sheet = ("--sheet", self.sheet) if self.sheet is not None else ()
        header_row = ("--header-row", str(self.header_row)) if self.header_row is not None else ()
        compare = ("--compare",) if self.compare else ()
        visible_only = ("--visible-only",) if self.visible_only else ()
        annotate = ("--annotate",) if self.annotate else ()
        options = (*sheet, *header_row, *self._constants, *self.options, *compare, *visible_only, *annotate)
        return ("run", self.file, *self._config, *options)

    def repaired(self, workbook: str) -> tuple[str, ...]:
        """Return what runs the workbook of its results, after the program's name."""
        return ("run", workbook, *self._config, *self._constants)

    @property
    def _config(self) -> tuple[str, ...]:
        return ("--config", self.config) if self.config is not None else ()

    @property
    def _constants(self) -> tuple[str, ...]:
        return tuple(word for field, value in self.constants for word in ("--set", f"{field}={value}"))


class RunFacts(msgspec.Struct, frozen=True):
    """What a workbook says about the run besides its rows."""

    command: str
    """`run` or `check`."""
    input_path: str
    input_sha256: str
    sheet: str | None
    endpoint: str
    base_url: str | None
    started_at: datetime
    """UTC."""
    finished_at: datetime
    """UTC."""
    settings: tuple[Setting, ...]
    """The configuration without secrets, who ran it, on which machine."""
    run_folder: str | None = None
    requests: int = 0
    retries: int = 0
    stop: Stop | None = None
    allowed: tuple[AllowedList, ...] = ()
    notes: tuple[str, ...] = ()
    """What a person should know about how the file was read."""
    expected: Expected | None = None
    """What the records must still hold where the run undoes another one."""
    is_over_guard: bool = False
    """Of a check: whether a run would send nothing because of a guard."""
    invocation: Invocation | None = None
    """The command line that started the run, or that runs what was checked; None if a program started the run."""
    inbox: str | None = None
    """The inbox from which the unattended job took the file; None if it did not."""
    repeats: str | None = None
    """The folder of an earlier run that has applied the same rows; None if none has."""
    origin: Origin | None = None
    """Where the rows on the sheet `To fix` come from."""
    family: str = ""
    """What all rounds of the first file have come to; '' in the first one."""
    is_closed: bool = False
    """Whether a person closed the run, so that it is not resumed."""


class Cause(msgspec.Struct, frozen=True):
    """Rows with the same trouble."""

    text: str
    count: int
    """Rows that have it."""
    example_row: int
    """The first of them."""
    example_cell: str | None
    """Its faulty cell as Excel shows it; None if no cell is to blame."""
    example: str
    """What is wrong there, in words."""
    places: tuple[str, ...] = ()
    """Where it is, the first few: addresses of cells, or numbers of rows where no cell is to blame."""

    status: int | None = None
    """HTTP status of the answer to that row; None if there was none."""

    @property
    def where(self) -> str:
        """Where it is: `F14`, `I6, I17, I28 and 25 more`, `rows 4, 9`."""
        rows = "" if self.example_cell else "row " if self.count == 1 else "rows "
        more = self.count - len(self.places)
        return f"{rows}{', '.join(self.places)}{f' and {more:,} more' if more else ''}"

    @property
    def example_place(self) -> str:
        """Where it shows first: `F14 (row 14)`, `F14 of q1.xlsx`."""
        if self.example_cell and " " in self.example_cell:
            return self.example_cell
        return f"{self.example_cell} (row {self.example_row})" if self.example_cell else f"row {self.example_row}"

    @property
    def headline(self) -> str:
        """How many rows have it, and where: `3 x Size: not a number (B4, B7, B9)`."""
        return f"{self.count:,} x {self.text} ({self.where})"

    @property
    def as_line(self) -> str:
        """The same with what is wrong in the first of them."""
        return f"{self.headline}: {self.example}"


class StagedInput(msgspec.Struct, frozen=True):
    """What is known of an input once each of its rows was judged."""

    columns: Columns
    stated_width: int | None
    """Cells of the header row, blank ones at its end included, where a row of another length is a problem."""
    sheet: str | None
    """Name of the sheet that was read; None if the format has no sheets."""
    visible_only: bool
    """Whether rows that the sheet does not show are left out."""
    hidden_rows: HiddenRows
    """Rows that the sheet does not show, left out or not."""
    is_to_fix: bool
    """Whether it is the sheet of a results workbook from which rows are run again."""
    is_undo: bool
    """Whether it is a workbook that undoes a run."""
    notes: tuple[str, ...]
    """What a person should know about how the file was read."""
    rows: int
    """Data rows; blank ones are not counted."""
    good: int
    """Rows that can be sent as they are."""
    waiting: int
    """Rows without problems that wait for an earlier row of their target, which has some."""
    causes: tuple[Cause, ...]
    """What is wrong, the most common first."""
    sent: Mapping[str, int]
    """Field -> in how many good rows it is sent, cleared ones included."""
    cleared: Mapping[str, int]
    """Field -> in how many good rows it is cleared."""
    layout: str | None
    """Name of the remembered layout that the file has."""
    questions: tuple[Question, ...]
    """What the file leaves open; the cells concerned are problems until it is answered."""

    @property
    def invalid(self) -> int:
        """Rows that cannot be sent as they are."""
        return self.rows - self.good - self.waiting
