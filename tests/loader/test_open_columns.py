"""Columns of the open parts of a body: headers say which there are; and what the filled cells of a row need."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from batch_updater.endpoint.description import (
    BodyFormat,
    Bounds,
    Endpoint,
    Kind,
    OpenColumns,
    OpenKind,
    Pair,
    Requirement,
)
from batch_updater.errors import ConfigError, InputError
from batch_updater.loader.layouts import Layout, LayoutChoice
from batch_updater.loader.table import Table, open_table
from batch_updater.questions import Answers, OpenQuestionsError
from tests.loader import described
from tests.loader.described import ITEM, TEXT, codes, csv_text, judged, settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from batch_updater.records import Value

STATUS = replace(TEXT, name="ticket.status", wire_name="status", aliases=("status",), path=("ticket", "status"))
MEMBER = replace(TEXT, name="", wire_name="", kind=Kind.ANY, title="", nullable=True)
SKU = replace(TEXT, name="sku", wire_name="sku", path=("sku",), title="sku")
AMOUNT = replace(TEXT, name="amount", wire_name="amount", path=("amount",), kind=Kind.DECIMAL, title="amount")
MAP = OpenColumns(
    name="ticket.fields", path=("ticket", "fields"), kind=OpenKind.MAP, title="fields", fields=(MEMBER,),
    aliases=("fields",),
)  # fmt: skip
PAIRS = OpenColumns(
    name="custom", path=("ticket", "custom"), kind=OpenKind.PAIRS, title="custom fields", fields=(MEMBER,),
    key_name="id", has_number_keys=True, value_name="value",
)  # fmt: skip
LINES = OpenColumns(
    name="lines", path=("lines",), kind=OpenKind.ITEMS, title="lines", fields=(SKU, AMOUNT),
    requirements=(Requirement((), ("sku",)),),
)  # fmt: skip
WHOLE = replace(TEXT, name="lines", wire_name="lines", kind=Kind.JSON, path=("lines",), nullable=False)
ENDPOINT: Endpoint = replace(described.endpoint((ITEM, STATUS, WHOLE)), opens=(MAP, PAIRS, LINES))


def table(path: Path, rows: Sequence[Sequence[object]], endpoint: Endpoint = ENDPOINT, **given: object) -> Table:
    answers = given.pop("answers", Answers())
    layouts = given.pop("layouts", LayoutChoice())
    file = path / "items.csv"
    file.write_text(csv_text(rows), encoding="utf-8")
    return open_table(file, endpoint, settings(**given), name="items.csv", answers=answers, layouts=layouts)  # type: ignore[arg-type]


def values(opened: Table) -> list[dict[str, Value]]:
    return [dict(row.job.values) for row in judged(opened) if row.job]


@pytest.mark.parametrize(
    ("header", "name", "path"),
    [
        ("ticket.fields.summary", "ticket.fields.summary", ("ticket", "fields", "summary")),
        ("Ticket.Fields.Due Date", "ticket.fields.Due Date", ("ticket", "fields", "Due Date")),
        ("fields.priority.name", "ticket.fields.priority.name", ("ticket", "fields", "priority", "name")),
        ("custom[360001]", "custom[360001]", ("ticket", "custom", Pair("id", 360001, "value"))),
        (" CUSTOM[7] ", "custom[7]", ("ticket", "custom", Pair("id", 7, "value"))),
        ("lines[0].sku", "lines[0].sku", ("lines", 0, "sku")),
        ("Lines[0].SKU", "lines[0].sku", ("lines", 0, "sku")),
    ],
)
def test_a_header_that_an_open_part_takes_is_its_column(
    tmp_path: Path, header: str, name: str, path: tuple[object, ...]
) -> None:
    """What it begins with counts without regard to case, the rest as typed; the table's endpoint has the field."""
    opened = table(tmp_path, [["itemId", header], [1, "x"]])
    assert opened.endpoint.field(name).path == path
    assert values(opened) == [{"itemId": 1, name: "x"}]


def test_a_dot_is_part_of_a_name_where_members_have_no_members(tmp_path: Path) -> None:
    """As of labels, whose values are texts: nothing else can be meant."""
    labels = replace(MAP, name="labels", path=("labels",), fields=(replace(MEMBER, kind=Kind.TEXT),), aliases=())
    opened = table(tmp_path, [["itemId", "Labels.team.name"], [1, "x"]], replace(ENDPOINT, opens=(labels,)))
    assert opened.endpoint.field("labels.team.name").path == ("labels", "team.name")


def test_an_option_the_configuration_a_layout_and_a_constant_may_name_such_a_column(tmp_path: Path) -> None:
    """All of them mean it by the same names as headers do."""
    rows: list[list[object]] = [["itemId", "Summary"], [1, "x"]]
    expected = [{"itemId": 1, "ticket.fields.summary": "x"}]
    assert values(table(tmp_path, rows, answers=Answers(columns={"Summary": "FIELDS.summary"}))) == expected
    assert values(table(tmp_path, rows, columns={"Summary": "fields.summary"})) == expected
    layout = Layout("jira", ("itemId", "Summary"), Answers(columns={"itemId": "itemId", "Summary": "fields.summary"}))
    assert values(table(tmp_path, rows, layouts=LayoutChoice((layout,)))) == expected
    constant = table(tmp_path, [["itemId", "status"], [1, "open"]], constants={"fields.summary": "x"})
    assert values(constant) == [{"itemId": 1, "ticket.status": "open", "ticket.fields.summary": "x"}]
    with pytest.raises(ConfigError, match=r"names 'custom\[x\]', which is no field"):
        table(tmp_path, rows, constants={"custom[x]": "1"})


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("feilds.summary", "Did you mean 'ticket.fields.summary'?"), ("ticket.statsu", "Did you mean 'ticket.status'?"),
        ("nothing", r"Fields are: .*\. There may also be columns such as ticket\.fields\.NAME, custom\[NUMBER\] and "),
    ],
)  # fmt: skip
def test_a_name_that_no_open_part_takes_gets_the_one_that_was_meant(tmp_path: Path, name: str, told: str) -> None:
    """Of a field or of an open part, or else how such a column is called."""
    rows: list[list[object]] = [["itemId", "Summary"], [1, "x"]]
    with pytest.raises(InputError) as of_option:
        table(tmp_path, rows, answers=Answers(columns={"Summary": name}))
    with pytest.raises(ConfigError) as of_constant:
        table(tmp_path, rows, constants={name: "x"})
    assert re.match(told, of_option.value.remedy or "")
    assert of_constant.value.remedy == of_option.value.remedy


def test_two_headers_of_one_member_are_one_too_many(tmp_path: Path) -> None:
    """Whichever way they are spelled."""
    with pytest.raises(InputError, match=r"ticket\.fields\.summary has more than one column"):
        table(tmp_path, [["itemId", "fields.summary", "ticket.Fields.summary"], [1, "x", "y"]])


@pytest.mark.parametrize(
    ("header", "meant"),
    [
        ("feilds.summary", "ticket.fields.summary"), ("fields[summary]", "ticket.fields.summary"),
        ("fields:summary", "ticket.fields.summary"), ("custom.360001", "custom[360001]"),
        ("fields. summary", "ticket.fields.summary"),
        ("costum[360001]", "custom[360001]"), ("line[0].sku", "lines[0].sku"), ("lines.sku", "lines[0].sku"),
        ("lines[1].ammount", "lines[1].amount"), ("lines.1.amount", "lines[1].amount"),
    ],
)  # fmt: skip
def test_a_near_miss_is_proposed_and_never_taken(tmp_path: Path, header: str, meant: str) -> None:
    """The option that answers it leads to the column."""
    rows: list[list[object]] = [["itemId", "status", header], [1, "open", "5"]]
    with pytest.raises(OpenQuestionsError, match="close to") as raised:
        table(tmp_path, rows)
    first = raised.value.questions[0].choices[0]
    assert first.answers == Answers(columns={header: meant})
    assert meant in table(tmp_path, rows, answers=first.answers).columns.of_field


@pytest.mark.parametrize("header", ["Fields (internal)", "Custom: no", "Fees [EUR]", "Costumes", "Tel. home"])
def test_other_headers_with_marks_are_columns_of_their_own(tmp_path: Path, header: str) -> None:
    """They are carried and not sent, without a question."""
    assert table(tmp_path, [["itemId", "status", header], [1, "open", "x"]]).columns.not_sent == (header,)


def test_a_header_that_begins_like_an_open_part_is_never_passed_over(tmp_path: Path) -> None:
    """A key that is no number: the column was meant to be sent."""
    with pytest.raises(
        OpenQuestionsError, match=r"'custom\[size\]' is no column of custom: one is such as custom\[NUMBER\]"
    ):
        table(tmp_path, [["itemId", "status", "custom[size]"], [1, "open", "5"]])


DESCRIBED_MAP = OpenColumns(
    name="ticket", path=("ticket",), kind=OpenKind.MAP, title="ticket", fields=(MEMBER,),
    described=("status", "createdAt", "custom"),
)  # fmt: skip
WITH_OTHERS = replace(ENDPOINT, fields=(ITEM, STATUS), opens=(PAIRS, DESCRIBED_MAP))


def test_a_slip_in_the_name_of_a_described_member_is_asked_about(tmp_path: Path) -> None:
    """The map takes any member, but no person has seen that it is another one; an answer settles it either way."""
    rows: list[list[object]] = [["itemId", "ticket.staus"], [1, "open"]]
    with pytest.raises(OpenQuestionsError, match=r"'ticket\.staus' is close to ticket\.status") as raised:
        table(tmp_path, rows, WITH_OTHERS)
    likely = [choice.answers.columns["ticket.staus"] for choice in raised.value.questions[0].choices[:3]]
    assert likely == ["ticket.status", "ticket.staus", None]
    for meant in likely[:2]:
        answered = table(tmp_path, rows, WITH_OTHERS, answers=Answers(columns={"ticket.staus": meant}))
        assert values(answered) == [{"itemId": 1, meant: "open"}]
    assert values(table(tmp_path, rows, WITH_OTHERS, columns={"ticket.staus": "ticket.staus"}))
    # Beside the column of the described member it is another one.
    both = table(tmp_path, [["itemId", "status", "ticket.status2"], [1, "open", "x"]], WITH_OTHERS)
    assert values(both) == [{"itemId": 1, "ticket.status": "open", "ticket.status2": "x"}]


@pytest.mark.parametrize("header", ["ticket.createdAt", "Ticket.CreatedAt", "ticket.custom.a", "ticket.createdAt.day"])
def test_a_map_takes_no_member_that_is_described(tmp_path: Path, header: str) -> None:
    """It has a field of its own, or cannot be sent: as any other member it would go out unchecked."""
    with pytest.raises(OpenQuestionsError, match=r"is no column of ticket: the description has \w+ as a field"):
        table(tmp_path, [["itemId", "status", header], [1, "open", "x"]], WITH_OTHERS)


@pytest.mark.parametrize("header", ["ticket.lines[0].amount", "ticket.tags[1]"])
def test_a_map_takes_no_position_in_a_list(tmp_path: Path, header: str) -> None:
    """There would be a member of that very name, brackets and all."""
    with pytest.raises(OpenQuestionsError, match="is no column of ticket"):
        table(tmp_path, [["itemId", "status", header], [1, "open", "x"]], WITH_OTHERS)


@pytest.mark.parametrize("second", ["custom[007]", "Custom[7]"])
def test_two_columns_of_one_element_are_one_too_many(tmp_path: Path, second: str) -> None:
    """A key is a number, however many zeros it has in front: one of the cells would be lost."""
    with pytest.raises(InputError, match=r"custom\[7\] has more than one column"):
        table(tmp_path, [["itemId", "custom[7]", second], [1, "x", "y"]])
    with pytest.raises(InputError, match=r"lines\[0\]\.sku has more than one column"):
        table(tmp_path, [["itemId", "lines[0].sku", "lines[00].sku"], [1, "x", "y"]])


def test_questions_say_which_other_columns_there_may_be(tmp_path: Path) -> None:
    """Once, with examples; and a body that has open parts alone needs one of them."""
    only_open = replace(ENDPOINT, fields=(ITEM,), opens=(MAP,))
    with pytest.raises(
        InputError,
        match=r"There is no column to update from\. There may also be columns such as ticket\.fields\.NAME\.",
    ):
        table(tmp_path, [["itemId"], [1]], only_open)
    assert values(table(tmp_path, [["itemId", "fields.a"], [1, "x"]], only_open)) == [
        {"itemId": 1, "ticket.fields.a": "x"}
    ]


def test_a_call_without_a_body_needs_no_column_to_update_from(tmp_path: Path) -> None:
    """Its parameters are all there is."""
    bodiless = replace(described.endpoint((ITEM,)), body_format=BodyFormat.NONE, content_type="")
    assert values(table(tmp_path, [["itemId"], [1]], bodiless)) == [{"itemId": 1}]


def test_items_of_a_row_have_no_gaps_and_what_they_need(tmp_path: Path) -> None:
    """The cell that is missing is named, or that there is no column for it."""
    rows: list[list[object]] = [
        ["itemId", "lines[0].sku", "lines[0].amount", "lines[1].sku", "lines[2].amount"],
        [1, "a", "1", None, None],
        [2, None, "1", None, None],
        [3, None, None, "b", None],
        [4, "a", None, "b", "3"],
        [5, "a", "x", "b", None],
    ]
    opened = table(tmp_path, rows)
    assert codes(opened) == {
        2: [],
        3: [("lines[0].sku", "missing")],
        4: [("lines[1].sku", "gap-in-list")],
        5: [(None, "missing")],
        6: [("lines[0].amount", "not-a-number")],
    }
    by_row = {row.row.number: row.problems for row in judged(table(tmp_path, rows))}
    assert by_row[3][0].reason == "The cell is blank, but it is needed where lines[0].amount is filled in."
    assert by_row[4][0].remedy == "Fill in lines[0], or move the items up."
    assert (
        by_row[5][0].reason
        == "There is no column for lines[2].sku, but it is needed where lines[2].amount is filled in."
    )


def test_a_whole_and_a_part_of_it_are_not_both_filled_in(tmp_path: Path) -> None:
    """Neither a list as JSON and one of its items, nor a member and a member of that."""
    rows: list[list[object]] = [["itemId", "lines", "lines[0].sku"], [1, "[]", "a"], [2, "[]", None], [3, None, "a"]]
    assert codes(table(tmp_path, rows)) == {2: [("lines[0].sku", "filled-in-twice")], 3: [], 4: []}
    nested: list[list[object]] = [["itemId", "fields.a", "fields.a.b"], [1, "x", "y"]]
    assert codes(table(tmp_path, nested)) == {2: [("ticket.fields.a.b", "filled-in-twice")]}


def test_what_every_row_needs_is_asked_for_in_the_header_row(tmp_path: Path) -> None:
    """A list that is offered as JSON and as columns: one of them is enough."""
    needed = replace(ENDPOINT, requirements=(Requirement((), ("lines",)),))
    with pytest.raises(InputError, match="There is no column lines, which every row needs"):
        table(tmp_path, [["itemId", "status"], [1, "open"]], needed)
    rows: list[list[object]] = [["itemId", "status", "lines[0].sku"], [1, "open", "a"], [2, "open", None]]
    assert codes(table(tmp_path, rows, needed)) == {2: [], 3: [("lines[0].sku", "missing")]}


def test_a_part_that_is_sent_needs_its_members(tmp_path: Path) -> None:
    """Only where something of it is filled in."""
    kind = replace(TEXT, name="ticket.kind", wire_name="kind", path=("ticket", "kind"))
    title = replace(TEXT, name="title", wire_name="title", path=("title",))
    endpoint = replace(
        described.endpoint((ITEM, title, STATUS, kind)), requirements=(Requirement(("ticket",), ("ticket", "kind")),)
    )
    rows: list[list[object]] = [
        ["itemId", "title", "status", "ticket.kind"],
        [1, "t", None, None],
        [2, None, "s", None],
        [3, None, "s", "k"],
    ]
    assert codes(table(tmp_path, rows, endpoint)) == {2: [], 3: [("ticket.kind", "missing")], 4: []}


def test_a_row_with_nothing_to_update_is_told_just_that(tmp_path: Path) -> None:
    """Not also that an object of the body, which every row needs, has no member."""
    endpoint = replace(described.endpoint((ITEM,)), opens=(MAP,), requirements=(Requirement((), ("ticket", "fields")),))
    rows: list[list[object]] = [["itemId", "ticket.fields.a"], [1, "x"], [2, None]]
    assert codes(table(tmp_path, rows, endpoint)) == {2: [], 3: [(None, "nothing-to-update")]}


def test_lists_are_read_with_the_separator_of_the_configuration(tmp_path: Path) -> None:
    """From the file to the value; a form empties no list."""
    tags = replace(TEXT, name="tags", wire_name="tags", kind=Kind.LIST, path=("tags",), nullable=False, bounds=Bounds())
    endpoint = described.endpoint((ITEM, tags))
    rows: list[list[object]] = [["itemId", "tags"], [1, "a|b"], [2, "#CLEAR"]]
    assert values(table(tmp_path, rows, endpoint, list_separator="|")) == [
        {"itemId": 1, "tags": '["a", "b"]'}, {"itemId": 2, "tags": "[]"},
    ]  # fmt: skip
    form = replace(endpoint, body_format=BodyFormat.FORM)
    assert codes(table(tmp_path, rows, form)) == {2: [], 3: [("tags", "cannot-be-cleared")]}
