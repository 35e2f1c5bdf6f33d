"""sandbox/record_store.py: the records that the sandbox holds."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal

import pytest

from batch_updater.sandbox.contract import Invalid
from batch_updater.sandbox.record_store import LANGUAGES, RecordStore


def test_every_number_up_to_the_last_exists_in_both_types() -> None:
    """Records are there without anybody having made them; beyond the last there is none."""
    store = RecordStore(1, 1000, null_clears=False)
    assert store.get("Pre", 1)
    assert store.get("Post", 1000)
    assert store.get("Pre", 0) is None
    assert store.get("Post", 1001) is None
    assert store.get("Pre", 7) != store.get("Post", 7)


def test_the_seed_decides_what_the_records_hold() -> None:
    """The same seed gives the same records, another one others."""
    one, same, other = (RecordStore(seed, 100, null_clears=False) for seed in (1, 1, 2))
    assert [one.get("Pre", number) for number in range(1, 101)] == [same.get("Pre", number) for number in range(1, 101)]
    assert one.get("Pre", 1) != other.get("Pre", 1)


def test_a_change_is_kept_and_clearing_undoes_it() -> None:
    """What was put is what is there, until the store is cleared."""
    store = RecordStore(1, 100, null_clears=False)
    fresh = store.get("Pre", 5)
    assert fresh
    changed = store.with_change(fresh, {"StageName": "Closed Won", "AcctPotential": Decimal("7.50")}, 1)
    store.put(changed)
    assert store.get("Pre", 5) == changed
    assert (changed.stage_id, str(changed.potential)) == (5, "7.50")
    assert list(store) == [changed]
    store.clear()
    assert store.get("Pre", 5) == fresh
    assert len(store) == 0


@pytest.mark.parametrize(("null_clears", "left"), [(False, "Pilot"), (True, None)])
def test_null_changes_nothing_unless_the_sandbox_is_told_that_it_clears(*, null_clears: bool, left: str | None) -> None:
    """The contract does not say what null does, so that a client has to look at the answer."""
    store = RecordStore(1, 100, null_clears=null_clears)
    record = store.get("Pre", 5)
    assert record
    named = store.with_change(record, {"OpportunityName": "Pilot"}, 1)
    after = store.with_change(named, {"OpportunityName": None, "StageName": None}, 1)
    assert after.name == left
    assert (after.stage_id is None) == null_clears


@pytest.mark.parametrize(
    "change", [{"StageName": "proposal"}, {"StageName": " Proposal"}, {"StageName": ""}, {"CategoryName": "Prospect"}]
)
def test_a_name_must_exist_as_it_is_spelt(change: dict[str, str]) -> None:
    """Neither case nor blanks are forgiven."""
    store = RecordStore(1, 100, null_clears=False)
    record = store.get("Pre", 5)
    assert record
    with pytest.raises(Invalid, match="not found"):
        store.with_change(record, dict(change), 1)


def test_every_language_has_the_same_categories_and_stages() -> None:
    """An id means the same in every language, and no name means two things."""
    for names in LANGUAGES.values():
        assert len(names.categories) == len(set(names.categories)) == len(LANGUAGES[1].categories)
        assert len(names.stages) == len(set(names.stages)) == len(LANGUAGES[1].stages)


def test_a_record_is_valid_json_whatever_it_holds() -> None:
    """Quotation marks, umlauts and empty fields are written as JSON has them."""
    store = RecordStore(1, 100, null_clears=True)
    record = store.get("Post", 9)
    assert record
    change = {"OpportunityName": 'A "B" \\ ü\n', "OpportunityID": None, "PendingCloseDate": date(2026, 3, 4)}
    shown = json.loads(store.with_change(record, change, 1).as_json())
    assert shown["OpportunityName"] == 'A "B" \\ ü\n'
    assert shown["OpportunityID"] is None
    assert shown["PendingCloseDate"] == "2026-03-04"
