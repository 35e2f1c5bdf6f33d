"""Contacts as HubSpot documents them: a bearer token, and a body that is a free map of texts."""

from __future__ import annotations

import json

from tests.recipes.recipe import Recipe
from tests.recipes.vendor_server import Received, Record, Refused, Reply, VendorServer

TOKEN = "pat-eu1-0f7d1a4c-5a51-4d0e-9b1c-4d7c0a9b2e11"
PATH = "/crm/v3/objects/contacts/"
_STAGES = ("subscriber", "lead", "opportunity", "customer")
_TIME = "2026-03-31T08:00:00.000Z"
_ALWAYS_READ = ("createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname")
"""What a reading has of the properties unless it names others."""


def contact(number: int, **properties: str) -> Record:
    """Return the properties of a contact, of which one without a value is ''."""
    empty = dict.fromkeys(("email", "firstname", "lastname", "phone", "jobtitle", "lifecyclestage"), "")
    return empty | {"email": f"c{number}@example.com", "hs_object_id": str(number)} | properties


class HubSpotContacts(VendorServer):
    """Holds three contacts."""

    def __init__(self) -> None:
        super().__init__()
        for record in (
            contact(512, firstname="Ada", phone="+49 30 1", jobtitle="Engineer", lifecyclestage="lead"),
            contact(513, firstname="Grace", lifecyclestage="subscriber"),
            contact(514, firstname="Mary", phone="+44 20 7", lifecyclestage="opportunity"),
        ):
            self.records[record["hs_object_id"]] = record

    def too_fast(self) -> Reply:
        text = "You have reached your ten_secondly_rolling limit."
        body = {"status": "error", "message": text, "errorType": "RATE_LIMIT", "policyName": "TEN_SECONDLY_ROLLING"}
        return Reply(429, body)

    def reply(self, request: Received) -> Reply:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise _refused(401, "Authentication credentials not found.", "INVALID_AUTHENTICATION")
        record = self._record(request)
        if request.method == "GET":
            names = request.query.get("properties", ",".join(_ALWAYS_READ)).split(",")
            return self._contact(record, {*names, "hs_object_id"})
        if request.method != "PATCH" or request.content_type != "application/json":
            raise _refused(415, "Unsupported Media Type", "VALIDATION_ERROR")
        change = request.json()
        if not isinstance(change, dict) or not isinstance(change.get("properties"), dict) or len(change) > 1:
            text = "Cannot build SimplePublicObjectInput, some of required attributes are not set [properties]"
            raise _refused(400, f"Invalid input JSON on line 1, column 2: {text}", "VALIDATION_ERROR")
        for name, value in change["properties"].items():
            if name not in record:
                raise _not_valid(name, "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist')
            if not isinstance(value, str):
                raise _not_valid(name, "INVALID_STRING", f"{value} is not a string")
            if name == "lifecyclestage" and value not in _STAGES:
                raise _not_valid(name, "INVALID_OPTION", f"{value} was not one of the allowed options: {_STAGES}")
        record |= change["properties"]
        return self._contact(record, {*change["properties"], "hs_object_id"})

    def _record(self, request: Received) -> Record:
        """Return the contact with an id or, if the query says so, with another property of that value."""
        key, name = request.path.removeprefix(PATH), request.query.get("idProperty", "hs_object_id")
        found = [record for record in self.records.values() if record.get(name) == key]
        if not found or not request.path.startswith(PATH):
            raise _refused(404, "resource not found", "OBJECT_NOT_FOUND")
        return found[0]

    def _contact(self, record: Record, names: set[str]) -> Reply:
        properties = {name: record[name] or None for name in sorted(names) if name in record}
        times = {"createdAt": _TIME, "updatedAt": _TIME, "archived": False}
        return Reply(200, {"id": record["hs_object_id"], "properties": properties, **times})


def _refused(status: int, text: str, category: str) -> Refused:
    number = "aeb5f871-7f07-4993-9211-075dc63e7cbf"
    return Refused(Reply(status, {"status": "error", "message": text, "correlationId": number, "category": category}))


def _not_valid(name: str, error: str, text: str) -> Refused:
    """Return the vendor's refusal of a property, which is JSON within a text."""
    details = json.dumps([{"isValid": False, "message": text, "error": error, "name": name}])
    return _refused(400, f"Property values were not valid: {details}", "VALIDATION_ERROR")


RECIPE = Recipe(
    name="hubspot-contacts",
    description="hubspot-contacts.json",
    server=HubSpotContacts,
    secrets={"HUBSPOT_TOKEN": TOKEN},
    bad_cell=("properties.lifecyclestage", "custmer"),
    reason="custmer was not one of the allowed options",
)
