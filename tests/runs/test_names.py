"""runs/names.py: the file of known names, and what of them rows have."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from batch_updater.config.schema import ApiSettings
from batch_updater.endpoint.reference import load_endpoint
from batch_updater.records import AllowedList, AllowedValue, Columns
from batch_updater.runs.caller import Caller, new_salt
from batch_updater.runs.names import NAMES, NameCount, remember_names, remembered_names

if TYPE_CHECKING:
    from pathlib import Path

    from batch_updater.config.schema import SecretReference
    from batch_updater.records import Value

ENDPOINT = load_endpoint("nexus-opportunity")
NAME = ENDPOINT.name


def stages(*names: str, language: str = "1") -> AllowedList:
    values = tuple(AllowedValue(name, number) for number, name in enumerate(names, 1))
    return AllowedList("StageName", (("LanguageId", language),), values)


def caller(tenant: str = "1") -> Caller:
    def reveal(reference: SecretReference, key: str) -> str:
        raise AssertionError(f"{key} is fetched: {reference}")

    return Caller(ApiSettings(base_url="http://127.0.0.1:1", headers={"X-Tenant": tenant}), reveal)


def learn(folder: Path, api: str, *lists: AllowedList, tenant: str = "1") -> None:
    remember_names(folder, NAME, api, caller(tenant).digest(new_salt(), None), lists)


def listed(folder: Path, api: str) -> list[tuple[str, list[str]]]:
    found = remembered_names(folder, NAME, api)
    assert found.fault == ""
    return [(dict(one.depends_on)["LanguageId"], [value.name for value in one.values]) for one in found.allowed]


def test_runs_that_end_at_once_lose_no_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of many writers finds its own list in the end, and no lock or draft is left behind."""
    monkeypatch.setattr("batch_updater.runs.names._LOCKED_FOR_S", 120)  # however busy the disk is
    apis = [f"https://{number}.example.com" for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda api: learn(tmp_path, api, stages(api)), apis))
    assert [listed(tmp_path, api) for api in apis] == [[("1", [api])] for api in apis]
    assert [path.name for path in tmp_path.iterdir()] == [NAMES]


def test_an_answer_replaces_the_list_of_its_field_and_language(tmp_path: Path) -> None:
    """A name that is not listed any more is gone; the lists of other languages stay."""
    learn(tmp_path, "a", stages("Old", "Kept"), stages("Alt", language="2"))
    learn(tmp_path, "a", stages("Kept", "New"))
    assert listed(tmp_path, "a") == [("1", ["Kept", "New"]), ("2", ["Alt"])]
    assert listed(tmp_path, "b") == []


def test_ids_are_for_the_account_that_was_told_them(tmp_path: Path) -> None:
    """Another tenant of the same API may have other names for the same ids."""
    learn(tmp_path, "a", stages("Won"), tenant="7")
    names = remembered_names(tmp_path, NAME, "a")
    assert [one.field for one in names.told_to(caller("7"))] == ["StageName"]
    assert names.told_to(caller("8")) == ()
    assert '"7"' not in (tmp_path / NAMES).read_text("utf-8")


def test_names_that_cannot_be_written_are_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No row depends on them."""
    (tmp_path / NAMES).mkdir()
    (tmp_path / NAMES / "x").touch()
    learn(tmp_path, "a", stages("Won"))
    (tmp_path / "file").touch()
    learn(tmp_path / "file", "a", stages("Won"))
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == 2 * [
        "names not remembered"
    ]


@pytest.mark.parametrize(
    ("name", "language", "nearest"), [("Wonn", None, "Won"), ("Wonn", 2, None), ("Won", 2, None), ("won ", None, None)]
)
def test_a_name_is_held_against_the_list_of_its_language(name: str, language: int | None, nearest: str | None) -> None:
    """A row without a language has the API's own; of a language that is not known nothing is said."""
    count = NameCount(ENDPOINT, [stages("Won", "Lost"), stages("Gewonnen", language="3")])
    row: dict[str, Value] = {"OpportunityId": 1, "StageName": name, "LanguageId": language}
    count.add([row, row])
    count.remove(row)
    notes = list(count.notes(Columns(("Id", "Stage"), 0, {"OpportunityId": 0, "StageName": 1}, ())))
    assert [note.partition(" is not among ")[0] for note in notes] == (
        ["Stage: 'Wonn' in 1 good row"] if nearest else []
    )
    assert all(f"The nearest is {nearest!r}." in note for note in notes)


def test_the_day_is_that_of_the_last_answer(tmp_path: Path) -> None:
    """In this machine's zone, as people read it."""
    learn(tmp_path, "a", stages("Won"))
    assert remembered_names(tmp_path, NAME, "a").allowed[0].seen == datetime.now(UTC).astimezone().date()
