"""An API with envelopes, versions, idempotency keys and a tenant in a header: through check, run, resume and undo."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from tests.end_to_end.program import TOKEN, Done, batch_updater
from tests.in_thread import InThread

if TYPE_CHECKING:
    from pathlib import Path

TICKET = {
    "type": "object",
    "properties": {
        "id": {"type": "integer", "readOnly": True},
        "subject": {"type": "string", "nullable": True},
        "due_at": {"type": "string", "nullable": True},
        "requester": {"type": "object", "properties": {"name": {"type": "string"}}},
    },
}
ENVELOPE = {"type": "object", "properties": {"ticket": TICKET}}


def description(*, requires_version: bool) -> dict[str, Any]:
    """Describe the API, whose updates may have to say which version they are for."""
    answer = {"200": {"description": "ok", "content": {"application/json": {"schema": ENVELOPE}}}}
    tenant = {"name": "X-Tenant", "in": "header", "required": True, "schema": {"type": "string"}}
    version = {"name": "If-Match", "in": "header", "required": requires_version, "schema": {"type": "string"}}
    return {
        "openapi": "3.0.3",
        "info": {"title": "Desk", "version": "1"},
        "paths": {
            "/tickets/{id}": {
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}, tenant],
                "get": {"operationId": "show", "responses": answer},
                "patch": {
                    "operationId": "update",
                    "parameters": [
                        version,
                        {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}},
                    ],
                    "requestBody": {"content": {"application/json": {"schema": ENVELOPE}}},
                    "responses": answer,
                },
            }
        },
    }


class Desk(InThread):
    """Holds tickets with versions; repeats with a known key are answered as before, and applied once."""

    def __init__(self) -> None:
        self.tickets: dict[int, dict[str, Any]] = {}
        self.versions: dict[int, int] = {}
        self.answers: dict[str, dict[str, Any]] = {}
        self.seen: list[web.Request] = []
        self.silent = 0
        """How many updates are applied and not answered."""
        self.changed_meanwhile: set[int] = set()
        """Tickets that another person changes after each reading."""
        self.url = ""

    async def _start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/tickets/{id}", self._show)
        app.router.add_patch("/tickets/{id}", self._update)
        runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    def _ticket(self, request: web.Request) -> tuple[int, dict[str, Any]]:
        self.seen.append(request)
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise web.HTTPUnauthorized
        if request.headers.get("X-Tenant") != "acme":
            raise web.HTTPBadRequest(text=json.dumps({"error": "X-Tenant is missing."}))
        number = int(request.match_info["id"])
        new = {"id": number, "subject": "old", "due_at": None, "requester": {"name": "Ann"}}
        return number, self.tickets.setdefault(number, new)

    async def _show(self, request: web.Request) -> web.StreamResponse:
        number, ticket = self._ticket(request)
        version = self.versions.setdefault(number, 1)
        self.versions[number] += number in self.changed_meanwhile
        return web.json_response({"ticket": ticket}, headers={"ETag": f'"{version}"'})

    async def _update(self, request: web.Request) -> web.StreamResponse:
        number, ticket = self._ticket(request)
        key = request.headers["Idempotency-Key"]
        if key not in self.answers:
            asked = request.headers.get("If-Match")
            if asked not in ("*", None, f'"{self.versions.get(number, 1)}"'):
                return web.json_response({"error": "The version is another."}, status=412)
            change = json.loads(await request.read())["ticket"]
            ticket["requester"] |= change.pop("requester", {})
            ticket |= change
            self.versions[number] = self.versions.get(number, 1) + 1
            self.answers[key] = json.loads(json.dumps(ticket))
        if self.silent:
            self.silent -= 1
            assert request.transport
            request.transport.abort()
        return web.json_response({"ticket": self.answers[key]})

    def headers(self, name: str) -> list[str | None]:
        """Return that header of every update."""
        return [one.headers.get(name) for one in self.seen if one.method == "PATCH"]


@pytest.fixture
def desk() -> Any:
    with Desk() as one:
        yield one


def run(folder: Path, desk: Desk, *options: str, requires_version: bool = False, attempts: int = 3) -> Done:
    """Run a file with two tickets."""
    (folder / "desk.json").write_text(json.dumps(description(requires_version=requires_version)), encoding="utf-8")
    (folder / "config.yaml").write_text(
        f"api: {{base_url: '{desk.url}', token: 'env:NEXUS_TOKEN', endpoint: 'desk.json#update'}}\n"
        f"sending: {{rate_per_s: 500, attempts: {attempts}}}\n",
        encoding="utf-8",
    )
    rows = "id,X-Tenant,ticket.subject,ticket.requester.name\n1,acme,New,Bob\n2,acme,New,\n"
    (folder / "tickets.csv").write_text(rows, encoding="utf-8")
    return batch_updater("run", "tickets.csv", "--json", *options, cwd=folder)


def test_the_doctor_reads_a_ticket_of_the_tenant(tmp_path: Path, desk: Desk) -> None:
    """The header is a constant of the configuration; the record is in its envelope."""
    run(tmp_path, desk)
    with (tmp_path / "config.yaml").open("a", encoding="utf-8") as config:
        config.write("input: {constants: {X-Tenant: acme}}\n")
    told = batch_updater("doctor", "--record", "7", cwd=tmp_path)
    assert "Desk accepts it: it gave record 7" in " ".join(told.out.split())


def explained(folder: Path, row: int) -> dict[str, Any]:
    return batch_updater("report", "--row", str(row), "--json", cwd=folder).object


def test_updates_of_any_version_say_so(tmp_path: Path, desk: Desk) -> None:
    """Where the API asks for a version and none was read: in the notes, on the wire, and in what is told of a row."""
    done = run(tmp_path, desk, requires_version=True)
    assert (done.code, done.outcomes) == (0, {"updated": 2})
    assert desk.headers("If-Match") == ["*", "*"]
    assert any("If-Match: *" in note for note in done.object["notes"])
    told = explained(tmp_path, 2)["request"]
    assert told["headers"] == {
        "X-Tenant": "acme", "If-Match": "*", "Idempotency-Key": desk.headers("Idempotency-Key")[0],
    }  # fmt: skip
    assert told["body"] == {"ticket": {"subject": "New", "requester": {"name": "Bob"}}}
    assert TOKEN not in json.dumps(told)


def test_a_ticket_that_changes_between_reading_and_update_is_kept(tmp_path: Path, desk: Desk) -> None:
    """The update of its old version is refused; the other one is applied."""
    desk.changed_meanwhile = {1}
    done = run(tmp_path, desk, "--compare")
    assert (done.code, done.outcomes) == (1, {"updated": 1, "rejected": 1})
    assert sorted(map(str, desk.headers("If-Match"))) == ['"1"', '"1"']
    assert [one["cause"] for one in done.object["causes"]] == ["changed since it was read"]
    assert desk.tickets[1]["subject"] == "old"


def test_a_row_keeps_its_key_when_the_run_is_resumed(tmp_path: Path, desk: Desk) -> None:
    """The service applies it once, although it was sent in two parts of the run."""
    desk.silent = 2
    done = run(tmp_path, desk, attempts=1)
    assert (done.code, done.outcomes) == (3, {"unconfirmed": 2})
    again = run(tmp_path, desk, attempts=1)
    assert (again.code, again.outcomes) == (0, {"updated": 2})
    first, second, *repeats = desk.headers("Idempotency-Key")
    assert first != second
    assert sorted(map(str, repeats)) == sorted(map(str, (first, second)))
    assert set(desk.versions.values()) == {2}


def test_a_run_is_undone_within_its_envelope(tmp_path: Path, desk: Desk) -> None:
    """Nested values go back, in the tenant that the rows named."""
    assert run(tmp_path, desk, "--compare").outcomes == {"updated": 2}
    assert batch_updater("undo", "--yes", cwd=tmp_path).code == 0
    workbook = next((tmp_path / "runs").glob("*/undo.xlsx"))
    assert batch_updater("run", workbook, "--yes", "--json", cwd=tmp_path).outcomes == {"updated": 2}
    assert [(one["subject"], one["requester"]["name"]) for one in desk.tickets.values()] == [
        ("old", "Ann"), ("old", "Ann"),
    ]  # fmt: skip
