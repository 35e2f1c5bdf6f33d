"""--compare: each record is read first, and only what would change it is sent."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from tests.end_to_end.program import batch_updater, configure, sandbox

if TYPE_CHECKING:
    from pathlib import Path

FAST = "sending: {rate_per_s: 2000, concurrency: 20, compare: true}\n"


def write_rows(path: Path, values: dict[int, str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("Id", "Type", "OpportunityName"))
        writer.writerows((number, "Pre", name) for number, name in values.items())


def test_only_what_would_change_a_record_is_sent(tmp_path: Path) -> None:
    """Of 1,000 rows 600 are so already: 600 `unchanged`, 400 PUTs, 1,000 GETs; a second run sends nothing."""
    before = {number: f"name {number}" for number in range(1, 1001)}
    after = {number: name if number <= 600 else f"new {name}" for number, name in before.items()}
    with sandbox() as api:
        configure(tmp_path, api.url, FAST)
        write_rows(tmp_path / "before.csv", before)
        assert batch_updater("run", "before.csv", cwd=tmp_path).code == 0
        seen = len(api.requests())
        write_rows(tmp_path / "after.csv", after)
        first = batch_updater("run", "after.csv", "--json", cwd=tmp_path)
        methods = [request["method"] for request in api.requests()[seen:]]
        assert (first.code, first.outcomes) == (0, {"updated": 400, "unchanged": 600})
        assert (methods.count("GET"), methods.count("PUT")) == (1000, 400)
        assert (first.object["requests"], first.object["retries"]) == (1400, 0)
        second = batch_updater("run", "after.csv", "--json", cwd=tmp_path)
        methods = [request["method"] for request in api.requests()[seen + 1400 :]]
        assert (second.code, second.outcomes) == (0, {"unchanged": 1000})
        assert methods == ["GET"] * 1000


def test_a_record_that_is_not_there_is_rejected_without_an_update(tmp_path: Path) -> None:
    """404 on reading: `rejected`, and no PUT."""
    with sandbox() as api:
        configure(tmp_path, api.url, FAST)
        write_rows(tmp_path / "rows.csv", {1: "a", 99_999_999: "b"})
        done = batch_updater("run", "rows.csv", "--json", cwd=tmp_path)
        assert (done.code, done.outcomes) == (1, {"updated": 1, "rejected": 1})
        assert [request["method"] for request in api.requests()].count("PUT") == 1
