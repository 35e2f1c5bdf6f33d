"""undo of runs that were resumed after lost answers, refusals and cuts: what is not listed is as it was before."""

from __future__ import annotations

import csv
import json
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import openpyxl
import pytest
from aiohttp import web
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

import batch_updater
from tests.end_to_end.program import worker
from tests.end_to_end.records_api import RecordsApi, describe, lost, status

if TYPE_CHECKING:
    from pathlib import Path

    from tests.end_to_end.records_api import Reply

pytestmark = pytest.mark.usefixtures("store")

FIELDS = ("name", "amount", "since")
AMOUNTS = st.one_of(
    st.decimals(0, 10**7, places=2),
    st.sampled_from([Decimal("0.1234567890123456789"), Decimal("12345678901234567890.55"), Decimal("1.50")]),
)
DAYS = st.dates(date(1901, 1, 1), date(2099, 12, 31)).map(str)
NAMES = st.sampled_from(["a", " b ", "<r>c</r>", "=1+1", "00123", "_x0041_x0042_", "12345678901234567890"])
RECORDS = st.fixed_dictionaries(
    {
        "name": st.none() | NAMES,
        "amount": st.none() | st.integers(0, 10**20) | AMOUNTS | AMOUNTS.map(str),
        "since": st.none() | DAYS,
    }
)
CELLS = {
    "name": NAMES | st.just("#CLEAR"),
    "amount": AMOUNTS.map(lambda amount: format(amount, "f")) | st.just("#CLEAR"),
    "since": DAYS | st.just("#CLEAR"),
}
VALUES = st.sets(st.sampled_from(FIELDS), min_size=1).flatmap(
    lambda chosen: st.fixed_dictionaries({name: CELLS[name] for name in sorted(chosen)})
)


HABITS = [("record", True), ("record", False), ("stamp", True), ("nothing", True)]
"""What an update is answered with, and whether null clears: an API that takes none and tells nothing is a riddle."""


class Row(NamedTuple):
    number: int
    values: dict[str, str]
    first: str
    """How its first update is answered: `done`, `lost`, `cut` (nothing was applied) or `refused`."""


ROWS = st.lists(
    st.builds(Row, st.integers(1, 3), VALUES, st.sampled_from(["done", "done", "lost", "cut", "refused"])),
    min_size=1,
    max_size=6,
)


async def cut(_api: RecordsApi, request: Any) -> Any:
    """End the connection before anything is done."""
    request.transport.abort()
    return web.Response()


REPLIES: dict[str, Reply] = {"lost": lost, "cut": cut, "refused": status(400), "done": RecordsApi.answered}


def plain(record: dict[str, Any]) -> dict[str, object]:
    """Return a record as its values are: amounts by value, blank as nothing."""
    amount = record["amount"]
    return {**record, "amount": None if amount is None else Decimal(amount)}


def run_to_its_end(source: Path, config: dict[str, object]) -> batch_updater.Run:
    """Run, and resume as long as that settles further rows."""
    done = batch_updater.run(source, config)
    while done.exit_code == 3:
        again = batch_updater.run(source, config)
        assert again.folder == done.folder
        if again.outcomes == done.outcomes:
            break
        done = again
    return done


@pytest.mark.one_process("a property with dozens of runs, each of which a worker would take a second for")
@settings(
    max_examples=15,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
@given(before=st.lists(RECORDS, min_size=3, max_size=3), rows=ROWS, habit=st.sampled_from(HABITS))
def test_what_is_not_listed_is_as_it_was(
    tmp_path_factory: pytest.TempPathFactory,
    before: list[dict[str, Any]],
    rows: list[Row],
    habit: tuple[str, bool],
) -> None:
    """Every field that is not listed goes back, unless its record is left alone because it is not as it was left."""
    event(require_undone(tmp_path_factory.mktemp("trouble"), before, rows, habit))


def test_each_kind_of_trouble_is_undone(tmp_path: Path) -> None:
    """Whichever store holds what the records were before."""
    before = [{"name": f"was {number}", "amount": Decimal("1.50"), "since": None} for number in (1, 2, 3)]
    rows = [
        Row(1, {"name": "a"}, "done"), Row(2, {"amount": "2.25"}, "lost"), Row(3, {"since": "2026-01-31"}, "cut"),
        Row(1, {"name": "b", "amount": "#CLEAR"}, "lost"), Row(2, {"name": "#CLEAR"}, "refused"),
    ]  # fmt: skip
    require_undone(tmp_path, before, rows, ("record", True))


def require_undone(folder: Path, before: list[dict[str, Any]], rows: list[Row], habit: tuple[str, bool]) -> str:
    """Run rows, undo that, and compare every record with what it was before. Returns which kind of undo that was."""
    answer, null_clears = habit
    (folder / "token").write_text("a-token", encoding="ascii")
    with RecordsApi(answer=answer, null_clears=null_clears) as api:
        api.records |= {number: dict(record) for number, record in enumerate(before, 1)}
        for row in rows:
            api.script["PUT", row.number].append(REPLIES[row.first])
        config: dict[str, object] = {
            "api": {
                "base_url": api.url, "token": f"file:{folder / 'token'}", "endpoint": describe(folder, answer),
            },
            "sending": {"rate_per_s": 5000, "compare": True, "attempts": 1},
            "input": {"duplicates": "in_order"},
            "results": {"folder": str(folder / "runs")},
        }  # fmt: skip
        with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(("itemId", *FIELDS))
            writer.writerows((row.number, *(row.values.get(name, "") for name in FIELDS)) for row in rows)
        (folder / "config.yaml").write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
        with worker("run", cwd=folder):
            first = run_to_its_end(folder / "rows.csv", config)
            undo = batch_updater.undo(first, config)
        book = openpyxl.load_workbook(undo.path)
        listed = {
            (target, field) for target, _, field, _ in book["Not possible"].iter_rows(min_row=2, values_only=True)
        }
        api.script.clear()
        with worker("run", cwd=folder):
            second = batch_updater.run(undo.path, config)
        frame = second.frame()
        left_alone = {
            f"itemId={number}"
            for number, outcome in zip(frame["itemId"], frame["Outcome"], strict=True)
            if outcome == "rejected"
        }
        after = api.records
        assert set(frame["Outcome"]) <= {"updated", "unchanged", "rejected"} | (set() if null_clears else {"differs"})
        for number, record in enumerate(before, 1):
            now, was, target = plain(after[number]), plain(record), f"itemId={number}"
            # What was empty cannot be emptied again where the API takes no null.
            names = [name for name in FIELDS if null_clears or was[name] is not None]
            wrong = {name for name in names if now[name] != was[name] and (target, name) not in listed}
            assert not wrong or target in left_alone, (target, wrong, now, was)
        if all(row.first == "done" for row in rows):
            assert not listed
            assert not left_alone
        assert {target for target, _ in listed} >= left_alone
    return f"listed: {bool(listed)}, left alone: {bool(left_alone)}, rows: {undo.rows > 0}"
