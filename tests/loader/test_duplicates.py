from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from batch_updater.endpoint.description import ParameterLocation
from batch_updater.loader.duplicates import TargetIndex, Targets
from tests.loader.described import ITEM, KIND, TEXT, endpoint


@given(st.lists(st.integers(0, 20), max_size=60))
def test_the_index_knows_just_the_targets_that_occur_twice(numbers: list[int]) -> None:
    """Rows of the same target are found together and in file order; the others leave no trace."""
    index = TargetIndex()
    for row, number in enumerate(numbers, start=2):
        index.add(f"itemId={number}", row, number)
    index.keep_doubled()
    rows = {number: [row for row, other in enumerate(numbers, start=2) if other == number] for number in numbers}
    expected = sorted(found for found in rows.values() if len(found) > 1)
    assert sorted([sighting.row for sighting in group] for group in index.groups()) == expected
    for number, found in rows.items():
        others = [row for row in found[1:] if len(found) > 1]
        assert index.others(f"itemId={number}", found[0], 3) == tuple(others[:3])


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
