"""One GET or PUT of an opportunity: what it asks for, and the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from batch_updater.sandbox import contract
from batch_updater.sandbox import responses as answers
from batch_updater.sandbox.contract import Invalid
from batch_updater.sandbox.request_log import Received
from batch_updater.sandbox.responses import ApiResponse
from batch_updater.sandbox.store import LANGUAGES, Record, RecordStore, language_names, other_type


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
        try:
            if self._received.method == "GET":
                return self._read()
            return self._update(lambda record: record)
        except Invalid as error:
            return answers.invalid_answer(str(error))

    def preview(self) -> ApiResponse:
        """ApiResponse as if it were done, and do nothing."""
        if self._received.method == "GET":
            return self.process()
        try:
            return self._update(lambda record: record, store=False)
        except Invalid as error:
            return answers.invalid_answer(str(error))

    def process_wrongly(self) -> ApiResponse:
        """Do it, but store other values."""
        if self._received.method == "GET":
            return self.process()
        try:
            return self._update(self._falsified)
        except Invalid as error:
            return answers.invalid_answer(str(error))

    def find_record(self, offset: int = 0, *, of_other_type: bool = False) -> Record | None:
        """Return the record that the call is about, or another one near it."""
        query = contract.read_query(self._received.query)
        kind = query.type or contract.TYPES[0]
        return self._store.get(other_type(kind) if of_other_type else kind, contract.read_id(self._segment) + offset)

    def _read(self) -> ApiResponse:
        identity, query = contract.read_id(self._segment), contract.read_query(self._received.query)
        kinds = contract.TYPES if query.type is None else (query.type,)
        found = [record for kind in kinds if (record := self._store.get(kind, identity))]
        return answers.records_answer(found) if found else answers.not_found_answer(identity)

    def _update(self, falsified: Callable[[Record], Record], *, store: bool = True) -> ApiResponse:
        if self._content_type != "application/json":
            return answers.gateway_answer(415, "Unsupported Media Type")
        identity, query = contract.read_id(self._segment), contract.read_query(self._received.query)
        if query.type is None:
            raise Invalid("The parameter opportunityType is required. Use Pre or Post.")
        language_names(query.language)
        change = contract.read_change(self._body)
        record = self._store.get(query.type, identity)
        if record is None:
            return answers.not_found_answer(identity)
        try:
            changed = self._store.with_change(record, change, query.language)
        except Invalid as error:
            return answers.invalid_answer(str(error), query.language)
        stored = falsified(changed)
        if store:
            self._store.put(stored)
            self._received.applied = True
        return answers.record_answer(stored)

    def _falsified(self, record: Record) -> Record:
        """Return the record with something else in every field that was given."""
        given = contract.read_change(self._body)
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
        return replace(record, **dict(other[name] for name in given))  # type: ignore[arg-type]
