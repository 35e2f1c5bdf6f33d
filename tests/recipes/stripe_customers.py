"""Customers as Stripe documents them: a bearer token, forms as bodies, and keys that make a request count once."""

from __future__ import annotations

import re
from copy import deepcopy
from urllib.parse import parse_qsl

from tests.recipes.recipe import Recipe
from tests.recipes.vendor_server import Received, Record, Refused, Reply, VendorServer

KEY = "sk_test_4eC39HqLyjWDarjtT1zdp7dc"
PATH = "/v1/customers/"
_TAX = ("", "exempt", "none", "reverse")


def customer(identity: str, **members: object) -> Record:
    return {
        "id": identity, "object": "customer", "created": 1767225600, "livemode": False, "name": None, "email": None,
        "address": {"city": None, "country": None}, "balance": 0, "metadata": {}, "preferred_locales": [],
        "tax_exempt": "none",
    } | members  # fmt: skip


class StripeCustomers(VendorServer):
    """Holds three customers."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[str, tuple[str, bytes, Reply]] = {}
        """Idempotency-Key -> target and body of its first request, and what was answered."""
        for record in (
            customer("cus_NffrFeUfNV2Hib", name="Jenny Rosen", metadata={"erp_id": "4710"}),
            customer(
                "cus_NffrFeUfNV2Hic",
                email="old@example.com",
                address={"city": "Bonn", "country": "DE"},
                metadata={"erp_id": "4700"},
            ),
            customer("cus_NffrFeUfNV2Hid", preferred_locales=["en"], metadata={"segment": "smb", "erp_id": "4701"}),
        ):
            self.records[record["id"]] = record

    def too_fast(self) -> Reply:
        error = {"message": "Request rate limit exceeded.", "code": "rate_limit", "type": "invalid_request_error"}
        return Reply(429, {"error": error})

    def reply(self, request: Received) -> Reply:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            raise _refused(401, "Invalid API Key provided: ************")
        identity = request.path.removeprefix(PATH)
        if identity not in self.records:
            raise _refused(404, f"No such customer: '{identity}'", param="id", code="resource_missing")
        if request.method == "GET":
            return Reply(200, self.records[identity])
        if request.method != "POST" or request.content_type != "application/x-www-form-urlencoded":
            raise _refused(
                400, "Invalid request (check that your POST content type is application/x-www-form-urlencoded)."
            )
        return self._once(identity, request)

    def _once(self, identity: str, request: Received) -> Reply:
        """Carry a request out, or answer as the first one of its key was answered."""
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return self._changed(identity, request)
        if key not in self.answers:
            self.answers[key] = request.target, request.body, self._changed(identity, request)
        target, body, reply = self.answers[key]
        if (target, body) != (request.target, request.body):
            raise _refused(400, "Keys for idempotent requests can only be used with the same parameters.")
        return reply

    def _changed(self, identity: str, request: Received) -> Reply:
        record = deepcopy(self.records[identity])
        locales: list[str] = []
        for name, value in parse_qsl(request.body.decode(), keep_blank_values=True, strict_parsing=True):
            match re.fullmatch(r"(\w+)(?:\[(\w+)\])?", name), value:
                case re.Match() as parts, _ if parts[1] == "metadata" and parts[2]:
                    record["metadata"].pop(parts[2], None)
                    record["metadata"] |= {parts[2]: value} if value else {}
                case re.Match() as parts, _ if parts[1] == "address" and parts[2] in record["address"]:
                    record["address"][parts[2]] = value or None
                case re.Match() as parts, _ if parts[1] == "preferred_locales" and parts[2] == str(len(locales)):
                    locales.append(value)
                case re.Match(), _ if name == "preferred_locales" and not value:
                    record[name] = []
                case re.Match(), _ if name == "email" and value and "@" not in value:
                    raise _refused(400, f"Invalid email address: {value}", param="email", code="email_invalid")
                case re.Match(), _ if name in ("name", "email"):
                    record[name] = value or None
                case re.Match(), _ if name == "balance":
                    record[name] = int(value)
                case re.Match(), _ if name == "tax_exempt" and value in _TAX:
                    record[name] = value or "none"
                case _:
                    raise _refused(400, f"Received unknown parameter: {name}", param=name, code="parameter_unknown")
        if locales:
            record["preferred_locales"] = locales
        self.records[identity] = record
        return Reply(200, record)


def _refused(status: int, text: str, **more: str) -> Refused:
    return Refused(Reply(status, {"error": {"message": text, "type": "invalid_request_error", **more}}))


RECIPE = Recipe(
    name="stripe-customers",
    description="stripe-customers.json",
    server=StripeCustomers,
    secrets={"STRIPE_KEY": KEY},
    bad_cell=("E-mail", "accounts.example.com"),
    reason="Invalid email address: accounts.example.com",
)
