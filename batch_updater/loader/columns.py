"""Header row -> fields: which column holds which field of the endpoint, and what is wrong with the header row."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import Final, NamedTuple

import msgspec

from batch_updater.endpoint.description import Endpoint, Kind, ParameterLocation
from batch_updater.endpoint.open_columns import field_of, opened
from batch_updater.errors import InputError, Location
from batch_updater.loader.column_values import ColumnValues, KnownNames
from batch_updater.loader.header_words import IDENTIFIER_WORDS, each_spelled_in, stem, words
from batch_updater.loader.open_headers import near_described_field, possible_columns, why_no_column
from batch_updater.loader.proposals import HeaderNames, Proposals, told_apart
from batch_updater.loader.refusal import shown
from batch_updater.loader.requirements import always_needed
from batch_updater.questions import (
    NO_ANSWERS,
    Answers,
    Choice,
    HeaderRowError,
    OpenQuestionsError,
    Question,
    QuestionKind,
    SampledColumn,
)
from batch_updater.records import Cell, Columns, column_letters, distinct_headers
from batch_updater.text.spelling import nearest

_FAULTS_NAMED = 100
"""Of a header row; one with more is none."""
_HEADERS_NAMED = 8
_NOTED = 10
_ANSWERS = "Correct the header row, or say by option what these columns are:"
_NO_COLUMN = "Correct the option, or leave it out."
_NOT_SENT = 'Without --map "HEADER=FIELD" for it, such a column is not sent.'
_REMEMBER = (
    "To keep the answers for all files with these headers, give the options to `batch-updater columns FILE "
    "--save NAME`; to keep them for every file, name the headers in the configuration, under input.columns."
)
_OTHER_FIELDS = 20
"""That are offered for a column beside those that it may be meant for."""
_CHOICES_LISTED = 8
"""Where nothing says which field a column is."""
_COLUMNS_OFFERED = 20
"""For a field that no column feeds."""
_FIELDS_NAMED = 4
_FIELDS_LISTED = 40
"""Of those of which a file needs one."""
_VALUES_SHOWN = 3
_IDENTIFIER_STEMS = frozenset(map(stem, IDENTIFIER_WORDS))
_NO_AMOUNTS = _IDENTIFIER_STEMS | frozenset(
    map(stem, ("phone", "telephone", "tel", "mobile", "fax", "zip", "postal", "postcode", "plz", "sku", "ean", "year"))
)
"""Words, by their stems, of columns whose long numbers are no amounts."""


class HeaderRow(msgspec.Struct, frozen=True, dict=True):
    """The header row as the file holds it."""

    file: str
    sheet: str | None
    number: int
    """Row of the sheet."""
    first_column: int
    """0-based column of `texts[0]`: those before it are ours."""
    texts: tuple[str, ...]
    """From `first_column` to the last one that is not blank."""
    width: int
    """Cells of the row from `first_column` on, blank ones at its end included."""
    below: tuple[Sequence[Cell], ...] = ()
    """The first few hundred rows below it that are not blank, from `first_column` on."""
    ours: range = range(0)
    """Positions of the columns that an annotated copy has for us: they are not sent, whatever fields there are."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What options and answers call the columns: their headers, numbered where several are the same."""
        return distinct_headers(self.texts)

    def columns_called(self, headers: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return which columns people mean by some headers, of those that are there: header -> names.

        Without a number it is every column with that header.
        """
        return {
            header: tuple(name for name, text in zip(self.names, self.texts, strict=True) if spelled in {name, text})
            for header, spelled in each_spelled_in((*self.names, *self.texts), headers).items()
        }

    def is_theirs(self, position: int) -> bool:
        """Whether a header is there that is not ours."""
        return position not in self.ours and bool(self.texts[position].strip())

    def address(self, position: int) -> str:
        """Return the address of one header, such as `F1`."""
        return f"{column_letters(self.first_column + position)}{self.number}"

    @property
    def holds_values(self) -> bool:
        """Whether it rather is a record than headers: a cell is a date or a number."""
        cells = [ColumnValues((text,)) for at, text in enumerate(self.texts) if self.is_theirs(at)]
        return any(cell.are_dates or cell.are_numbers for cell in cells)

    def first_values(self, position: int) -> tuple[str, ...]:
        """Return what the first three cells of a column that are not blank show."""
        cells = (shown(cells[position]) for cells in self.below if position < len(cells))
        return tuple(islice(filter(str.strip, cells), _VALUES_SHOWN))

    @property
    def contents(self) -> str:
        """What it holds, in words."""
        texts = [shown(text, quoted=True) for text in self.texts if text.strip()]
        more = f" and {len(texts) - _HEADERS_NAMED:,} more" if len(texts) > _HEADERS_NAMED else ""
        return ", ".join(texts[:_HEADERS_NAMED]) + more


class ToldOfColumns(msgspec.Struct, frozen=True):
    """What options, answers and the layout of a file say of its columns."""

    fields: Mapping[str, str | None] = {}
    """Header -> field, or None for a column that is not sent."""
    given: Answers = NO_ANSWERS
    """What a person has said: a header row without one of the headers in it does not fit."""
    added: frozenset[str] = frozenset()
    """Headers that the layout does not know: what they are is asked, likely or not."""
    layout: str = ""
    """How messages call the layout, if there is one."""

    def is_of_layout(self, row: HeaderRow, position: int) -> bool:
        """Whether the layout says which field a column is, and no person has said otherwise."""
        given = {column for columns in row.columns_called(self.given.columns).values() for column in columns}
        return bool(self.layout) and row.names[position] in self.fields.keys() - given

    def of_row(self, row: HeaderRow) -> dict[str, str | None]:
        """Return the fields by the names of columns of a header row."""
        called = row.columns_called(self.fields)
        return {column: name for header, name in self.fields.items() for column in called.get(header, ())}


NOTHING_TOLD: Final = ToldOfColumns()


class _Match(NamedTuple):
    """What the headers are, by position."""

    field_at: dict[int, str]
    several: dict[int, tuple[str, ...]]
    """Columns that may be several fields."""
    unknown: list[int]


class _Fault(NamedTuple):
    sentence: str
    cell: str | None = None
    question: Question | None = None
    """What would settle it; None if only another header row does."""
    meant: tuple[str, ...] = ()
    """Fields that the column may be meant for: they are not also said to be missing."""


def no_names() -> tuple[()]:
    """Return that no names are known."""
    return ()


def fit_columns(
    row: HeaderRow,
    endpoint: Endpoint,
    further: Mapping[str, str | None],
    constants: Collection[str],
    names: KnownNames = no_names,
    told: ToldOfColumns = NOTHING_TOLD,
) -> Columns:
    """Find the field that each column holds.

    `further` are more headers that are understood, as in `input.columns`: header -> field, or None for a column that is
    not sent. `constants` are the fields that need no column; `told` is what was said of this file's. Raises InputError
    with all faults.
    """
    known = HeaderNames(endpoint, further, told.of_row(row))
    match = _Match({}, {}, [])
    for position, text in enumerate(row.texts):
        meanings = known.meanings(text, row.names[position]) if row.is_theirs(position) else (None,)
        if len(meanings) > 1:
            match.several[position] = tuple(name for name in meanings if name is not None and name in endpoint.by_name)
        elif not meanings:
            match.unknown.append(position)
        elif meanings[0] is not None:
            match.field_at[position] = meanings[0]
    # From here on the columns of open parts are fields as all others.
    endpoint = opened(endpoint, [*match.field_at.values(), *filter(None, known.further.values()), *constants])
    known = known.with_fields_of(endpoint)
    faults = []
    for header, name in known.further.items():
        if name is not None and name not in endpoint.by_name:
            close = nearest(name, endpoint.by_name)
            sentence = f"input.columns says that {header!r} is {name!r}, which is no field."
            faults.append(_Fault(sentence + (f" Did you mean {close!r}?" if close else "")))
    ask = _HeaderQuestions(row, endpoint, {*match.field_at.values(), *constants})
    named = told.given.named_headers
    for header in sorted(named - row.columns_called(named).keys()):
        question = ask.of_option(header, told.given)
        faults.append(_Fault(question.evidence, question=question))
    faults += _header_faults(row, known, match, constants, names, told)
    asked = {fault.cell for fault in faults}
    for position in match.unknown:
        if row.names[position] in told.added and row.address(position) not in asked:
            sentence = f"{shown(row.names[position], quoted=True)} is not in the {told.layout}."
            question = ask.of_column(position, (), sentence)
            meant = tuple(name for choice in question.choices for name in choice.answers.columns.values() if name)
            faults.append(_Fault(sentence, row.address(position), question, meant))
    in_doubt = {name for fault in faults for name in fault.meant}
    asked = {fault.cell for fault in faults}
    unknown = [at for at in match.unknown if row.address(at) not in asked]
    missing = list(_missing(row, endpoint, unknown, {*match.field_at.values(), *in_doubt, *constants}))
    faults += missing
    if faults:
        only = [one.question.choices[0] for one in missing if one.question and len(one.question.choices) == 1]
        settled = told.added.union(*(choice.answers.columns for choice in only))
        left = ask.of_others([at for at in unknown if row.names[at] not in settled])
        raise _error(row, faults, left, match)
    return Columns(
        headers=row.texts,
        first_column=row.first_column,
        of_field={name: position for position, name in match.field_at.items()},
        not_sent=tuple(text for position, text in enumerate(row.texts) if text and position not in match.field_at),
        header_row=row.number,
        first_values=tuple(map(row.first_values, range(len(row.texts)))),
        notes=tuple(islice(_notes(row, endpoint, constants, match), _NOTED)),
    )


class _HeaderQuestions:
    """Makes the questions about the columns of one header row."""

    def __init__(self, row: HeaderRow, endpoint: Endpoint, fed: Collection[str]) -> None:
        self._row = row
        self._endpoint = endpoint
        self._free = [field for field in endpoint.fields if field.name not in fed]

    def of_column(self, at: int, names: Sequence[str], evidence: str) -> Question:
        """Ask which field a column is; `names` are the likely ones, the likeliest first."""
        header, values = self._row.names[at], ColumnValues.of(self._row.below, at)
        others = [field.name for field in self._free if field.name not in names and not values.contradict(field)]
        fields = [self._field(header, name) for name in (*names, *others[:_OTHER_FIELDS])]
        fields.insert(len(names), Choice("not sent", Answers(columns={header: None})))
        begins = f"It begins with {self._first_values(values)}." if values.cells else "It holds nothing."
        return Question(
            QuestionKind.COLUMN, f"Which field is {self.column(at)}?", f"{evidence} {begins}".strip(), tuple(fields),
            likely=len(names) + 1 if names else _CHOICES_LISTED,
        )  # fmt: skip

    def of_doubled(self, name: str, positions: Sequence[int]) -> Question:
        """Ask which of several columns holds a field."""
        names = self._row.names
        # What was said of a header without a number is said of no column any more, once one of them is chosen.
        chosen: dict[int, dict[str, str | None]] = {
            at: {names[at]: name} if names[at] != self._row.texts[at] else {} for at in positions
        }
        choices = tuple(
            Choice(
                f"{self.column(at)}, which begins with {self._first_values(ColumnValues.of(self._row.below, at))}",
                Answers(columns={names[other]: None for other in positions if other != at} | chosen[at]),
            )
            for at in positions
        )
        text = f"Which column is {self._titled(name)}? No other is sent."
        return Question(QuestionKind.COLUMN, text, "", choices)

    def of_field(self, name: str, positions: Sequence[int]) -> Question | None:
        """Ask which column holds a field that every row needs; None if there is none that may."""
        field = self._endpoint.field(name)
        values = {at: ColumnValues.of(self._row.below, at) for at in positions}
        possible = [at for at in positions if values[at].cells and not values[at].contradict(field)]
        likely = [at for at in possible if not (field.kind is Kind.INTEGER and values[at].are_amounts)]
        choices = tuple(
            Choice(
                f"{self.column(at)}, which begins with {self._first_values(values[at])}",
                Answers(columns={self._row.names[at]: name}),
            )
            for at in (likely or possible)[:_COLUMNS_OFFERED]
        )
        text = f"Which column is {self._titled(name)}, which every row needs?"
        return Question(QuestionKind.COLUMN, text, "", choices, likely=None if likely else 0) if choices else None

    def of_option(self, header: str, given: Answers) -> Question:
        """Ask which column an option is about that names none: the one with the nearest header, if there is one."""
        close = nearest(header, self._row.names)
        sentence = f"There is no column {header!r}, of which an option or answer says something."
        choices = [Choice("none: what it says is passed over", NO_ANSWERS)]
        if close:
            sentence += f" Did you mean {close!r}?"
            choices.insert(0, Choice(self.column(self._row.names.index(close)), given.only(header, close)))
        return Question(
            QuestionKind.COLUMN, f"Which column is meant by {header!r}?", sentence, tuple(choices),
            likely=len(choices) - 1, mistyped=header,
        )  # fmt: skip

    def of_others(self, positions: Sequence[int]) -> Question | None:
        """Ask whether columns without a sign of what they are may be left out; None if there is nothing to ask."""
        filled = [at for at in positions if ColumnValues.of(self._row.below, at).cells]
        if not filled or not self._free:
            return None
        these, are = ("this column is", "it is") if len(filled) == 1 else ("these columns are", "they are")
        what = f"Nothing says which field {'it is' if len(filled) == 1 else 'they are'}:"
        return Question(
            QuestionKind.COLUMN,
            f"Is it right that {these} not sent?",
            f"{possible_columns(self._endpoint.opens)} {what}".lstrip(),
            (
                Choice(f"yes, {are} not sent", Answers(columns={self._row.names[at]: None for at in filled})),
                Choice(
                    "no: ask which fields they are" if len(filled) > 1 else "no: ask which field it is",
                    NO_ANSWERS,
                    tuple(self.of_column(at, (), "") for at in filled),
                ),
            ),
            likely=0,
            listed={self._row.names[at]: self.column(at) for at in filled},
        )

    def column(self, at: int) -> str:
        """Return how messages call a column."""
        return f"{self._row.address(at)} ({shown(self._row.texts[at], quoted=True)})"

    def _titled(self, name: str) -> str:
        field = field_of(self._endpoint, name)
        return name if field is None or field.title == name else f"{name} ({field.title})"

    def _field(self, header: str, name: str) -> Choice:
        return Choice(self._titled(name), Answers(columns={header: name}))

    def _first_values(self, values: ColumnValues) -> str:
        return ", ".join(shown(cell, quoted=True) for cell in dict.fromkeys(values.cells[:_VALUES_SHOWN]))


def _header_faults(
    row: HeaderRow,
    known: HeaderNames,
    match: _Match,
    constants: Collection[str],
    names: KnownNames,
    told: ToldOfColumns,
) -> Iterator[_Fault]:
    """Yield what is wrong with headers, or open: which field is meant is never guessed."""
    fed = {*match.field_at.values(), *constants}
    ask = _HeaderQuestions(row, known.endpoint, fed)
    for position, meant in match.several.items():
        text, free = row.texts[position], [name for name in meant if name not in fed]
        fields = [known.endpoint.field(name) for name in meant]
        free.sort(key=lambda name: not known.endpoint.field(name).required)
        apart = told_apart(fields, ColumnValues.of(row.below, position))
        sentence = f"{shown(text, quoted=True)} could be {' or '.join(meant)}, which are different fields. {apart}"
        question = ask.of_column(position, free, sentence.rstrip())
        yield _Fault(sentence.rstrip(), row.address(position), question, meant)
    for name in dict.fromkeys(match.field_at.values()):
        doubled = [at for at, other in match.field_at.items() if other == name]
        if len(doubled) > 1:
            sentence = f"{name} has more than one column: {' and '.join(map(ask.column, doubled))}."
            if all(told.is_of_layout(row, at) for at in doubled):
                sentence = f"{sentence[:-1]}, as the {told.layout} says."
            yield _Fault(sentence, row.address(doubled[0]), ask.of_doubled(name, doubled))
    yield from _slips(row, known, match, fed, ask)
    proposals = Proposals(known, fed, row.below, names)
    for position in match.unknown:
        proposal = proposals.of(row.texts[position], position)
        if proposal is None:
            if why := why_no_column(known.endpoint, row.texts[position]):
                yield _Fault(why, row.address(position), ask.of_column(position, (), why))
            continue
        first, free = proposal.fields[0], [name for name in proposal.fields if name not in fed]
        sentence = proposal.sentence
        if not free:
            at = next((position for position, name in match.field_at.items() if name == first), None)
            how = "is set for every row" if at is None else f"has the column {ask.column(at)}"
            sentence += f" {first} {how} already."
        question = ask.of_column(position, free, sentence)
        if not free:  # it can hardly be anything else
            question = msgspec.structs.replace(question, likely=1)
        yield _Fault(sentence, row.address(position), question, proposal.fields)
    for position, name in match.field_at.items():
        if name in constants:
            sentence = (
                f"{name} is set for every row (by --set or input.constants), but the file has a column for it too."
            )
            question = Question(
                QuestionKind.COLUMN, f"Is {ask.column(position)} to be left out?", sentence,
                (Choice("yes, it is not sent", Answers(columns={row.names[position]: None})),),
            )  # fmt: skip
            yield _Fault(sentence, row.address(position), question)


def _slips(
    row: HeaderRow, known: HeaderNames, match: _Match, fed: Collection[str], ask: _HeaderQuestions
) -> Iterator[_Fault]:
    """Yield the headers of free maps that are close to a described member, unless a person has said what they mean."""
    for position, name in match.field_at.items():
        text = row.texts[position]
        if known.is_told(text, row.names[position]):
            continue
        if meant := near_described_field(known.endpoint, name, fed):
            sentence = f"{shown(text, quoted=True)} is close to {meant}, but may be another member."
            question = ask.of_column(position, (meant, name), sentence)
            yield _Fault(sentence, row.address(position), question, (meant, name))


def _missing(row: HeaderRow, endpoint: Endpoint, unknown: Sequence[int], known: Collection[str]) -> Iterator[_Fault]:
    """Yield the fields without a column that a row needs; `unknown` are the columns that may be they."""
    ask = _HeaderQuestions(row, endpoint, known)
    for field in endpoint.fields:
        if field.required and field.name not in known:
            same = f", or give all rows the same value with --set {field.name}={field.example or 'VALUE'}"
            if field.location is ParameterLocation.PATH:  # which record a row is about is the row's own
                same = ""
            sentence = f"There is no column {field.name}, which every row needs. Add one{same}."
            yield _Fault(sentence, question=ask.of_field(field.name, unknown))
    for name, needed in always_needed(endpoint, known):
        question = ask.of_field(name, unknown) if needed else None
        yield _Fault(f"There is no column {name}, which every row needs. Add one.", question=question)
    body = [field.name for field in endpoint.body_fields]
    if endpoint.has_body and not any(name in known for name in body):
        listed = ", ".join([*body[:_FIELDS_LISTED], *(["..."] if len(body) > _FIELDS_LISTED else [])])
        sentence = f"There is no column to update from. {f'Add at least one of: {listed}.' if body else ''}"
        sentence = " ".join(filter(None, (sentence.strip(), possible_columns(endpoint.opens))))
        question = ask.of_column(unknown[0], (), "") if unknown else None
        yield _Fault(sentence, question=question)


def _notes(row: HeaderRow, endpoint: Endpoint, constants: Collection[str], match: _Match) -> Iterator[str]:
    """Yield a sentence for each unknown header that has a word of a mapped field, or amounts that no column feeds."""
    passed_over = _IDENTIFIER_STEMS | {stem(word) for word in words(endpoint.record_name)}
    stems = {name: {stem(word) for word in words(name)} - passed_over for name in match.field_at.values()}
    amounts = [field.name for field in endpoint.body_fields if field.kind is Kind.DECIMAL]
    if not {*match.field_at.values(), *constants}.isdisjoint(amounts):
        amounts = []
    for position in match.unknown:
        own = {stem(word) for word in words(row.texts[position])}
        akin = [f"{name} ({row.address(at)})" for at, name in match.field_at.items() if stems[name] & own]
        if amounts and own.isdisjoint(_NO_AMOUNTS) and ColumnValues.of(row.below, position).are_amounts:
            more = " or ..." if len(amounts) > _FIELDS_NAMED else ""
            why = f", although it holds numbers and no column is {' or '.join(amounts[:_FIELDS_NAMED])}{more}."
        elif akin:
            why = f". It shares a word with {', '.join(akin)}."
        else:
            continue
        yield f"{shown(row.texts[position], quoted=True)} ({row.address(position)}) is not sent{why}"


def _error(row: HeaderRow, all_faults: Sequence[_Fault], left: Question | None, match: _Match) -> InputError:
    """Return what is wrong with the header row; `left` is asked as well where everything else can be asked."""
    has_fields = bool(match.field_at)
    faults = all_faults[:_FAULTS_NAMED]
    sentences = [f"Cell {fault.cell}: {fault.sentence}" if fault.cell else fault.sentence for fault in faults]
    sheet = f', sheet "{row.sheet}"' if row.sheet else ""
    subject = f"The header row of {row.file}{sheet} (row {row.number:,}: {row.contents})"
    if len(sentences) == 1:
        message = [f"{subject} does not fit: {sentences[0]}"]
    else:
        message = [f"{subject} has {len(all_faults):,} problems:", *(f"  {one}" for one in sentences)]
        if more := len(all_faults) - len(faults):
            message.append(f"  and {more:,} more.")
    questions = () if row.holds_values and not has_fields else tuple(one.question for one in faults if one.question)
    place = Location(row.file, row.sheet, next((fault.cell for fault in faults if fault.cell), None))
    of_columns = [line for question in questions if not question.mistyped for line in question.lines]
    of_options = [line for question in questions if question.mistyped for line in question.lines]
    remedies = [_ANSWERS, *(f"    {line}" for line in of_columns)] if of_columns else []
    if any(question.mistyped for question in questions):
        remedies += ["Correct the option:", *(f"    {line}" for line in of_options)] if of_options else [_NO_COLUMN]
    if of_columns or left:
        remedies += [f"{left.full_evidence} {_NOT_SENT}", _REMEMBER] if left else [_REMEMBER]
    columns = tuple(_sampled(row, match, questions))
    if len(questions) == len(all_faults):
        every_question = (*questions, left) if left else questions
        return OpenQuestionsError(message, every_question, remedy=remedies, place=place, columns=columns)
    if not questions:
        remedies = [
            "Correct the header row." if has_fields else "Put the names of the fields into a row above the values."
        ]
    return HeaderRowError(message, questions, columns, remedy=remedies, place=place)


def _sampled(row: HeaderRow, match: _Match, questions: Sequence[Question]) -> Iterator[SampledColumn]:
    """Yield the columns that have a header, each with the field that it is, or that alone is likely."""
    asked = {header for question in questions for choice in question.choices for header in choice.answers.columns}
    likely: dict[str, str | None] = {}
    for proposal in (question.proposal for question in questions):
        for header, name in proposal.answers.columns.items() if proposal else ():
            likely[header] = None if header in likely else name
    fields = [*match.field_at.values(), *likely.values()]
    for position, header in enumerate(row.names):
        if row.is_theirs(position):
            name = likely.get(header) if header in asked else match.field_at.get(position)
            only = name if fields.count(name) == 1 else None  # of two columns for one field neither is likelier
            letters = column_letters(row.first_column + position)
            yield SampledColumn(header, letters, only, row.first_values(position))
