"""What a form shows of a file, and what the answers typed into it come to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import openpyxl
import pytest

from batch_updater.loader.open_questions import settled_questions
from batch_updater.questions import NO_ANSWERS, Answers, OpenQuestionsError
from batch_updater.web.answer_form import AnswerForm, FileAnswers
from tests.loader.described import workbook
from tests.loader.header_files import NEXUS, opened, write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def asked_about(path: Path, given: Answers = NO_ANSWERS) -> FileAnswers:
    """Return what the page knows of a file whose reading has ended with questions."""
    with pytest.raises(OpenQuestionsError) as raised:
        opened(path, answers=given)
    error = raised.value
    return FileAnswers(error.questions, error.columns, given, given, (), given.sheet, given.header_row)


def read_with(path: Path, given: Answers = NO_ANSWERS) -> FileAnswers:
    """Return what the page knows of a file that fits."""
    table = opened(path, answers=given)
    settled = tuple(settled_questions(table.answers, "#CLEAR"))
    return FileAnswers((), table.columns.sampled, given, table.answers, settled, table.sheet, table.columns.header_row)


def as_shown(form: AnswerForm) -> dict[str, str]:
    """Return what a browser sends if nothing is changed."""
    radios = {one.key: one.chosen for one in (*form.questions, *form.settled) if one.chosen}
    selects = {one.key: one.chosen for one in form.columns}
    return {
        **radios, **selects, "columns_digest": form.digest, "sheet": form.sheet, "header_row": form.header_row,
    }  # fmt: skip


def sent(file: FileAnswers, **changed: str) -> AnswerForm:
    """Fill in a form: `c2="=StageName"` is the third column."""
    typed = as_shown(AnswerForm(file, NEXUS))
    typed |= {name.replace("c", "c.", 1) if name[1:].isdigit() else name: value for name, value in changed.items()}
    return AnswerForm(file, NEXUS, typed)


def chosen(form: AnswerForm) -> Mapping[str, tuple[str, bool]]:
    return {one.column.header: (one.chosen, one.is_proposed) for one in form.columns}


def test_a_likely_field_is_chosen_and_marked_and_all_others_are_left_open(tmp_path: Path) -> None:
    """Which of several fields it is, is never guessed."""
    rows: list[Sequence[object]] = [["Id", "Type", "Stagename*", "Sales"], [5, "Pre", "Won", 12.5]]
    assert chosen(AnswerForm(asked_about(write(tmp_path / "a.csv", rows)), NEXUS)) == {
        "Id": ("=OpportunityId", False), "Type": ("=opportunityType", False), "Stagename*": ("=StageName", True),
        "Sales": ("=SalesRevenue", True),
    }  # fmt: skip
    either = write(tmp_path / "b.csv", [["opportunityid", "Type", "StageName"], [5, "Pre", "Won"]])
    assert chosen(AnswerForm(asked_about(either), NEXUS))["opportunityid"] == ("", False)
    doubled = write(tmp_path / "c.csv", [["Id", "Type", "StageName", "Stage Name"], [5, "Pre", "Won", "Lost"]])
    assert [value for value, _ in chosen(AnswerForm(asked_about(doubled), NEXUS)).values()][2:] == ["", ""]


def test_only_what_the_file_does_not_say_itself_is_an_answer(tmp_path: Path) -> None:
    """What was asked and what was changed; what a header says is left to the header."""
    path = write(tmp_path / "a.csv", [["Id", "Type", "Stagename*", "Notes"], [5, "Pre", "Won", "x"]])
    form = sent(asked_about(path))
    assert not form.errors
    assert form.answers == Answers(columns={"Stagename*": "StageName", "Notes": None})
    file = read_with(path, form.answers)
    assert sent(file).answers == form.answers
    assert sent(file, c3="=OpportunityName").answers.columns["Notes"] == "OpportunityName"


def test_a_field_has_one_column_and_every_column_an_answer(tmp_path: Path) -> None:
    """What is wrong is told at the column."""
    path = write(tmp_path / "a.csv", [["Id", "Type", "StageName", "Notes"], [5, "Pre", "Won", "x"]])
    form = sent(read_with(path), c3="=StageName")
    what = "StageName is chosen for C and D: a field has one column."
    assert form.errors == (("c.2", f"C, StageName: {what}"), ("c.3", f"D, Notes: {what}"))
    for value in ("", "=NoField", "NoField", "="):
        assert sent(read_with(path), c3=value).errors == (("c.3", "D, Notes: Choose a field, or not sent."),)


def test_a_question_without_a_likely_answer_has_to_be_answered(tmp_path: Path) -> None:
    """Which sheet is read is asked first, and nothing about columns with it."""
    sheets: dict[str, Sequence[Sequence[object]]] = {
        "May": [["Id", "Type", "StageName"], [5, "Pre", "Won"]],
        "June": [["Id", "Type", "StageName"], [6, "Pre"]],
    }
    file = asked_about(workbook(tmp_path / "a.xlsx", sheets))
    form = sent(file)
    (asked,) = form.questions
    assert (asked.chosen, asked.is_required, form.columns) == ("", True, ())
    assert form.errors == ((asked.key, "Which sheet is to be read? Choose an answer."),)
    assert sent(file, **{asked.key: "9"}).errors == form.errors
    answered = sent(file, **{asked.key: "1"})
    assert not answered.errors
    assert answered.answers == Answers(sheet="June")


def test_the_only_sheet_that_is_listed_is_not_chosen_beforehand_where_it_may_be_the_wrong_one(tmp_path: Path) -> None:
    """A hidden sheet fits, and a visible one may be meant."""
    path = workbook(
        tmp_path / "a.xlsx",
        {"May": [["What", "Who"], ["a", "b"]], "Old": [["Id", "Type", "StageName"], [5, "Pre", "Won"]]},
    )
    book = openpyxl.load_workbook(path)
    book["Old"].sheet_state = "hidden"
    book.save(path)
    (asked,) = AnswerForm(asked_about(path), NEXUS).questions
    assert [choice.text for choice in asked.question.choices] == ["the hidden sheet 'Old'"]
    assert (asked.chosen, asked.is_required) == ("", True)


def test_a_hint_beside_a_column_asks_nothing(tmp_path: Path) -> None:
    """It says what the column may be."""
    form = AnswerForm(
        asked_about(write(tmp_path / "a.csv", [["Number", "Type", "StageName"], [5, "Pre", "Won"]])), NEXUS
    )
    hints = [hint for one in form.columns for hint in one.why]
    assert hints
    assert not any("?" in hint for hint in hints), hints


def test_another_header_row_lets_go_of_what_was_said_of_columns(tmp_path: Path) -> None:
    """They are the columns of the header row that was read."""
    path = write(tmp_path / "a.csv", [["Id", "Type", "StageName"], ["Id", "Type", "OpportunityName"], [5, "Pre", "x"]])
    file = read_with(path)
    assert sent(file, header_row="2").answers == Answers(header_row=2)
    assert sent(file, header_row="two").errors == (("header_row", "Type the number of the row, such as 3."),)


def test_what_was_answered_can_be_answered_otherwise_or_be_asked_again(tmp_path: Path) -> None:
    """As long as it was a person and not the layout that answered."""
    path = write(tmp_path / "a.csv", [["Id", "Type", "PendingCloseDate"], [5, "Pre", "03/04/2026"]])
    file = read_with(path, Answers(date_order={"PendingCloseDate": "DMY"}))
    form = sent(file)
    (asked,) = form.settled
    texts = [choice.text for choice in asked.question.choices]
    assert texts[int(asked.chosen)] == "day/month"
    other = {asked.key: str(texts.index("month/day"))}
    assert sent(file, **other).answers == Answers(date_order={"PendingCloseDate": "MDY"})
    again = {asked.key: str(texts.index("ask me again"))}
    assert sent(file, **again).answers == NO_ANSWERS


def test_a_form_about_other_columns_is_not_taken(tmp_path: Path) -> None:
    """In another window the file was read with another header row meanwhile."""
    old = read_with(write(tmp_path / "a.csv", [["Id", "Type", "StageName"], [5, "Pre", "x"]]))
    new = read_with(write(tmp_path / "b.csv", [["Id", "Type", "OpportunityName"], [5, "Pre", "x"]]))
    form = AnswerForm(new, NEXUS, as_shown(AnswerForm(old, NEXUS)))
    assert [key for key, _ in form.errors] == ["columns"]
    assert chosen(form)["OpportunityName"] == ("=OpportunityName", False)


def test_a_field_may_be_typed_where_there_are_too_many_for_options(tmp_path: Path) -> None:
    """With a thousand columns, lists of all fields would make a page of megabytes."""
    headers = ["Id", "Type", "StageName", *(f"Extra {number}" for number in range(1_100))]
    file = read_with(write(tmp_path / "a.csv", [headers, [5, "Pre", "x"]]))
    form = AnswerForm(file, NEXUS)
    assert (form.has_typed_fields, form.columns[2].typed, form.columns[3].typed) == (True, "StageName", "not sent")
    typed = {one.key: one.typed for one in form.columns} | {"c.2": "OpportunityName", "c.0": " OpportunityId "}
    sent_form = AnswerForm(file, NEXUS, {**as_shown(form), **typed})
    assert not sent_form.errors
    assert sent_form.answers == Answers(columns={"StageName": "OpportunityName"})
