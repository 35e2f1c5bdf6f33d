"""A file with lists, JSON, points in time and columns of open parts, from the spreadsheet to the requests and back."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import openpyxl
import pytest
from aiohttp import web

from tests.end_to_end.program import batch_updater, configure
from tests.in_thread import InThread

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_TICKET = {
    "type": "object",
    "properties": {
        "status": {"type": "string", "enum": ["new", "open", "solved"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "due_at": {"type": "string", "format": "date-time", "nullable": True},
        "email": {"type": "string", "format": "email"},
        "custom_fields": {
            "type": "array", "items": {"type": "object", "properties": {"id": {"type": "integer"}, "value": {}}},
        },
        "properties": {"type": "object", "additionalProperties": True},
        "lines": {
            "type": "array",
            "items": {
                "type": "object", "required": ["sku"],
                "properties": {"sku": {"type": "string"}, "amount": {"type": "number"}},
            },
        },
        "photo": {"type": "string", "format": "binary"},
        "shape": {"oneOf": [
            {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}},
            {"type": "array", "items": {"type": "object"}},
        ]},
    },
}  # fmt: skip
_BODY = {"type": "object", "required": ["ticket"], "properties": {"ticket": _TICKET}}

pytestmark = pytest.mark.usefixtures("store")


@dataclass
class Desk(InThread):
    """Takes every update, and keeps what it was sent."""

    bodies: dict[int, Any] = field(default_factory=dict)
    tickets: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Records that can be read; an update of any other one is answered with nothing."""
    url: str = ""

    async def _start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_route("*", "/tickets/{id}", self._reply)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def _reply(self, request: web.Request) -> web.StreamResponse:
        number = int(request.match_info["id"])
        if request.method == "PUT":
            self.bodies[number] = json.loads(await request.read())
        if number not in self.tickets:
            return web.Response(status=204)
        if request.method == "PUT":
            self.tickets[number] |= self.bodies[number]["ticket"]
        return web.json_response({"ticket": {"id": number, **self.tickets[number]}})


def describe(folder: Path, url: str, *, reads: bool = False) -> None:
    """Write the description, and a configuration with a time zone."""
    update = {
        "operationId": "update",
        "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}],
        "requestBody": {"content": {"application/json": {"schema": _BODY}}},
        "responses": {"204": {"description": "done"}},
    }
    calls: dict[str, Any] = {"put": update}
    if reads:
        record = {"type": "object", "properties": {"id": {"type": "integer"}, **_TICKET["properties"]}}  # type: ignore[dict-item]
        schema = {"type": "object", "properties": {"ticket": record}}
        answers = {"200": {"description": "it", "content": {"application/json": {"schema": schema}}}}
        calls = {
            "put": update | {"responses": answers},
            "get": {"operationId": "show", "parameters": update["parameters"], "responses": answers},
        }
    about = {"openapi": "3.0.3", "info": {"title": "Desk", "version": "1"}}
    document = json.dumps({**about, "paths": {"/tickets/{id}": calls}})
    (folder / "desk.json").write_text(document, encoding="utf-8")
    configure(folder, url, "sending: {rate_per_s: 5000}\ninput: {time_zone: Europe/Berlin}\n")
    config = folder / "config.yaml"
    text = config.read_text(encoding="utf-8").replace("api: {", "api: {endpoint: 'desk.json#update', ")
    config.write_text(text, encoding="utf-8")


def write(path: Path, rows: Sequence[Sequence[object]]) -> None:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(list(row))  # type: ignore[union-attr]
    book.save(path)


HEADERS: list[object] = [
    "id", "Status", "tags", "due_at", "custom_fields[360001]", "Properties.size", "properties.since",
    "lines[0].sku", "lines[0].amount", "shape", "email",
]  # fmt: skip


def test_every_kind_of_cell_goes_out_as_it_is_meant(tmp_path: Path) -> None:
    """What a person sees in the sheet is what the body holds; blank cells, and objects of blank cells, are not sent."""
    rows: list[list[object]] = [
        HEADERS,
        [1, "OPEN", "vip; eu", datetime(2026, 11, 28, 10, 30), "x", 12, date(2026, 1, 2), "a", 1.5, '{"a": 1}', None],  # noqa: DTZ001
        [2, "solved", "#CLEAR", "2026-07-01T08:00:00Z", 7, "12", None, None, None, None, "ann@example.com"],
    ]  # fmt: skip
    write(tmp_path / "tickets.xlsx", rows)
    with Desk() as desk:
        describe(tmp_path, desk.url)
        done = batch_updater("run", "tickets.xlsx", "--yes", "--json", cwd=tmp_path)
    assert done.outcomes == {"updated": 2}, done.err
    assert desk.bodies == {
        1: {
            "ticket": {
                "status": "open", "tags": ["vip", "eu"], "due_at": "2026-11-28T10:30:00+01:00",
                "custom_fields": [{"id": 360001, "value": "x"}], "properties": {"size": 12, "since": "2026-01-02"},
                "lines": [{"sku": "a", "amount": 1.5}], "shape": {"a": 1},
            },
        },
        2: {
            "ticket": {
                "status": "solved", "tags": [], "due_at": "2026-07-01T08:00:00Z",
                "custom_fields": [{"id": 360001, "value": 7}], "properties": {"size": "12"}, "email": "ann@example.com",
            },
        },
    }  # fmt: skip


def test_a_check_names_what_cannot_be_sent_and_what_is_replaced(tmp_path: Path) -> None:
    """Fields without a column, the warning of PUT, lists that replace the record's, and types that are mixed."""
    first: list[object] = [1, "open", "a, b", date(2026, 1, 2), None, 1]
    rows: list[list[object]] = [HEADERS, first, [2, "open", "c", None, None, "1"]]
    write(tmp_path / "tickets.xlsx", rows)
    describe(tmp_path, "http://127.0.0.1:9")
    done = batch_updater("check", "tickets.xlsx", "--json", cwd=tmp_path)
    notes = " ".join(done.object["notes"])
    assert "1 field of the description cannot be a column: ticket.photo (it is a file)." in notes
    assert "PUT may empty what is not sent" in notes
    assert "A list that is sent takes the place of the record's whole list: ticket.tags, ticket.lines." in notes
    assert "the midnight with which it begins is sent, 2026-01-02T00:00:00+01:00" in notes
    assert "'a, b' is sent as one item" in notes
    assert "'1' is sent as a text; other cells of the column are numbers" in notes


def test_problems_come_back_on_to_fix_and_are_sent_once_repaired(tmp_path: Path) -> None:
    """The columns of open parts mean the same there."""
    rows: list[list[object]] = [
        HEADERS,
        [1, "open", "a;;b", None, "x", None, None, None, 2, '{"a": "x"}', "ann"],
        [2, None, None, "2026-03-29 02:30", None, None, None, "a", None, None, None],
    ]
    write(tmp_path / "tickets.xlsx", rows)
    with Desk() as desk:
        describe(tmp_path, desk.url)
        done = batch_updater("run", "tickets.xlsx", "--yes", "--json", cwd=tmp_path)
        assert done.outcomes == {"invalid": 2}
        results = done.object["results"]
        book = openpyxl.load_workbook(results)
        sheet = book["To fix"]
        at = {str(cell.value): number for number, cell in enumerate(sheet[1], 1)}
        wrong = str(sheet.cell(2, at["What is wrong"]).value)
        assert all(word in wrong for word in ("empty item", "'ann'", "'x'", "The cell is blank"))
        for row, values in (
            (2, {"tags": "a;b", "lines[0].sku": "s", "shape": '{"a": 2}', "email": "ann@example.com"}),
            (3, {"due_at": "2026-03-29 03:30"}),
        ):
            for header, value in values.items():
                sheet.cell(row, at[header]).value = value
        book.save(results)
        again = batch_updater("run", results, "--yes", "--json", cwd=tmp_path)
    assert again.outcomes == {"updated": 2}, again.err
    assert desk.bodies[1]["ticket"] == {
        "status": "open", "tags": ["a", "b"], "custom_fields": [{"id": 360001, "value": "x"}],
        "lines": [{"sku": "s", "amount": 2}], "shape": {"a": 2}, "email": "ann@example.com",
    }  # fmt: skip
    assert desk.bodies[2]["ticket"] == {"due_at": "2026-03-29T03:30:00+02:00", "lines": [{"sku": "a"}]}


def test_a_list_that_no_record_has_replaces_none(tmp_path: Path) -> None:
    """Where readings are described without it, it says what to do; of one that they have, the check says so."""
    rows: list[list[object]] = [["id", "tags", "lines[0].sku"], [1, "vip", "a"]]
    write(tmp_path / "tickets.xlsx", rows)
    describe(tmp_path, "http://127.0.0.1:9", reads=True)
    path, whole = tmp_path / "desk.json", "place of the record's whole list: "
    notes = " ".join(batch_updater("check", "tickets.xlsx", "--json", cwd=tmp_path).object["notes"])
    assert f"{whole}ticket.tags, ticket.lines." in notes
    document = json.loads(path.read_text(encoding="utf-8"))
    for call in document["paths"]["/tickets/{id}"].values():
        answer = call["responses"]["200"]["content"]["application/json"]["schema"]
        del answer["properties"]["ticket"]["properties"]["lines"]
    path.write_text(json.dumps(document), encoding="utf-8")
    notes = " ".join(batch_updater("check", "tickets.xlsx", "--json", cwd=tmp_path).object["notes"])
    assert f"{whole}ticket.tags." in notes


def test_problems_are_told_in_plain_words(tmp_path: Path) -> None:
    """A field that the description gives no title is called by its name."""
    write(tmp_path / "tickets.xlsx", [["id", "Status", "email", "due_at"], [1, "sloved", "ann", "soon"]])
    describe(tmp_path, "http://127.0.0.1:9")
    done = batch_updater("check", "tickets.xlsx", "--json", cwd=tmp_path)
    (status, email, due_at) = sorted(done.object["causes"], key=lambda one: str(one["example"]["cell"]))
    assert status["example"]["message"].startswith("'sloved' is not one of the values of ticket.status. Did you mean")
    assert email["cause"].endswith(": not an email address")
    assert due_at["cause"].endswith(": not a date and time")


def test_a_list_that_is_sent_empty_counts_as_cleared(tmp_path: Path) -> None:
    """A guard that limits how much is cleared names the rows."""
    rows: list[list[object]] = [HEADERS[:3], [1, "open", "#CLEAR"], [2, "open", "[]"], [3, "open", "a"]]
    write(tmp_path / "tickets.xlsx", rows)
    describe(tmp_path, "http://127.0.0.1:9")
    with (tmp_path / "config.yaml").open("a", encoding="utf-8") as stream:
        stream.write("guards: {cleared: 1}\n")
    done = batch_updater("run", "tickets.xlsx", "--yes", cwd=tmp_path)
    assert "2 fields would be cleared (tags (ticket.tags) in 2 rows)" in done.err
    assert "the first: row 2, 3" in done.err


def test_an_undo_brings_back_lists_points_in_time_and_members(tmp_path: Path) -> None:
    """Also a list whose items hold the separator, one without items, and members of several types."""
    rows: list[list[object]] = [
        ["id", "tags", "due_at", "properties.size", "shape"],
        [1, "new", "2026-07-01T08:00:00Z", "large", '{"a": 2}'],
        [2, "new; newer", None, 5, None],
    ]
    write(tmp_path / "tickets.xlsx", rows)
    before: dict[int, dict[str, Any]] = {
        1: {"tags": ["a;b", "[c]"], "due_at": "2026-01-01T00:00:00Z", "properties": {"size": "12"}, "shape": {"a": 1}},
        2: {"tags": [], "due_at": None, "properties": {"size": 12}, "shape": None},
    }
    with Desk(tickets=deepcopy(before)) as desk:
        describe(tmp_path, desk.url, reads=True)
        done = batch_updater("run", "tickets.xlsx", "--compare", "--yes", "--json", cwd=tmp_path)
        assert done.outcomes == {"updated": 2}, done.err
        assert desk.tickets[2]["tags"] == ["new", "newer"]
        undo = batch_updater("undo", "--json", cwd=tmp_path)
        workbook = undo.object["undo"]
        again = batch_updater("run", workbook, "--yes", "--json", cwd=tmp_path)
    assert again.outcomes == {"updated": 2}, again.err
    assert desk.tickets == before
