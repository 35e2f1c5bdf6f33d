"""endpoint/compare.py and endpoint/reported.py: records in envelopes, nested fields, and values of every kind."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from batch_updater.endpoint.allowed import AllowedValues
from batch_updater.endpoint.compare import (
    NO_RECORD,
    Confirmation,
    changes,
    confirmation,
    record_of,
    records_read,
)
from batch_updater.endpoint.description import Endpoint, Field, Kind, Pair, ReadOperation, Step
from batch_updater.endpoint.exact_json import from_json
from batch_updater.endpoint.reported import equals_reported, parse_reported, reduced, reports_equal, told_by
from batch_updater.records import FieldChange, Job, Value
from tests.endpoint.test_bodies import NEXUS, field

ID = replace(NEXUS.field("OpportunityId"), name="id", wire_name="id", reported_as=("id",))
STATUS = field("ticket", "status", name="status", reported_as=("status",))
TAGS = field("ticket", "tags", name="tags", kind=Kind.LIST, reported_as=("tags",))
CUSTOM = field(
    *("ticket", "custom_fields", Pair("id", 7, "value")),
    name="custom[7]",
    reported_as=("custom_fields", Pair("id", 7, "value")),
)


def endpoint(*path: str | int, fields: tuple[Field, ...] = (STATUS, TAGS, CUSTOM)) -> Endpoint:
    """Return an update whose record is at a path of its answers, and of those of its reading."""
    properties = frozenset({"id", *(str(one.reported_as[0]) for one in fields if one.reported_as)})
    return replace(
        NEXUS,
        fields=(ID, *fields),
        record_path=path,
        record_properties=properties,
        record_statuses={200: frozenset({"id"}), 204: None},
        default_record=frozenset({"id"}),
        read=ReadOperation("/tickets/{id}", (), properties, path),
    )


TICKET = endpoint("ticket")
RECORD: dict[str, object] = {
    "id": 5,
    "status": "solved",
    "tags": ["eu", "vip"],
    "custom_fields": [{"id": 6, "value": "x"}, {"id": 7, "value": "y"}],
}


def job(**values: Value) -> Job:
    return Job(2, "id=5", {"id": 5, **values})


def judged(one: Endpoint, answer: object, code: int = 200, **values: Value) -> Confirmation:
    return confirmation(one, job(**values), code, answer, AllowedValues(one))


def test_a_record_in_an_envelope_confirms_the_update() -> None:
    """Each field where its path says, elements by their keys; the record is kept without what is around it."""
    asked: dict[str, Value] = {"status": "solved", "tags": '["vip", "eu"]', "custom[7]": "y"}
    for one, answer in (
        (TICKET, {"ticket": RECORD, "audit": {}}),
        (endpoint("data", 0), {"data": [RECORD]}),
        (endpoint(0), [RECORD]),
        (endpoint("d", "results"), {"d": {"results": RECORD}}),
    ):
        result = judged(one, answer, 200, **asked)
        assert (result.record, result.differences, result.doubt) == (RECORD, (), None)
        assert record_of(one, job(), answer) == RECORD


def test_of_several_records_in_an_answer_the_target_counts() -> None:
    """By what selects it; without it the answer confirms nothing."""
    several = endpoint("data", 0)
    others: list[object] = [{"id": 4, "status": "new"}, RECORD]
    assert judged(several, {"data": others}, status="new").differences[0].got == "solved"
    assert judged(several, {"data": [*others, RECORD]}, status="solved").doubt == NO_RECORD
    assert record_of(several, job(), {"data": others}) == RECORD


@pytest.mark.parametrize("answer", [RECORD, {"other": RECORD}, {"ticket": [RECORD]}, {"ticket": None}, [], None, "x"])
def test_an_answer_without_the_envelope_holds_no_record(answer: object) -> None:
    """What the description promises did not come."""
    assert judged(TICKET, answer, status="solved").doubt == NO_RECORD


@pytest.mark.parametrize(
    "answer",
    [
        {"ticket": RECORD, "success": False},
        {"success": False, "errors": ["locked"]},
        {"ticket": {**RECORD, "errors": ["locked"]}},
        {"ticket": RECORD, "errors": [{"message": "locked"}]},
        {"ticket": RECORD, "meta": {"status": "error"}},
    ],
)
def test_a_failure_in_or_around_the_envelope_is_one(answer: object) -> None:
    """Whatever the record in it holds."""
    result = judged(TICKET, answer, status="solved")
    assert (result.settles, result.doubt and result.doubt.cause) == (False, " that says it failed")
    assert record_of(TICKET, job(), answer) is None


def test_a_key_that_the_record_does_not_have_was_not_applied() -> None:
    """Services answer 200 and ignore keys that they do not know; an answer without the list says nothing of it."""
    without_key = {**RECORD, "custom_fields": [{"id": 6, "value": "x"}]}
    asked: dict[str, Value] = {"custom[7]": "y"}
    cleared: dict[str, Value] = {"custom[7]": None}
    result = judged(TICKET, {"ticket": without_key}, 200, **asked)
    assert (result.settles, result.doubt and result.doubt.words) == (False, ", but the record lacks custom[7]")
    assert judged(TICKET, {"ticket": without_key}, 200, **cleared).doubt is None
    assert judged(TICKET, {"ticket": {"id": 5}}, 200, **asked).doubt is None


def test_a_flag_that_is_no_failure_is_none() -> None:
    """Many envelopes say that all went well; and a record may have a status of its own."""
    assert judged(TICKET, {"success": True, "errors": [], "ticket": RECORD}, status="solved").doubt is None
    failed = {"ticket": {**RECORD, "status": "failed"}}
    assert judged(TICKET, failed, status="failed").doubt is None


def test_no_content_is_enough_where_the_description_has_no_record() -> None:
    """204 without a body, and one that reports a failure all the same."""
    assert judged(TICKET, None, 204, status="solved") == Confirmation()
    assert not judged(TICKET, {"errors": ["locked"]}, 204, status="solved").settles


def test_an_empty_list_says_that_there_is_no_such_record() -> None:
    """In its envelope; another shape says nothing."""
    several = endpoint("data", 0)
    assert list(records_read(several, {"data": []}) or ["?"]) == ["?"]
    assert records_read(several, {"data": []}) == []
    assert records_read(several, {"items": []}) is None
    assert records_read(endpoint(), []) == []


def test_a_change_of_nested_values_is_found() -> None:
    """What the record holds now, and what is new, as values of JSON."""
    asked = job(status="open", tags='["a"]', **{"custom[7]": None})
    assert changes(TICKET, asked, RECORD, AllowedValues(TICKET)) == (
        FieldChange("status", "solved", "open"),
        FieldChange("tags", ["eu", "vip"], ["a"]),
        FieldChange("custom[7]", "y", None),
    )


def test_another_order_is_sent_but_no_difference() -> None:
    """It may be meant; and a service that sorts its tags has done what was asked."""
    asked = job(tags='["vip", "eu"]')
    assert changes(TICKET, asked, RECORD, AllowedValues(TICKET))
    assert judged(TICKET, {"ticket": RECORD}, tags='["vip", "eu"]').differences == ()
    (difference,) = judged(TICKET, {"ticket": RECORD}, tags='["vip", "us"]').differences
    assert (difference.asked, difference.got) == ("vip, us", "eu, vip")


def of(kind: Kind, item_kind: Kind = Kind.TEXT, *path: Step) -> Field:
    return replace(field("x", kind=kind, reported_as=path or ("x",)), item_kind=item_kind)


EQUAL: list[tuple[Field, Value, object]] = [
    (of(Kind.DATE_TIME), "2026-01-31T10:00:00+01:00", "2026-01-31T09:00:00Z"),
    (of(Kind.DATE_TIME), "2026-01-31T10:00:00+01:00", "2026-01-31T09:00:00.000+0000"),
    (of(Kind.DATE_TIME), "2026-01-31T10:00:00+01:00", "2026-01-31t09:00:00z"),
    (of(Kind.DATE_TIME), "2026-01-31T10:00:00.123456Z", "2026-01-31T10:00:00.123Z"),
    (of(Kind.DATE_TIME), "2026-01-31T10:00:00.123456Z", "2026-01-31T10:00:00Z"),
    (of(Kind.DATE_TIME), "2026-01-31T10:00:00+01:00", "2026-01-31T09:00:00"),
    (of(Kind.DATE_TIME), "1970-01-01T00:00:05Z", 5),
    (of(Kind.DATE_TIME), "1970-01-01T00:00:05Z", "5000"),
    (of(Kind.LIST), '["a", "b"]', ["a", "b"]),
    (of(Kind.LIST), '["a"]', [{"id": 9, "name": "a", "color": "b"}]),
    (of(Kind.LIST), None, []),
    (of(Kind.LIST), "[]", None),
    (of(Kind.LIST, Kind.INTEGER), "[1, 2]", ["1", Decimal("2.0")]),
    (of(Kind.LIST), '["a", "b"]', "a,b"),
    (of(Kind.JSON), '{"a": 1.0, "b": [{"c": null}]}', {"a": 1, "b": [{"d": 5}], "e": 6}),
    (of(Kind.JSON), "{}", {}),
    (of(Kind.ANY), 7, "7"),
    (of(Kind.ANY), "7", 7),
    (of(Kind.ANY), Decimal("1.50"), "1.5"),
    (of(Kind.ANY), True, "True"),
    (of(Kind.ANY), "5", {"self": "http://x/5", "id": "5", "value": "big"}),
    (of(Kind.TEXT), "me", {"login": "me", "id": 4}),
]
UNEQUAL: list[tuple[Field, Value, object]] = [
    (of(Kind.DATE_TIME), "2026-01-31T10:00:00+01:00", "2026-01-31T10:00:00Z"),
    (of(Kind.DATE_TIME), "2026-01-31T10:00:00+01:00", "2026-01-31"),
    (of(Kind.DATE_TIME), "2026-01-31T10:00:00+01:00", "2026-01-31T11:00:00"),
    (of(Kind.DATE_TIME), "1970-01-01T00:00:05Z", 6),
    (of(Kind.LIST), '["a", "b"]', ["a"]),
    (of(Kind.LIST), '["a", "b"]', ["b", "a"]),
    (of(Kind.LIST), '["a", "a"]', ["a", "b"]),
    (of(Kind.LIST), '["a"]', [{"color": "a"}]),
    (of(Kind.LIST), "[]", ["a"]),
    (of(Kind.JSON), '{"a": 1}', {"a": 2}),
    (of(Kind.JSON), '{"a": [1]}', {"a": [1, 2]}),
    (of(Kind.JSON), '{"a": {"b": 1}}', {"a": 1}),
    (of(Kind.ANY), "007", 7),
    (of(Kind.ANY), 1, True),
    (of(Kind.ANY), True, 1),
    (of(Kind.TEXT), "me", {"login": "you", "note": "me"}),
    (of(Kind.BOOLEAN), True, {"id": True}),
]


@pytest.mark.parametrize(("one", "value", "reported"), EQUAL)
def test_values_of_every_kind_are_equal_by_what_they_mean(one: Field, value: Value, reported: object) -> None:
    """Instants, items, members that were asked for, numbers by value, records by their ids or names."""
    assert equals_reported(one, value, reported)


@pytest.mark.parametrize(("one", "value", "reported"), UNEQUAL)
def test_values_of_every_kind_differ_by_what_they_mean(one: Field, value: Value, reported: object) -> None:
    """Another instant, another order, a member less, zeros in front, a truth value for a number."""
    assert not equals_reported(one, value, reported)


@pytest.mark.parametrize(
    ("one", "reported", "value"),
    [
        (of(Kind.DATE_TIME), "2026-01-31T10:00:00.500+0100", "2026-01-31T10:00:00.500000+01:00"),
        (of(Kind.DATE_TIME), "2026-01-31T10:00:00Z", "2026-01-31T10:00:00Z"),
        (of(Kind.LIST), ["a", 1], '["a",1]'),
        (of(Kind.LIST), [], None),
        (of(Kind.JSON), {"a": from_json("1.50")}, '{"a":1.50}'),
        (of(Kind.JSON), [], "[]"),
        (of(Kind.ANY), from_json("1.50"), Decimal("1.50")),
        (of(Kind.ANY), False, False),
    ],
)
def test_a_report_is_a_value_of_its_field(one: Field, reported: object, value: Value) -> None:
    """So that it can be sent again."""
    parsed = parse_reported(one, reported)
    assert (str(parsed), type(parsed)) == (str(value), type(value))
    assert equals_reported(one, parsed, reported)


@pytest.mark.parametrize(
    ("one", "reported"),
    [
        (of(Kind.DATE_TIME), "2026-01-31T10:00:00"),
        (of(Kind.DATE_TIME), "soon"),
        (of(Kind.LIST), [{"name": "a"}]),
        (of(Kind.LIST), "a,b"),
        (of(Kind.ANY), {"a": 1}),
    ],
)
def test_a_report_that_is_no_value_of_its_field_is_refused(one: Field, reported: object) -> None:
    """It could not be sent as it is."""
    with pytest.raises(ValueError, match="it is"):
        parse_reported(one, reported)


def test_reports_of_json_are_equal_only_as_a_whole() -> None:
    """A member that has come or gone is a change."""
    one = of(Kind.JSON)
    assert reports_equal(one, {"a": 1, "b": 2}, {"b": 2, "a": 1})
    assert not reports_equal(one, {"a": 1}, {"a": 1, "b": 2})
    assert not reports_equal(one, {"a": 1, "b": 2}, {"a": 1})


@pytest.mark.parametrize(
    ("one", "value", "reported", "members", "plain"),
    [
        (of(Kind.LIST), '["a", "b"]', [{"id": 1, "name": "b"}, {"id": 2, "name": "a"}], ("name",), ["b", "a"]),
        (of(Kind.LIST, Kind.INTEGER), "[7]", [{"id": 7, "name": "7"}], ("id", "name"), [7]),
        (of(Kind.TEXT), "ann", {"login": "ann", "id": 4}, ("login",), "ann"),
        (of(Kind.TEXT), "ann", "ann", (), None),
        (of(Kind.TEXT), "ann", {"login": "bob"}, (), None),
        (of(Kind.LIST), '["a"]', ["a"], (), None),
        (of(Kind.LIST), '["a"]', [{"name": "a"}, {"name": "b"}], (), None),
        (of(Kind.LIST), None, [], (), None),
        (of(Kind.JSON), '{"id": 1}', {"id": 1}, (), None),
    ],
)
def test_the_members_that_tell_what_was_sent_are_known_from_an_answer(
    one: Field, value: Value, reported: object, members: tuple[str, ...], plain: object
) -> None:
    """Where an answer has records for names or ids, their earlier ones can be sent again by that member."""
    assert told_by(one, value, reported) == members
    if members:
        assert reduced(reported, members[0]) == plain
        assert reduced(None, members[0]) is None
