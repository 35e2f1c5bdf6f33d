"""Nights in which one file has trouble: the others do not suffer from it, and nothing is sent twice or forgotten."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from tests.end_to_end.program import sandbox
from tests.end_to_end.test_night import aged, api_rows, by_name, names, night, opportunities, prepared
from tests.nightly.receivers import webhook
from tests.torture.runs import ended, start

_HOUR_S = 3600
_SHORT = {"BATCH_UPDATER_SENDING__MAX_WAIT_S": "1"}


def test_a_row_that_fails_night_after_night_does_not_stop_the_others(tmp_path: Path) -> None:
    """Its file waits one night; in the second, a newer one shows that the service works, and it goes to a person."""
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        rows = (1, "Pre", "fault:status-500"), (2, "Pre", "b"), ("x", "Pre", "c")
        opportunities(inbox / "poison.csv", *rows, age_s=2 * _HOUR_S)
        opportunities(inbox / "newer.csv", (3, "Pre", "d"))
        first = night(tmp_path)
        assert (first.code, by_name(first)) == (3, {"poison.csv": "again", "newer.csv": "left"}), first.err
        second = night(tmp_path)
        assert (second.code, by_name(second)) == (1, {"poison.csv": "attention", "newer.csv": "done"}), second.err
        assert names(tmp_path / "attention") == {"poison.csv", "poison.csv.txt", "poison-results"}
        (note,) = (tmp_path / "attention").glob("*/poison.csv.txt")
        assert "The API failed at 1 of its 3 rows in two nights on end" in note.read_text(encoding="utf-8")
        opportunities(inbox / "last.csv", (4, "Pre", "e"))
        third = night(tmp_path)
        assert (third.code, by_name(third)) == (0, {"last.csv": "done"}), third.err


def test_a_file_that_makes_the_service_seem_down_does_not_stop_the_others(tmp_path: Path) -> None:
    """The second night that it ends that way the next file has a turn; as that is done, the first is for a person."""
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        opportunities(
            inbox / "poison.csv", *((row, "Pre", "fault:status-500") for row in range(1, 60)), age_s=2 * _HOUR_S
        )
        opportunities(inbox / "newer.csv", (100, "Pre", "d"))
        first = night(tmp_path, **_SHORT)
        assert (first.code, first.object["stopped"]) == (3, "service_down"), first.err
        assert by_name(first) == {"poison.csv": "left", "newer.csv": "left"}
        second = night(tmp_path, **_SHORT)
    assert (second.code, by_name(second)) == (1, {"poison.csv": "attention", "newer.csv": "done"}), second.err
    assert second.object["stopped"] is None


def test_a_service_that_is_down_night_after_night_leaves_every_file(tmp_path: Path) -> None:
    """Nothing is anybody's turn but the service's: three nights, and both files still lie in the inbox."""
    with sandbox("--fault", "status-503=1") as api:
        inbox = prepared(tmp_path, api.url)
        opportunities(inbox / "older.csv", *((row, "Pre", "a") for row in range(1, 60)), age_s=2 * _HOUR_S)
        opportunities(inbox / "newer.csv", *((row, "Pre", "b") for row in range(1, 60)))
        for _ in range(3):
            done = night(tmp_path, **_SHORT)
            assert (done.code, done.object["stopped"]) == (3, "service_down"), done.err
    assert {path.name for path in inbox.iterdir()} == {"older.csv", "newer.csv"}
    assert not (tmp_path / "attention").exists()


def test_a_row_that_waits_for_a_failed_one_is_tried_again(tmp_path: Path) -> None:
    """Nobody can repair a row at which the service failed: the file stays, and the later value comes last."""
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        opportunities(inbox / "a.csv", (1, "Pre", "old fault:status-503:8"), (1, "Pre", "new"))
        settings = {"BATCH_UPDATER_INPUT__DUPLICATES": "in_order"}
        first = night(tmp_path, **settings)
        assert (first.code, by_name(first)) == (3, {"a.csv": "again"}), first.err
        second = night(tmp_path, **settings)
        assert (second.code, by_name(second)) == (0, {"a.csv": "done"}), second.err
        assert "new" in json.dumps(api.records()[1])


def test_failures_of_the_service_up_to_the_limit_are_tried_again(tmp_path: Path) -> None:
    """The limit is for a person only where the rows themselves were refused."""
    settings = {"BATCH_UPDATER_SENDING__STOP_AFTER_FAILURES": "10%"}
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        opportunities(inbox / "a.csv", (1, "Pre", "fault:status-503:4"), (2, "Pre", "b"), age_s=2 * _HOUR_S)
        first = night(tmp_path, **settings)
        assert (first.code, by_name(first)) == (3, {"a.csv": "again"}), first.err
        opportunities(inbox / "b.csv", (3, "Pre", "fault:status-400:9"), (4, "Pre", "b"))
        second = night(tmp_path, **settings)
        assert (second.code, by_name(second)) == (1, {"a.csv": "done", "b.csv": "attention"}), second.err


def test_rows_left_of_a_file_that_was_replaced_are_for_a_person(tmp_path: Path) -> None:
    """The new file waits for its own turn, unread; the old one is put away, as the run has kept it."""
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        rows = [(row, "Pre", "a") for row in range(1, 20)]
        old = opportunities(inbox / "a.csv", (30, "Pre", "fault:status-503"), *rows).read_bytes()
        running = start(tmp_path, "nightly", BATCH_UPDATER_SENDING__RATE_PER_S="10")
        while len(api.requests()) < 2:
            time.sleep(0.02)
        opportunities(inbox / "a.csv", (70, "Pre", "new"))
        code, told, said = ended(running)
        assert code == 1, said
        assert "/70" not in json.dumps([request["path"] for request in api.requests()])
        (file,) = told["files"]
        assert (file["verdict"], file["outcomes"]["updated"]) == ("attention", 19)
        assert "1 of its rows are not done" in file["note"]
        assert names(tmp_path / "attention") == {"a.csv", "a.csv.txt", "a-results"}
        (kept,) = (tmp_path / "attention").glob("*/a.csv")
        assert kept.read_bytes() == old
        last = night(tmp_path)
        assert (last.code, by_name(last)) == (0, {"a.csv": "done"}), last.err


def test_names_that_are_no_utf8_are_names(tmp_path: Path) -> None:
    """Such files go where they belong and people are told; the one after them has its turn."""
    with sandbox() as api, webhook() as hook:
        inbox = prepared(tmp_path, api.url)
        unreadable = Path(os.fsdecode(os.fsencode(inbox) + b"/un\xe9.xlsx"))
        unreadable.write_bytes(b"PK\x03\x04 cut off")
        aged(unreadable, 3 * _HOUR_S)
        opportunities(inbox / "good.csv", (1, "Pre", "a")).rename(
            Path(os.fsdecode(os.fsencode(inbox) + b"/go\xe9d.csv"))
        )
        opportunities(inbox / "plain.csv", (2, "Pre", "b"))
        done = night(tmp_path, BATCH_UPDATER_NIGHTLY__NOTIFY=f"['json://{hook.place}/told']")
    assert done.code == 1, done.err
    assert [file["verdict"] for file in done.object["files"]] == ["attention", "done", "done"], done.err
    assert api_rows(done) == {"updated": 2}
    assert {len(list(folder.glob("*/*"))) for folder in (tmp_path / "attention", tmp_path / "done")} == {2, 4}
    assert "plain.csv: done" in hook.bodies()[0]["message"]
