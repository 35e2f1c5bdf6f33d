from __future__ import annotations

from msgspec.structs import replace

from batch_updater.endpoint.description import ParameterLocation
from batch_updater.loader.targets import Targets
from tests.loader.described import ITEM, KIND, TEXT, endpoint


def test_the_target_is_made_of_what_selects_the_record() -> None:
    """Path before query, names and values encoded, and a default in place of what is not sent."""
    kind = replace(KIND, enum=(), default=None)
    name = replace(TEXT, name="a b", location=ParameterLocation.PATH, selects_record=True)
    targets = Targets(endpoint((KIND, kind, ITEM, TEXT)))
    assert targets.of({"itemId": 7, "label": "x"}) == "itemId=7&itemKind=Small"
    assert targets.of({"itemKind": "Large"}) is None
    assert Targets(endpoint((kind, ITEM))).of({"itemId": 7}) == "itemId=7"
    assert Targets(endpoint((name,))).of({"a b": "1&c=2/\u00e9"}) == "a%20b=1%26c%3D2%2F%C3%A9"
    assert targets.first_field == ITEM


def test_values_that_differ_make_different_targets() -> None:
    """No two records share a target, whatever characters their names hold."""
    name = replace(TEXT, location=ParameterLocation.PATH, selects_record=True)
    kind = replace(KIND, enum=(), default=None)
    targets = Targets(endpoint((name, kind)))
    pairs = [("a", "b"), ("a&itemKind=b", None), ("a", "B"), ("A", "b"), ("a ", "b"), ("a", None)]
    assert len({targets.of({"label": label, "itemKind": kind}) for label, kind in pairs}) == len(pairs)
