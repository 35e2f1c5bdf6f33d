"""Customers as Dynamics 365 Business Central documents them: client credentials, and a version in every change."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from copy import deepcopy
from urllib.parse import parse_qs

from tests.recipes.recipe import Recipe
from tests.recipes.vendor_server import Received, Record, Refused, Reply, VendorServer

SECRET = "bcs8Q~hV3xkLw0dYtR5nPzJ7uAeMqGfC1iX"
TOKEN = "eyJ0eXAiOiJKV1QifQ.eyJhcHAiOiJiYXRjaC11cGRhdGVyIn0.c2lnbmF0dXJl"
TOKEN_PATH = "/contoso.example/oauth2/v2.0/token"
COMPANY = "9c1b3fd0-5a3e-4d6c-8a53-9d3c8f6d1a01"
NET_14, NET_30 = "3f0d2b6a-7c4e-4b8e-9a8d-2d1f5e6c7b14", "3f0d2b6a-7c4e-4b8e-9a8d-2d1f5e6c7b30"
_PATH = re.compile(r"/v2\.0/production/api/v1\.0/companies\(([^()]+)\)/customers\(([^()]+)\)")
_WRITABLE = {"displayName", "phoneNumber", "email", "website", "taxLiable", "paymentTermsId"}


def customer(number: int, **members: object) -> Record:
    return {
        "id": f"7d2f9a10-0000-4000-8000-{number:012}", "number": str(number), "displayName": f"Customer {number}",
        "phoneNumber": "", "email": "", "website": "", "taxLiable": False, "paymentTermsId": NET_14,
        "address": {"street": "192 Market Square", "city": "Atlanta", "postalCode": "31772"},
    } | members  # fmt: skip


class DynamicsCustomers(VendorServer):
    """Holds three customers of one company, and issues access tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.versions: Counter[str] = Counter()
        """Id -> how often it was changed."""
        self.busy: set[str] = set()
        """Ids of customers that someone else changes after each reading."""
        for record in (
            customer(10000, phoneNumber="+1 404 555 0100"),
            customer(20000, email="orders@trey.example", taxLiable=True),
            customer(30000, website="https://school.example"),
        ):
            self.records[str(record["id"])] = record

    def variables(self) -> Mapping[str, str]:
        return {"BATCH_UPDATER_API__OAUTH__TOKEN_URL": f"{self.url}{TOKEN_PATH}"}

    def updates(self) -> list[Received]:
        return [request for request in super().updates() if request.path != TOKEN_PATH]

    def too_fast(self) -> Reply:
        text = "Too many requests reached. Actual (101). Maximum (100)."
        return Reply(429, {"error": {"code": "Application_TooManyRequests", "message": text}}, {"Retry-After": "0"})

    def reply(self, request: Received) -> Reply:
        if request.path == TOKEN_PATH:
            return _token(request)
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise _error(401, "Authentication_InvalidCredentials", "The server has rejected the client credentials.")
        match = _PATH.fullmatch(request.path)
        if match is None or match[1] != COMPANY:
            raise _error(404, "BadRequest_ResourceNotFound", "Resource not found for the segment.")
        if match[2] not in self.records:
            raise _error(404, "BadRequest_ResourceNotFound", f"The customer {match[2]} cannot be found.")
        if request.method == "PATCH":
            self.records[match[2]] = self._changed(match[2], request)
            self.versions[match[2]] += 1
        elif request.method != "GET":
            raise _error(405, "BadRequest_MethodNotAllowed", "'POST' requests are not allowed here.")
        reply = Reply(200, {"@odata.etag": self.version(match[2])} | self.records[match[2]])
        self.versions[match[2]] += match[2] in self.busy
        return reply

    def version(self, key: str) -> str:
        return f'W/"JzQ0O{self.versions[key]:04}OyI7Jw=="'

    def _changed(self, key: str, request: Received) -> Record:
        if request.content_type != "application/json":
            raise _error(415, "BadRequest", "The media type is not supported.")
        expected = request.headers.get("If-Match")
        if not expected:
            text = "Could not validate the client concurrency token required by the service."
            raise _error(400, "BadRequest_InvalidToken", text)
        if expected not in ("*", self.version(key)):
            raise _error(409, "Request_EntityChanged", "Another user has already changed the record.")
        change, record = json.loads(request.body), deepcopy(self.records[key])
        if unknown := sorted(set(change) - _WRITABLE):
            text = f"The property '{unknown[0]}' does not exist on type 'customer' or is read-only."
            raise _error(400, "BadRequest", text)
        if change.get("paymentTermsId", NET_14) not in (NET_14, NET_30):
            text = 'The "paymentTermsId" does not match to a Payment Terms.'
            raise _error(400, "Application_DialogException", text)
        # What is emptied comes back as an empty text.
        return record | {name: "" if value is None else value for name, value in change.items()}


def _token(request: Received) -> Reply:
    form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
    asked = (form.get("grant_type"), form.get("client_secret"), form.get("scope"))
    if asked != ("client_credentials", SECRET, "https://api.businesscentral.dynamics.com/.default"):
        return Reply(401, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret."})
    return Reply(200, {"token_type": "Bearer", "expires_in": 3599, "access_token": TOKEN})


def _error(status: int, code: str, message: str) -> Refused:
    text = f"{message}  CorrelationId:  5b1d7a0e-3c0f-4a39-8f4e-0b8e6f0d9c11."
    return Refused(Reply(status, {"error": {"code": code, "message": text}}))


RECIPE = Recipe(
    name="dynamics-customers",
    description="dynamics-customers.yaml",
    server=DynamicsCustomers,
    secrets={"BC_CLIENT_SECRET": SECRET},
    shown=TOKEN,
    bad_cell=("paymentTermsId", "3f0d2b6a-7c4e-4b8e-9a8d-2d1f5e6c7b99"),
    reason='The "paymentTermsId" does not match to a Payment Terms.',
)
