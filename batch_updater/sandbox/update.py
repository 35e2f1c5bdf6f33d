"""One request, and what a GET or PUT of an opportunity comes to."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import timedelta

import msgspec
from msgspec.structs import replace

from batch_updater.sandbox import contract
from batch_updater.sandbox import responses as answers
from batch_updater.sandbox.contract import Given, Invalid
from batch_updater.sandbox.record_store import LANGUAGES, Record, RecordStore, language_names
from batch_updater.sandbox.responses import ApiResponse


class Received(msgspec.Struct):
    """One request and its answer."""

    method: str
    path: str
    """As it stood on the wire, percent-encoded."""
    query: str
    """As it stood on the wire, without the question mark."""
    headers: Mapping[str, str]
    """Without Authorization; empty where they are not kept."""
    body: bytes
    """b'' where it is not kept."""
    at_s: float
    """When it had arrived in full, seconds since 1970."""
    token: str | None = None
    """Which token it carried: `sandbox-token`, `issued-1`, ...; None if none that is taken."""
    status: int | None = None
    """None: no answer was begun."""
    applied: bool = False
    """Whether the record was changed, whatever was answered."""
    fault: str | None = None

    def as_json(self) -> str:
        """Return it as one line; a body that is not UTF-8 is under `body_base64`."""
        shown: dict[str, object] = {
            "method": self.method, "path": self.path, "query": self.query, "headers": dict(self.headers),
            "at_s": self.at_s, "token": self.token, "status": self.status, "applied": self.applied, "fault": self.fault,
        }  # fmt: skip
        try:
            shown["body"] = self.body.decode("utf-8")
        except UnicodeDecodeError:
            shown["body_base64"] = base64.b64encode(self.body).decode("ascii")
        return json.dumps(shown)


class Call:
    """One GET or PUT of an opportunity."""

    def __init__(self, store: RecordStore, received: Received, segment: str, content_type: str, body: bytes) -> None:
        self._store = store
        self._received = received
        self._segment = segment
        self._content_type = content_type
        self._body = body

    def process(self) -> ApiResponse:
        """Do what was asked for."""
        return self._answered()

    def preview(self) -> ApiResponse:
        """Answer as if it were done, and do nothing."""
        return self._answered(store=False)

    def process_wrongly(self) -> ApiResponse:
        """Do it, but store other values."""
        return self._answered(falsify=True)

    def find_record(self, offset: int = 0, *, of_other_type: bool = False) -> Record | None:
        """Return the record that the call is about, or another one near it."""
        query = contract.read_query(self._received.query)
        kind = query.type or contract.TYPES[0]
        if of_other_type:
            kind = contract.TYPES[1 - contract.TYPES.index(kind)]
        return self._store.get(kind, contract.read_id(self._segment) + offset)

    def _answered(self, *, store: bool = True, falsify: bool = False) -> ApiResponse:
        language = None
        try:
            if self._received.method == "PUT" and self._content_type != "application/json":
                return answers.gateway_answer(415, "Unsupported Media Type")
            identity, query = contract.read_id(self._segment), contract.read_query(self._received.query)
            if self._received.method == "GET":
                kinds = contract.TYPES if query.type is None else (query.type,)
                found = [record for kind in kinds if (record := self._store.get(kind, identity))]
                if not found:
                    return answers.not_found_answer(identity)
                return ApiResponse(200, f"[{', '.join(record.as_json() for record in found)}]".encode())
            if query.type is None:
                return answers.invalid_answer("The parameter opportunityType is required. Use Pre or Post.")
            language_names(query.language)
            change = contract.read_change(self._body)
            record = self._store.get(query.type, identity)
            if record is None:
                return answers.not_found_answer(identity)
            language = query.language  # from here on a refusal lists the valid names
            changed = self._store.with_change(record, change, language)
        except Invalid as error:
            return answers.invalid_answer(str(error), language)
        if falsify:
            changed = _falsified(changed, change)
        if store:
            self._store.put(changed)
            self._received.applied = True
        return answers.record_answer(changed)


def _falsified(record: Record, change: Mapping[str, Given]) -> Record:
    names = LANGUAGES[contract.DEFAULT_LANGUAGE]
    other: dict[str, object] = {
        "OpportunityName": ("name", f"{record.name} (changed)"),
        "OpportunityID": ("crm_id", f"{record.crm_id}-changed"),
        "CategoryName": ("category_id", (record.category_id or 0) % len(names.categories) + 1),
        "StageName": ("stage_id", (record.stage_id or 0) % len(names.stages) + 1),
        "AcctPotential": ("potential", (record.potential or 0) + 1),
        "SalesRevenue": ("revenue", (record.revenue or 0) + 1),
        "PendingCloseDate": ("close_date", record.close_date and record.close_date + timedelta(days=1)),
    }
    return replace(record, **dict(other[name] for name in change))  # type: ignore[arg-type]
