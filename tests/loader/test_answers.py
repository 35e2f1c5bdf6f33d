"""Answers come by option, by question and by layout: however they come, the rows are read in the same way."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from msgspec import structs

from batch_updater.cli.commands import _answers
from batch_updater.cli.parser import parse
from batch_updater.config.loading import config_from
from batch_updater.errors import ConfigError, InputError
from batch_updater.loader.header_words import squeezed
from batch_updater.loader.open_questions import settled_questions
from batch_updater.questions import (
    ALL_COLUMNS,
    NO_ANSWERS,
    OF_COLUMNS,
    Answers,
    HeaderRowError,
    OpenQuestionsError,
    typed,
)
from batch_updater.runs.layouts import read_layouts, write_layout
from batch_updater.runs.plan import prepare
from batch_updater.runs.rows import PLANNED
from tests.loader.described import workbook
from tests.loader.header_files import opened, write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batch_updater.config.schema import Config
    from batch_updater.questions import Question
    from batch_updater.runs.plan import Plan

HEADERS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12).filter(
    str.strip
)
ORDERS, YEARS, MARKS = st.sampled_from(["DMY", "MDY"]), st.integers(1900, 2100), st.sampled_from([".", ","])
TEXTS = HEADERS.filter(lambda text: "=" not in text)
FIELDS = st.sampled_from(["OpportunityId", "StageName", None])


def of_columns(answers: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return answers about some columns, one of them perhaps about all."""
    return st.dictionaries(HEADERS | st.just(ALL_COLUMNS), answers, max_size=2)


ANY = st.builds(
    Answers,
    sheet=st.none() | HEADERS, header_row=st.none() | st.integers(1, 99), columns=st.dictionaries(HEADERS, FIELDS),
    date_order=of_columns(ORDERS), two_digit_years=of_columns(YEARS), decimal=of_columns(MARKS),
    clear_marker=of_columns(TEXTS), hidden_rows=st.sampled_from([None, "send", "leave out"]),
    rows_below=st.sampled_from([None, "leave out", "judge"]),
)  # fmt: skip
ODD = [
    "-x",
    "--map",
    " a b ",
    "=",
    "a=b",
    "it's",
    'say "so"',
    "$HOME",
    "`x`",
    "!",
    "\\",
    "Größe",
    "📈 Deal",
    "\u202e",
    "\t",
]


@pytest.mark.parametrize("header", ODD)
def test_odd_headers_can_be_typed(header: str) -> None:
    """What a shell or an option gives a meaning to is quoted, so that the command line says the same."""
    answers = Answers(sheet=header, columns={header: "StageName"}, decimal={header: ","})
    assert _answers(parse(["check", "c.csv", *in_bash(typed(answers))])) == answers


@given(ANY)
@settings(max_examples=60, deadline=None)
def test_the_options_of_answers_give_the_same_answers(answers: Answers) -> None:
    """Any header, sheet or text survives being typed into a shell."""
    assert _answers(parse(["check", "c.csv", *in_bash(typed(answers))])) == answers


def in_bash(command: str) -> list[str]:
    """Return the words that bash makes of a command line."""
    script = f"printf '%s\\0' {command}" if command else ":"
    return subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout.decode().split("\0")[:-1]


IN_A_WORKBOOK = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn", "Co"]), min_size=1, max_size=12).filter(
    str.strip
)
CELLS: dict[str, list[list[object]]] = {
    "id": [[5, 6, 7, 8, 9]],
    "amount": [["1.500", "2.500", "3", "4", "5"], ["1.500", "2,25", "3", "4", "5"], [1, 2, 3, "4,5", "6,500"]],
    "day": [["03/04/2026", "05/06/2026"], ["13/04/2026", "05/06/2026"], ["03/04/26", "04/05/26"], ["13 Jan 26", "x"]],
    "name": [["#clear", "#clear", "a b", "c d", "e f"], ["a", "b", "c", "d", "e"]],
}


def wanted(headers: Sequence[str]) -> dict[str, str | None]:
    """Return what the columns are meant to be."""
    fields = ("OpportunityId", "SalesRevenue", "PendingCloseDate", "OpportunityName", None)
    return dict(zip(headers, fields, strict=True))


class Person:
    """Answers questions: about columns as intended, about everything else as drawn."""

    def __init__(self, data: st.DataObject, columns: Mapping[str, str | None]) -> None:
        self._data = data
        self._columns = columns

    def answers(self, questions: Sequence[Question], answers: Answers = NO_ANSWERS) -> Answers:
        for whole in questions:
            question = whole.left_by(answers)
            if question is None:
                continue
            intended = [
                choice
                for choice in question.choices
                if choice.answers.columns and choice.answers.columns.items() <= self._columns.items()
            ]
            choices = intended or [choice for choice in question.choices if not choice.answers.columns]
            assume(choices)
            choice = self._data.draw(st.sampled_from(choices))
            answers = self.answers(choice.then, choice.answers.with_more(answers))
        return answers


def judged(plan: Plan) -> list[Any]:
    """Return what each row comes to, and which columns are which fields."""
    with plan.store:
        rows = [(row.number, row.is_good and row.job, row.outcome.problems) for row in plan.store.rows(PLANNED)]
    return [plan.staged.sheet, plan.staged.columns.of_field, plan.staged.rows, plan.staged.good, *rows]


@given(st.data())
@settings(
    max_examples=20, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)  # fmt: skip
def test_options_questions_and_layouts_give_the_same_jobs(data: st.DataObject) -> None:
    """Whatever the headers are called and whatever is chosen."""
    headers = data.draw(st.lists(IN_A_WORKBOOK, min_size=5, max_size=5, unique_by=squeezed))
    columns: list[list[object]] = [data.draw(st.sampled_from(cells)) for cells in CELLS.values()]
    rows: list[list[object]] = [["Changes of March"]] if data.draw(st.booleans()) else []
    rows.append([*headers])
    rows += [[*(column[at % len(column)] for column in columns), "me"] for at in range(5)]
    rows += [["Total", 15]] if data.draw(st.booleans()) else []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = workbook(folder / "c.xlsx", {"Notes": [["Ask Dana"]], "Data": rows})
        config = config_from({"input": {"constants": {"opportunityType": "Pre"}}}, {})
        person, answers, plan = Person(data, wanted(headers)), NO_ANSWERS, None
        for _ in range(8):
            try:
                plan = prepare(path, config, new(folder), answers=answers, compares=True)
            except OpenQuestionsError as error:
                answers = answers.with_more(person.answers(error.questions))
                continue
            except InputError:
                break
            if not plan.staged.questions:
                break
            plan.store.close()
            answers = answers.with_more(person.answers(plan.staged.questions))
        assume(plan is not None and not plan.staged.questions)
        assert plan is not None
        by_question = judged(plan)
        by_option = _answers(parse(["check", "c.xlsx", *in_bash(typed(answers))]))
        assert judged(prepare(path, config, new(folder), answers=by_option, compares=True)) == by_question
        assert judged(by_layout(path, config, folder, plan)) == by_question


def new(folder: Path) -> Path:
    """Return a folder for one more copy of the input."""
    return Path(tempfile.mkdtemp(dir=folder))


def by_layout(path: Path, config: Config, folder: Path, plan: Plan) -> Plan:
    """Prepare the file with a layout alone that another plan has left."""
    layouts = folder / "layouts"
    written = plan.layout("kept")
    path_written = write_layout(layouts, written)
    assert read_layouts(layouts).layouts == (structs.replace(written, file=str(path_written)),)
    here = config.model_copy()
    here._folder = folder  # as of a configuration that lies there
    again = prepare(path, here, new(folder), compares=True)
    assert again.staged.layout == "kept"
    return again


def test_an_answer_about_a_header_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A slip in an option is no answer; the message names the header that is near."""
    path = write(tmp_path / "c.csv", [["Id", "Type", "Close date"], [5, "Pre", "13/01/2026"]])
    with pytest.raises(InputError, match="Did you mean 'Close date'"):
        opened(path, answers=Answers(date_order={"Closing date": "DMY"}, columns={"Close date": "PendingCloseDate"}))


def test_an_answer_may_spell_a_header_otherwise(tmp_path: Path) -> None:
    """Case, blanks and `_` do not matter, as long as one header is meant."""
    path = write(tmp_path / "c.csv", [["Id", "Type", "Close Date"], [5, "Pre", "01/02/2026"]])
    given = Answers(columns={"close_date": "PendingCloseDate"}, date_order={"CLOSE DATE": "MDY"})
    assert opened(path, answers=given).answers.date_order == {"Close Date": "MDY"}


def test_an_answer_about_one_column_is_not_about_another(tmp_path: Path) -> None:
    """Even if the headers differ by a blank alone."""
    path = write(tmp_path / "c.csv", [["Id", "Type", "StageName", "Stage Name"], [5, "Pre", "Won", "Lost"]])
    assert opened(path, answers=Answers(columns={"StageName": None})).columns.of_field["StageName"] == 3
    assert opened(path, answers=Answers(columns={"Stage Name": None})).columns.of_field["StageName"] == 2


@pytest.mark.parametrize(("name", "remedy"), [("StagName", "Did you mean 'StageName'?"), ("xyz", "Fields are: ")])
def test_a_field_that_is_none_is_refused(tmp_path: Path, name: str, remedy: str) -> None:
    """The message says that it was the option that named it."""
    path = write(tmp_path / "c.csv", [["Id", "Type", "Deal"], [5, "Pre", "Won"]])
    with pytest.raises(InputError) as raised:
        opened(path, answers=Answers(columns={"Deal": name}))
    assert raised.value.message == f"--map Deal={name} names no field."
    assert raised.value.remedy.startswith(remedy)


@pytest.mark.parametrize("name", ["opportunityType", "OPPORTUNITYTYPE", "Type", "type", "opportunity_type"])
def test_a_field_is_named_by_its_name_an_alias_or_the_title(tmp_path: Path, name: str) -> None:
    """As headers are understood, in upper or lower case; the layout has the name of the field."""
    path = write(tmp_path / "c.csv", [["Id", "Kind", "StageName"], [5, "Pre", "Won"]])
    table = opened(path, answers=Answers(columns={"Kind": name}))
    assert table.columns.of_field["opportunityType"] == 1
    assert table.answers.columns == {"Kind": "opportunityType"}


def test_a_constant_is_named_by_an_alias_too(tmp_path: Path) -> None:
    """As a column is."""
    path = write(tmp_path / "c.csv", [["Id", "StageName"], [5, "Won"]])
    assert [row.values["opportunityType"] for row in opened(path, constants={"type": "Pre"}).rows()] == ["Pre"]
    with pytest.raises(ConfigError, match="name opportunityType more than once, as 'Type' too"):
        opened(path, constants={"opportunityType": "Pre", "Type": "Post"})


def test_two_spellings_of_one_field_are_no_contradiction(tmp_path: Path) -> None:
    """One of them names it by an alias."""
    path = write(tmp_path / "c.csv", [["Id", "Kind", "StageName"], [5, "Pre", "Won"]])
    answers = Answers(columns={"Kind": "Type", "kind": "opportunityType"})
    assert opened(path, answers=answers).columns.of_field["opportunityType"] == 1


def test_a_row_that_a_person_has_chosen_is_not_asked_about_again(tmp_path: Path) -> None:
    """Although another row looks more like a header row, the questions are then about the columns of the chosen one."""
    path = write(tmp_path / "c.csv", [["Deal", "Kind", "Stage"], ["Id", "Type", "StageName"], [5, "Pre", "Won"]])
    with pytest.raises(OpenQuestionsError, match="is not the header row"):
        opened(path)
    with pytest.raises(OpenQuestionsError) as raised:
        opened(path, answers=Answers(header_row=1))
    assert {question.kind for question in raised.value.questions} == {"column"}


def questions_about(path: Path, **answers: Any) -> OpenQuestionsError:
    with pytest.raises(OpenQuestionsError) as raised:
        opened(path, answers=Answers(**answers))
    return raised.value


def test_questions_about_columns_come_with_all_columns(tmp_path: Path) -> None:
    """A form needs each column with its letters, its first three filled cells and the field that alone is likely."""
    rows: list[list[object]] = [["Id", "Type", "Stagename*", "Notes"], [5, "Pre", "Won", None], [6, "Pre", None, "a"]]
    rows += [[7, "Post", "Lost", None], [8, "Post", "Won", "b"]]
    found = questions_about(write(tmp_path / "c.csv", rows)).columns
    assert [(one.header, one.letters, one.field) for one in found] == [
        ("Id", "A", "OpportunityId"), ("Type", "B", "opportunityType"), ("Stagename*", "C", "StageName"),
        ("Notes", "D", None),
    ]  # fmt: skip
    assert [one.first_values for one in found] == [
        ("5", "6", "7"), ("Pre", "Pre", "Post"), ("Won", "Lost", "Won"), ("a", "b"),
    ]  # fmt: skip


def test_no_field_is_proposed_where_two_columns_or_two_fields_may_be_meant(tmp_path: Path) -> None:
    """Which of two columns holds a field, and which of two fields a column is, is left to the person."""
    doubled = questions_about(write(tmp_path / "a.csv", [["Id", "Type", "StageName", "Stage Name"], [5, "Pre", 1, 2]]))
    assert [one.field for one in doubled.columns] == ["OpportunityId", "opportunityType", None, None]
    either = questions_about(write(tmp_path / "b.csv", [["Type", "opportunity id", "StageName"], ["Pre", 5, "x"]]))
    assert [one.field for one in either.columns] == ["opportunityType", None, "StageName"]


def test_a_fitting_file_tells_three_values_of_each_column(tmp_path: Path) -> None:
    """Where nothing is asked, a form shows the same of the columns as they are read."""
    path = write(tmp_path / "c.csv", [["Id", "", "Type", "StageName"], [5, "x", "Pre", None], [6, "x", "Pre", "Won"]])
    assert [(one.header, one.letters, one.field, one.first_values) for one in opened(path).columns.sampled] == [
        ("Id", "A", "OpportunityId", ("5", "6")), ("Type", "C", "opportunityType", ("Pre", "Pre")),
        ("StageName", "D", "StageName", ("Won",)),
    ]  # fmt: skip


def test_sheets_and_header_rows_are_offered_with_their_first_rows(tmp_path: Path) -> None:
    """What a sheet or a row holds is what a person decides by."""
    sheets: dict[str, Sequence[Sequence[object]]] = {
        "May": [["Id", "Type", "StageName"], [5, "Pre", "Won"]],
        "June": [["Id", "Type", "StageName"], [6, "Pre"]],
    }
    (question,) = questions_about(workbook(tmp_path / "c.xlsx", sheets)).questions
    assert [choice.first_rows[1] for choice in question.choices] == [("5", "Pre", "Won"), ("6", "Pre")]
    titled = write(tmp_path / "d.csv", [["Pipeline of May"], ["Id", "Type", "StageName"], [5, "Pre", "Won"]])
    question, *_ = questions_about(titled).questions
    assert question.choices[0].first_rows == (("Id", "Type", "StageName"), ("5", "Pre", "Won"))


@given(answers=ANY)
def test_every_answer_about_cells_and_rows_can_be_given_otherwise(answers: Answers) -> None:
    """What was answered about a column or all rows is one choice of its question."""
    for name in OF_COLUMNS:
        answers = answers.without(name, [ALL_COLUMNS])
    asked = list(settled_questions(answers, "#CLEAR"))
    said = NO_ANSWERS
    for question in asked:
        standing = [choice for choice in question.choices if answers.with_more(choice.answers) == answers]
        assert len(standing) == 1
        said = said.with_more(standing[0].answers)
    kept = structs.replace(answers, sheet=None, header_row=None, columns={})
    assert said == kept


def test_a_column_that_is_hardly_the_needed_one_can_be_chosen_all_the_same(tmp_path: Path) -> None:
    """Where no other may be it; it is not listed where it cannot be asked."""
    values = [[5_000, "Pre", "Won"], [12_000, "Pre", "Won"], [12_000, "Pre", "Won"]]
    path = write(tmp_path / "c.csv", [["Deal", "Type", "StageName"], *values])
    (question,) = questions_about(path).questions
    assert (question.text, question.lines) == (
        "Which column is OpportunityId (opportunity number), which every row needs?",
        [],
    )
    assert opened(path, answers=question.choices[0].answers).columns.of_field["OpportunityId"] == 0


def test_a_header_row_about_which_nothing_can_be_asked_comes_with_its_columns(tmp_path: Path) -> None:
    """A person may know better what they are."""
    path = write(tmp_path / "c.csv", [["Label", "Type", "StageName"], ["D-101", "Pre", "Won"]])
    with pytest.raises(HeaderRowError, match="There is no column OpportunityId") as raised:
        opened(path)
    assert [(one.header, one.field) for one in raised.value.columns] == [
        ("Label", None), ("Type", "opportunityType"), ("StageName", "StageName"),
    ]  # fmt: skip
