"""The API that samples/second-endpoint describes, on loopback: it judges the wire on its own."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from aiohttp import web

from tests.in_thread import InThread

REGIONS = {"DE-0042": {"N": "North", "S": "South"}, "FR-0007": {"P": "Paris", "L": "Lyon"}}
"""Account -> code and label of its regions."""
_PATH = re.compile(r"/crm/v1/accounts/([A-Z]{2}-[0-9]{4})/contacts/([1-9][0-9]{0,4})")
_FIELDS = {"email", "displayName", "tier", "newsletter", "creditLimit", "customerSince", "region"}


@dataclass(frozen=True)
class Change:
    """One request as it stood on the wire."""

    method: str
    target: str
    content_type: str
    body: bytes
    status: int


class Refused(Exception):  # noqa: N818  (a verdict about a request)
    """The change is answered with 422; the text is its `detail`."""


class SecondApi(InThread):
    """Serves the contacts 1 to 99 of two accounts in a thread of its own, from `with` to its end."""

    def __init__(self, token: str) -> None:
        self._authorization = f"Bearer {token}"
        self._contacts: dict[tuple[str, int], dict[str, Any]] = {}
        self.changes: list[Change] = []
        self.url = ""

    async def _start(self) -> web.ServerRunner:
        runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        response = self._answer(request, body)
        self.changes.append(Change(request.method, request.raw_path, request.content_type, body, response.status))
        return response

    def _answer(self, request: web.BaseRequest, body: bytes) -> web.Response:
        path, _, query = request.raw_path.partition("?")
        found = _PATH.fullmatch(path)
        if request.headers.get("Authorization") != self._authorization:
            return _json(401, {"detail": "Sign in."})
        if request.method != "PATCH" or request.content_type != "application/merge-patch+json":
            return _json(405, {"detail": "Only merge patches are taken."})
        if found is None or found[1] not in REGIONS or int(found[2]) > 99:
            return _json(404, {"detail": "There is no such contact."})
        try:
            _require(query in ("", "notify=true", "notify=false"), f"The query {query} is not known.")
            contact = self._changed(found[1], int(found[2]), _parsed(body))
        except Refused as refused:
            regions = [{"code": code, "label": label} for code, label in REGIONS[found[1]].items()]
            return _json(422, {"detail": str(refused), "regions": regions})
        return _json(200, contact)

    def _changed(self, account: str, number: int, change: dict[str, Any]) -> dict[str, Any]:
        fresh = {"account": account, "contact": number, "email": "", "displayName": None, "tier": "Basic",
                 "newsletter": False, "creditLimit": None, "customerSince": None, "regionCode": None}  # fmt: skip
        contact = self._contacts.get((account, number), fresh)
        contact = contact | {name: value for name, value in change.items() if name != "region"}
        if "region" in change:
            codes = {label: code for code, label in REGIONS[account].items()}
            _require(change["region"] in codes, f"{change['region']} is no region of {account}.")
            contact["regionCode"] = codes[change["region"]]
        if change.get("customerSince") is not None:
            contact["customerSince"] = _day(change["customerSince"])
        self._contacts[account, number] = contact
        return contact


def _parsed(body: bytes) -> dict[str, Any]:
    """Return what a body asks for, or refuse what has another type than described."""
    try:
        change = json.loads(body.decode("utf-8"), parse_float=Decimal)
    except ValueError as error:
        raise Refused("This is no JSON.") from error
    _require(isinstance(change, dict), "This is no object.")
    _require(set(change) <= _FIELDS, f"Fields that are not known: {sorted(set(change) - _FIELDS)}")
    email, limit = change.get("email"), change.get("creditLimit")
    _require(isinstance(email, str) and "@" in email, "email is needed.")
    _require(isinstance(change.get("displayName", ""), (str, type(None))), "displayName is no string.")
    _require(change.get("tier", "Basic") in ("Basic", "Plus", "Premier"), "tier is none of the three.")
    _require(isinstance(change.get("newsletter", True), bool), "newsletter is neither true nor false.")
    _require(limit is None or (isinstance(limit, (int, Decimal)) and limit >= 0), "creditLimit is no amount.")
    return dict(change)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Refused(otherwise)


def _day(text: str) -> str:
    """Read 31.03.2026, and report it as a moment, as many services do."""
    try:
        return datetime.strptime(text, "%d.%m.%Y").replace(tzinfo=UTC).isoformat()
    except (TypeError, ValueError) as error:
        raise Refused(f"{text} is not of the form dd.MM.yyyy.") from error


def _json(status: int, body: object) -> web.Response:
    # Amounts are reported as numbers, with the digits that they were given with.
    text = re.sub(r'"@([0-9.]+)"', r"\1", json.dumps(body, default=lambda amount: f"@{amount}"))
    return web.Response(status=status, text=text, content_type="application/json")
