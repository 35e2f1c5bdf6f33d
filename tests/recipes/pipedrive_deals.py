"""Deals as version 2 of Pipedrive's API documents them: an envelope, and custom fields by keys of 40 characters."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from tests.recipes.recipe import Recipe
from tests.recipes.vendor_server import Received, Record, Refused, Reply, VendorServer

TOKEN = "9a41e3d5c0b7f6281e5d4c3b2a190f8e7d6c5b4a"
TIER, PO_NUMBER = "dcf558aac1ae4e8c4f849ba5e668430d8df9be12", "84ac37aa85b14ce7a9ff2f3e0d5f1b6f4fd2c0d7"
COMMISSION = "0f3c5d7e9b1a2c4d6e8f0a1b2c3d4e5f60718293"
TIERS, STAGES, STATUSES = {12, 13}, {1: 1, 2: 1, 3: 1, 7: 2}, {"open", "won", "lost"}
"""Options of the custom field Tier; stage -> its pipeline."""
_TYPES: dict[str, tuple[type, ...]] = {
    "title": (str,), "owner_id": (int,), "stage_id": (int,), "value": (int, float), "currency": (str,),
    "status": (str,), "probability": (int, type(None)), "lost_reason": (str, type(None)), "label_ids": (list,),
    "expected_close_date": (str, type(None)), "custom_fields": (dict,),
}  # fmt: skip


def _custom(key: str, value: object) -> Record:
    return {TIER: None, PO_NUMBER: None, COMMISSION: None, key: value}


def deal(number: int, **members: object) -> Record:
    return {
        "id": number, "title": f"Deal {number}", "owner_id": 501, "stage_id": 1, "pipeline_id": 1, "value": 0,
        "currency": "EUR", "status": "open", "probability": None, "lost_reason": None, "is_archived": False,
        "expected_close_date": None, "label_ids": [], "custom_fields": _custom(TIER, None),
    } | members  # fmt: skip


class PipedriveDeals(VendorServer):
    """Holds three open deals with two custom fields."""

    def __init__(self) -> None:
        super().__init__()
        for record in (
            deal(101, value=1200.5, expected_close_date="2026-12-01", label_ids=[4]),
            deal(102, value=8000, stage_id=2, custom_fields=_custom(TIER, 12) | {PO_NUMBER: "0042"}),
            deal(103, value=15, label_ids=[4, 5], custom_fields=_custom(TIER, 13)),
        ):
            self.records[str(record["id"])] = record

    def too_fast(self) -> Reply:
        return _answer(429, {"success": False, "error": "request over limit"}, {"x-ratelimit-reset": "0"})

    def reply(self, request: Received) -> Reply:
        if request.headers.get("x-api-token") != TOKEN:
            raise _error(401, "unauthorized access", "ERR_UNAUTHORIZED")
        number = request.path.removeprefix("/api/v2/deals/")
        if number not in self.records:
            raise _error(404, "Deal not found", "ERR_NOT_FOUND")
        if request.method == "PATCH":
            self.records[number] = self._changed(number, request)
        elif request.method != "GET":
            raise _error(405, "Method not allowed", "ERR_METHOD_NOT_ALLOWED")
        return _answer(200, {"success": True, "data": self.records[number]})

    def _changed(self, number: str, request: Received) -> Record:
        if request.content_type != "application/json":
            raise _error(415, "Unsupported media type", "ERR_UNSUPPORTED_MEDIA_TYPE")
        change, record = request.json(), deepcopy(self.records[number])
        for name, value in change.items():
            if name not in _TYPES:
                raise _invalid(f"{name}: unknown field")
            if not isinstance(value, _TYPES[name]) or isinstance(value, bool):
                raise _invalid(f"{name}: {value!r} is of another type")
        if change.get("status", "open") not in STATUSES:
            raise _invalid("status: must be open, won or lost")
        if change.get("stage_id", 1) not in STAGES:
            raise _invalid(f"stage_id: stage {change['stage_id']} does not exist")
        for key, value in change.pop("custom_fields", {}).items():
            is_tier = key == TIER and value in TIERS
            is_number = key == PO_NUMBER and isinstance(value, str)
            is_amount = key == COMMISSION and isinstance(value, dict) and set(value) == {"value", "currency"}
            if key not in record["custom_fields"] or not (value is None or is_tier or is_number or is_amount):
                raise _invalid(f"custom_fields.{key}: {value!r} is not valid")
            record["custom_fields"][key] = value
        record |= change
        if record["lost_reason"] is not None and record["status"] != "lost":
            raise _invalid("lost_reason: can only be set if the status is lost")
        return record | {"pipeline_id": STAGES[record["stage_id"]]}


def _answer(status: int, body: Any, headers: dict[str, str] | None = None) -> Reply:
    return Reply(status, body, {"x-ratelimit-limit": "20", "x-ratelimit-remaining": "0"} | (headers or {}))


def _error(status: int, message: str, code: str) -> Refused:
    return Refused(_answer(status, {"success": False, "error": message, "code": code, "data": None}))


def _invalid(what: str) -> Refused:
    return _error(400, f"Validation failed: {what}", "ERR_SCHEMA_VALIDATION_FAILED")


RECIPE = Recipe(
    name="pipedrive-deals",
    description="pipedrive-deals.yaml",
    server=PipedriveDeals,
    secrets={"PIPEDRIVE_TOKEN": TOKEN},
    bad_cell=("stage_id", "99"),
    reason="stage 99 does not exist",
)
