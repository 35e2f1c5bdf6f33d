"""Reading, updating and taking back against an API with a description of its own and odd habits."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl
import pytest
from aiohttp import web

from tests.end_to_end.program import batch_updater, in_store
from tests.end_to_end.records_api import RecordsApi, describe, lost, status
from tests.torture.runs import start

if TYPE_CHECKING:
    from tests.end_to_end.program import Done
    from tests.end_to_end.records_api import Reply

pytestmark = pytest.mark.usefixtures("store")


class Desk:
    """A folder with a configuration for the API, and commands in it."""

    def __init__(self, folder: Path, api: RecordsApi, *, attempts: int = 1) -> None:
        self.folder = folder
        self.api = api
        endpoint = describe(folder, api.answer, listed=api.listed)
        self._api = f"api: {{base_url: '{api.url}', token: 'env:NEXUS_TOKEN', endpoint: '{endpoint}', timeout_s: 5}}\n"
        self.configure(attempts=attempts)

    def configure(self, more: str = "", *, attempts: int = 1) -> None:
        text = f"sending: {{rate_per_s: 2000, concurrency: 1, attempts: {attempts}}}\n"
        (self.folder / "config.yaml").write_text(self._api + text + more, encoding="utf-8")

    def table(self, *lines: str) -> None:
        (self.folder / "rows.csv").write_text("\n".join(("itemId,name,amount,since", *lines)) + "\n", encoding="utf-8")

    def run(self, file: str | Path = "rows.csv", *options: str) -> Done:
        return batch_updater("run", file, "--json", *options, cwd=self.folder)

    def undo(self, run: Done) -> Path:
        done = batch_updater("undo", run.object["run"], "--json", cwd=self.folder)
        assert done.code == 0, done.err
        return Path(done.object["undo"])


def rows_of(path: Path, sheet: str) -> list[tuple[object, ...]]:
    return list(openpyxl.load_workbook(path)[sheet].iter_rows(min_row=2, values_only=True))


def test_half_a_surrogate_in_a_record_does_no_harm(tmp_path: Path) -> None:
    """A text cut within an emoji is read, kept and expected; what no cell can hold is listed, the rest is set back."""
    with RecordsApi() as api:
        api.records[1] |= {"name": "Deal \ud83d", "amount": 5}
        desk = Desk(tmp_path, api)
        desk.table("1,new,7,", "2,new,7,")
        first = desk.run("rows.csv", "--compare")
        assert (first.code, first.outcomes) == (0, {"updated": 2}), first.err
        undo = desk.undo(first)
        ((_, row, field, why),) = rows_of(undo, "Not possible")
        assert (row, field) == (2, "name")
        assert "cell cannot hold" in str(why)
        assert desk.run(undo).outcomes == {"updated": 2}
        assert api.records[1] == {"name": "new", "amount": 5, "since": None}
        assert api.records[2] == {"name": "name 2", "amount": 2, "since": None}


@pytest.mark.parametrize("odd", [float("nan"), float("-inf"), "NaN", "sNaN", "", [1], {"a": 1}, "1e9", True])
def test_a_number_that_is_none_does_no_harm(tmp_path: Path, odd: object) -> None:
    """Whatever a record holds where a number belongs is changed to what is asked, and set back or listed."""
    with RecordsApi() as api:
        for number in (1, 2, 3):
            api.records[number]["amount"] = odd
        desk = Desk(tmp_path, api)
        desk.table("1,new,5,", "2,new,7,", "3,new,-8,")
        first = desk.run("rows.csv", "--compare")
        assert (first.code, first.outcomes) == (0, {"updated": 3}), first.err
        undo = desk.undo(first)
        is_value = odd in ("", "1e9")
        assert len(rows_of(undo, "Not possible")) == (0 if is_value else 3)
        assert desk.run(undo).outcomes == {"updated": 3}
        assert [api.records[number]["name"] for number in (1, 2, 3)] == ["name 1", "name 2", "name 3"]


def test_half_a_surrogate_that_was_left_since_is_told(tmp_path: Path) -> None:
    """A record that became such a text after the run is not overwritten."""
    with RecordsApi() as api:
        desk = Desk(tmp_path, api)
        desk.table("1,new,,")
        undo = desk.undo(desk.run("rows.csv", "--compare"))
        api.records[1]["name"] = "Deal \ud83d"
        done = desk.run(undo)
        assert (done.code, done.outcomes) == (1, {"rejected": 1}), done.err
        assert api.records[1]["name"] == "Deal \ud83d"


def test_what_an_earlier_part_may_have_made_is_no_value_before(tmp_path: Path) -> None:
    """An update without an answer was applied, but for a null that was ignored: nothing is known of the time before."""
    with RecordsApi(null_clears=False) as api:
        api.script["PUT", 1].append(lost)
        desk = Desk(tmp_path, api)
        desk.table("1,new,#CLEAR,")
        assert desk.run().outcomes == {"unconfirmed": 1}
        assert api.records[1]["name"] == "new"
        second = desk.run("rows.csv", "--compare")
        assert second.outcomes == {"differs": 1}
        undo = desk.undo(second)
        assert {(row, field) for _, row, field, _ in rows_of(undo, "Not possible")} == {(2, "name"), (2, "amount")}
        assert rows_of(undo, "Data") == []


def test_what_was_read_before_an_update_without_an_answer_is_set_back(tmp_path: Path) -> None:
    """The reading of the part whose update got lost stays the value before, whatever a later part reads."""
    with RecordsApi(null_clears=False) as api:
        api.script["PUT", 1].append(lost)
        desk = Desk(tmp_path, api)
        desk.table("1,new,#CLEAR,")
        assert desk.run("rows.csv", "--compare").outcomes == {"unconfirmed": 1}
        second = desk.run("rows.csv", "--compare")
        assert second.outcomes == {"differs": 1}
        assert desk.run(desk.undo(second)).outcomes == {"updated": 1}
        assert api.records[1] == {"name": "name 1", "amount": 1, "since": None}


def test_a_refused_row_that_may_have_been_applied_before_is_listed(tmp_path: Path) -> None:
    """Refused after an attempt without an answer, it is `rejected`, and what it changed is unknown."""
    with RecordsApi() as api:
        api.script["PUT", 1].extend((lost, status(400)))
        desk = Desk(tmp_path, api, attempts=2)
        desk.table("1,new,,", "2,,7,")
        api.script["PUT", 2].append(status(400))
        first = desk.run("rows.csv", "--compare")
        assert first.outcomes == {"rejected": 2}
        assert api.records[1]["name"] == "new"
        ((_, row, field, why),) = rows_of(desk.undo(first), "Not possible")
        assert (row, field) == (2, "name")
        assert "an attempt before that had no answer" in str(why)


@pytest.mark.one_process("its process sends by itself: a worker that is killed or stopped is tested in tests/team")
def test_a_row_that_was_never_sent_is_unchanged_when_its_record_holds_the_values(tmp_path: Path) -> None:
    """Killed while a record is read, the run has sent nothing for it: resumed, it is no `updated` row to undo."""
    reached = threading.Event()

    async def hang(_api: RecordsApi, _request: web.Request) -> web.StreamResponse:
        reached.set()
        await asyncio.sleep(60)
        return web.Response()

    with RecordsApi() as api:
        api.script["GET", 2].append(hang)
        desk = Desk(tmp_path, api)
        desk.table("1,new,,", "2,name 2,,", "3,name 3,,")
        with start(tmp_path, "run", "rows.csv", "--compare") as process:
            assert reached.wait(90)
            process.kill()
        second = desk.run("rows.csv", "--compare")
        assert second.outcomes == {"updated": 1, "unchanged": 2}
        assert api.methods.count("PUT") == 1
        assert rows_of(desk.undo(second), "Not possible") == []


@pytest.mark.parametrize("answer", ["stamp", "nothing"])
@pytest.mark.parametrize("listed", [False, True])
def test_an_update_whose_answer_holds_no_record_is_compared_and_undone(
    tmp_path: Path, answer: str, listed: bool
) -> None:
    """How a record is read says what its fields are called; what was asked counts as what was left."""
    with RecordsApi(answer=answer, listed=listed) as api:
        api.records[3] = {"name": "same", "amount": 7, "since": "2026-01-02"}
        before = {number: dict(record) for number, record in api.records.items()}
        desk = Desk(tmp_path, api)
        desk.table("1,new,1.50,2031-05-06", "2,new,#CLEAR,", "3,same,7.00,2026-01-02")
        first = desk.run("rows.csv", "--compare")
        assert (first.code, first.outcomes) == (0, {"updated": 2, "unchanged": 1}), first.err
        undo = desk.undo(first)
        assert rows_of(undo, "Not possible") == []
        assert [(field, was, left) for _, field, was, left, *_ in rows_of(undo, "Expected")] == [
            ("name", "name 1", "new"), ("amount", "1", "1.50"), ("since", "", "2031-05-06"),
            ("name", "name 2", "new"), ("amount", "2", ""),
        ]  # fmt: skip
        api.records[2]["name"] = "theirs"
        second = desk.run(undo)
        assert second.outcomes == {"updated": 1, "rejected": 1}
        assert api.records == before | {2: {"name": "theirs", "amount": None, "since": None}}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_record_in_another_encoding_is_kept_as_it_was_read(tmp_path: Path, encoding: str) -> None:
    """What counts as the record for the outcome counts as the record for the undo."""
    with RecordsApi(encoding=encoding) as api:
        desk = Desk(tmp_path, api)
        desk.table("1,new,,")
        first = desk.run("rows.csv", "--compare")
        ((reported,),) = in_store(tmp_path, "SELECT reported FROM rows")
        assert json.loads(reported) == {"id": 1, "name": "new", "amount": 1, "since": None}
        undo = desk.undo(first)
        assert rows_of(undo, "Not possible") == []
        assert desk.run(undo).outcomes == {"updated": 1}
        assert api.records[1]["name"] == "name 1"


def test_a_record_too_long_to_be_kept_is_said_where_it_matters(tmp_path: Path) -> None:
    """What the API reported as asked is known all the same; of what it reported otherwise the reason is told."""
    with RecordsApi(null_clears=False, more={"notes": "x" * 30_000}) as api:
        desk = Desk(tmp_path, api)
        desk.table("1,new,,", "2,new,,#CLEAR", "3,new,#CLEAR,")
        first = desk.run("rows.csv", "--compare")
        assert first.outcomes == {"updated": 2, "differs": 1}
        undo = desk.undo(first)
        ((_, row, field, why),) = rows_of(undo, "Not possible")
        assert (row, field) == (4, "amount")
        assert "too long to be kept" in str(why)
        assert desk.run(undo).outcomes == {"updated": 3}
        assert [api.records[number]["name"] for number in (1, 2, 3)] == ["name 1", "name 2", "name 3"]


def test_rows_of_one_record_are_another_run_when_they_are_let_through(tmp_path: Path) -> None:
    """What is refused as a duplicate and what is sent in order are not the same rows: the run is not resumed."""
    with RecordsApi() as api:
        api.script["PUT", 2].append(status(503))
        desk = Desk(tmp_path, api)
        desk.table("1,first,,", "1,second,,", "2,new,,")
        first = desk.run("rows.csv", "--compare")
        assert first.outcomes == {"invalid": 2, "failed": 1}
        desk.configure("input: {duplicates: in_order}\n")
        second = desk.run("rows.csv", "--compare")
        assert second.outcomes == {"updated": 3}
        assert second.object["run"] != first.object["run"]
        assert "because this has changed since: what is done with rows of the same record" in second.err
        desk.configure()
        assert desk.run(desk.undo(second)).outcomes == {"updated": 2}
        assert [api.records[number]["name"] for number in (1, 2)] == ["name 1", "name 2"]


def test_what_was_not_done_is_not_shown_as_changed(tmp_path: Path) -> None:
    """A null that the API ignored empties nothing; what a row changed that another record answered is unknown."""

    async def others(api: RecordsApi, _request: web.Request) -> web.StreamResponse:
        return web.json_response({"id": 9, **api.records[9]})

    with RecordsApi(null_clears=False) as api:
        api.script["PUT", 2] += [others, others]  # on a connection of its own as well
        desk = Desk(tmp_path, api)
        desk.table("1,new,#CLEAR,", "2,new,,", "3,,8,")
        done = desk.run("rows.csv", "--compare")
        assert done.outcomes == {"differs": 2, "updated": 1}
    results = Path(done.object["results"])
    assert [(row, field, new) for row, _, field, _, new in rows_of(results, "Changes")] == [
        (2, "name", "new"), (4, "amount", 8),
    ]  # fmt: skip
    said = [str(cell) for row in rows_of(results, "Summary") for cell in row if cell is not None]
    assert not [line for line in said if "emptied" in line]
    assert "amount: 1 record." in " ".join(said)


def test_a_point_in_time_that_a_record_did_not_have_is_emptied_again(tmp_path: Path) -> None:
    """Nothing is a value before, too: an undo of what a row filled in empties it."""
    with RecordsApi() as api:
        desk = Desk(tmp_path, api)
        document = tmp_path / "items.yaml"
        document.write_text(document.read_text("utf-8").replace("format: date}", "format: date-time}"), "utf-8")
        desk.table("1,,,2026-12-24T10:00:00Z")
        first = desk.run("rows.csv", "--compare")
        assert api.records[1]["since"] == "2026-12-24T10:00:00Z"
        undo = desk.undo(first)
        assert rows_of(undo, "Not possible") == []
        assert desk.run(undo).outcomes == {"updated": 1}
        assert api.records[1]["since"] is None


@pytest.mark.parametrize("reading", [lost, status(500)])
def test_a_row_whose_record_could_not_be_read_may_be_run_again(tmp_path: Path, reading: Reply) -> None:
    """What was not sent cannot be applied twice, whether or not an update may be repeated."""
    with RecordsApi() as api:
        desk = Desk(tmp_path, api)
        api.script["GET", 1].append(reading)
        desk.table("1,new,5,")
        options = ("run", "rows.csv", "--compare", "--yes", "--json")
        done = batch_updater(*options, cwd=tmp_path, BATCH_UPDATER_API__IDEMPOTENT="false")
        assert (done.outcomes, api.methods) == ({"failed": 1}, ["GET"]), done.err
        assert "Run again" in (told := batch_updater("report", "--row", "2", "--yes", cwd=tmp_path).out)
        assert "twice" not in told


def test_a_list_of_items_is_set_back_whole_or_not_at_all(tmp_path: Path) -> None:
    """What a person decides on says so beforehand; the undo then names the list that it cannot restore."""
    with RecordsApi() as api:
        two, three = [[{"sku": name, "size": 1} for name in names] for names in ("ab", "abc")]
        api.records[1] |= {"lines": two}
        api.records[2] |= {"lines": three}
        desk = Desk(tmp_path, api)
        lines = "lines: {type: array, items: {properties: {sku: {type: string}, size: {type: integer}}}}"
        text = (tmp_path / "items.yaml").read_text(encoding="utf-8")
        (tmp_path / "items.yaml").write_text(
            text.replace("            amount:", f"            {lines}\n            amount:"), "utf-8"
        )
        rows = "itemId,name,lines[0].sku,lines[0].size,lines[1].sku,lines[1].size\n1,new,a,5,b,1\n2,new,a,5,b,1\n"
        (tmp_path / "rows.csv").write_text(rows, encoding="utf-8")
        run = batch_updater("run", "rows.csv", "--compare", "--yes", cwd=tmp_path)
        assert "All 2 rows were updated." in run.out, run.err
        columns = "lines[0].sku and lines[0].size and lines[1].sku and lines[1].size"
        possible = f"possible: every record is read before its update; {columns} only where the columns hold all"
        assert possible in " ".join(run.err.split())
        undo = Path(batch_updater("undo", "--json", cwd=tmp_path).object["undo"])
        assert {row[2] for row in rows_of(undo, "Not possible")} == set(columns.split(" and "))
        assert desk.run(undo).outcomes == {"updated": 2}
        assert [api.records[number]["name"] for number in (1, 2)] == ["name 1", "name 2"]
        assert api.records[1]["lines"] == two
        assert api.records[2]["lines"] == [{"sku": "a", "size": 5}, {"sku": "b", "size": 1}]
