from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from batch_updater.errors import LockedError, ResultsError
from batch_updater.runs.lock import locked, origin_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://a.example", "https://a.example:443/prefix", True), ("https://A.example", "https://a.example", True),
        ("https://a.example", "http://a.example", False), ("https://a.example", "https://b.example", False),
        ("http://127.0.0.1:1", "http://127.0.0.1:2", False),
    ],
)  # fmt: skip
def test_an_origin_is_scheme_host_and_port(one: str, other: str, *, same: bool) -> None:
    """The account counts requests of an origin, whatever the path."""
    assert (origin_of(one) == origin_of(other)) == same


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    """Process and file of the holder are named; another origin is free, and afterwards nothing is left."""
    with locked(tmp_path, "https://a.example", "/files/changes.xlsx"):
        with pytest.raises(LockedError) as raised, locked(tmp_path, "https://a.example/prefix", "mine.csv"):
            pytest.fail("two hold it")
        with locked(tmp_path, "https://b.example", "mine.csv"):
            pass
    assert raised.value.message.startswith(
        f"Another run is going on: process {os.getpid()} has been working on /files/changes.xlsx since "
    )
    assert raised.value.place.file == "/files/changes.xlsx"
    assert list(tmp_path.iterdir()) == []


def test_the_name_of_a_dead_process_is_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed process left behind says nothing about who holds the lock now."""
    monkeypatch.setattr("batch_updater.runs.lock._OWNER_ASKED_FOR_S", 0.1)
    with locked(tmp_path, "https://a.example", "one.csv"):
        (signature,) = tmp_path.glob(".lock-*.json")
        told = json.loads(signature.read_text(encoding="utf-8"))
        signature.write_text(json.dumps(told | {"process": 2**22 + 1}), encoding="utf-8")
        with pytest.raises(LockedError, match="has not said which"), locked(tmp_path, "https://a.example", "two.csv"):
            pytest.fail("two hold it")


@pytest.mark.parametrize(
    "signature",
    [b"", b"[]", b"{}", b'{"process": "x", "file": 1, "since": "y"}', b"\xff", b"[" * 100_000,
     b'{"process": -1, "file": "f", "since": "2026-01-02T03:04:05Z"}',
     b'{"process": 1, "file": "f", "since": "2026-01-02T03:04:05"}',
     b'{"process": 99999999999999999999, "file": "f", "since": "2026-01-02T03:04:05Z"}', None],
)  # fmt: skip
def test_a_signature_that_is_none_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signature: bytes | None
) -> None:
    """Whatever others have put there, the lock is held and the second is told so; a pipe is not waited for."""
    monkeypatch.setattr("batch_updater.runs.lock._OWNER_ASKED_FOR_S", 0.1)
    with locked(tmp_path, "https://a.example", "one.csv"):
        (signed,) = tmp_path.glob(".lock-*.json")
        signed.unlink()
        if signature is None:
            os.mkfifo(signed)
        else:
            signed.write_bytes(signature)
        with pytest.raises(LockedError, match="has not said which"), locked(tmp_path, "https://a.example", "two.csv"):
            pytest.fail("two hold it")


def test_a_file_whose_name_is_no_text_is_told_as_far_as_it_is(tmp_path: Path) -> None:
    """On POSIX a name is bytes."""
    with locked(tmp_path, "https://a.example", "/f\udcff.csv"):
        with pytest.raises(LockedError) as raised, locked(tmp_path, "https://a.example", "mine.csv"):
            pytest.fail("two hold it")
        assert r"/f\udcff.csv" in raised.value.message


def test_a_folder_that_cannot_hold_a_lock_is_said(tmp_path: Path) -> None:
    """It is a fault of the set-up, not another run."""
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    with pytest.raises(ResultsError, match="cannot be written"), locked(tmp_path / "file", "https://a.example", "x"):
        pytest.fail("it holds")
