"""endpoint/named_fields.py: the cell of a row that a path in an answer means."""

from __future__ import annotations

import pytest

from batch_updater.endpoint.description import Field, Pair
from batch_updater.endpoint.named_fields import field_named
from batch_updater.records import Value
from tests.endpoint.test_bodies import endpoint, field

CUSTOM = ("ticket", "custom_fields")
FIELDS: tuple[Field, ...] = (
    field("ticket", "status", name="ticket.status"),
    field("ticket", "comment", "body", name="ticket.comment.body"),
    field(*CUSTOM, Pair("id", 11, "value"), name="custom[11]"),
    field(*CUSTOM, Pair("id", 360001, "value"), name="custom[360001]"),
    field(*CUSTOM, Pair("id", 5, "value"), name="custom[5]"),
    field("lines", 0, "amount", name="lines[0].amount"),
    field("lines", 2, "amount", name="lines[2].amount"),
    field("lines", 2, "name", name="lines[2].name"),
    field("owner", "name", name="owner.name"),
    field("name", name="name"),
    field("fields", "summary", name="fields.summary"),
    field("data", "attributes", "first~name", name="first"),
    field("tags", name="tags"),
    field("a.b", "c/d", name="dotted"),
)
VALUES: dict[str, Value] = {one.name: "x" for one in FIELDS if one.name not in ("custom[11]", "owner.name")}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("ticket.status", "ticket.status"),
        ("status", "ticket.status"),
        ("$.body.Ticket.Status", "ticket.status"),
        ("ticket.custom_fields.0.value", "custom[360001]"),
        ("body/ticket/customFields/1/value", "custom[5]"),
        ("ticket[custom_fields][360001]", "custom[360001]"),
        ("custom_fields.5", "custom[5]"),
        ("/lines/0/amount", "lines[0].amount"),
        ("lines[1].amount", "lines[2].amount"),
        ("[1].name", "lines[2].name"),
        ("name", "name"),
        ("record.name", "name"),
        ("fields.summary", "fields.summary"),
        ("/data/attributes/first~0name", "first"),
        ("tags.3", "tags"),
        ("tags[0].length", "tags"),
        ("ticket.comment", "ticket.comment.body"),
        ("['a.b']['c/d']", "dotted"),
    ],
)
def test_a_path_in_an_answer_means_a_cell(path: str, name: str) -> None:
    """By positions in the body that was sent, by keys, from whatever root, and into a value."""
    found = field_named(endpoint(*FIELDS), VALUES, path)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(
    "path", ["", "0", "value", "amount", "owner.name", "ticket", "ticket.subject", "x.y", "..", "$"]
)
def test_a_path_that_may_mean_several_cells_or_none_means_none(path: str) -> None:
    """Nor does one of a field that the row does not send."""
    assert field_named(endpoint(*FIELDS), VALUES, path) is None
