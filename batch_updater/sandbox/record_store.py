"""The records, categories and stages that the sandbox holds."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from batch_updater.sandbox.contract import DEFAULT_LANGUAGE, Given, Invalid


class Names(msgspec.Struct, frozen=True):
    """The categories and stages in one language; the first of each has the id 1."""

    categories: tuple[str, ...]
    stages: tuple[str, ...]


LANGUAGES = {
    1: Names(
        ("New Business", "Existing Business", "Renewal", "Partnership"),
        ("Prospect", "Qualified", "Proposal", "Negotiation", "Closed Won", "Closed Lost"),
    ),
    2: Names(
        ("Neugeschäft", "Bestandsgeschäft", "Verlängerung", "Partnerschaft"),
        ("Interessent", "Qualifiziert", "Angebot", "Verhandlung", "Gewonnen", "Verloren"),
    ),
}

_CUSTOMERS = ("Acme", "Borealis", "Cedar", "Delta", "Evergreen", "Fabrikam", "Globex", "Harbor", "Initech", "Juniper")
_MATTERS = ("Network Renewal", "Cloud Move", "Data Centre", "Security Review", "Support Contract", "Pilot", "Roll-out")


class Record(msgspec.Struct, frozen=True):
    """One opportunity as it stands."""

    type: str
    id: int
    visit_id: int
    customer_id: int
    name: str | None
    crm_id: str | None
    category_id: int | None
    stage_id: int | None
    potential: int | Decimal | None
    """With the digits that it was given with."""
    revenue: int | Decimal | None
    close_date: date | None

    def as_json(self) -> str:
        """Return the record as the API reports it."""
        day = "null" if self.close_date is None else f'"{self.close_date.isoformat()}"'
        return (
            f'{{"Type": "{self.type}", "ID": {self.id}, "VisitID": {self.visit_id}, "CustomerID": {self.customer_id}, '
            f'"OpportunityName": {json.dumps(self.name, ensure_ascii=False)}, '
            f'"OpportunityID": {json.dumps(self.crm_id, ensure_ascii=False)}, '
            f'"OpportunityCategoryID": {_number(self.category_id)}, "OpportunityStageID": {_number(self.stage_id)}, '
            f'"OpportunityCompetitorID": null, "AcctPotential": {_number(self.potential)}, '
            f'"SalesRevenue": {_number(self.revenue)}, "PendingCloseDate": {day}, '
            '"VisitCustomerOpportunityID": null, "FollowUpSentDate": null}'
        )


def _number(value: int | Decimal | None) -> str:
    return "null" if value is None else str(value)


def language_names(language: int) -> Names:
    """Return the names in a language."""
    if language not in LANGUAGES:
        raise Invalid(f"Language {language} not found.")
    return LANGUAGES[language]


class RecordStore:
    """All records. Those that were not changed are made from the seed each time."""

    def __init__(self, seed: int, records: int, *, null_clears: bool) -> None:
        self._seed = seed
        self._records = records
        self._null_clears = null_clears
        self._changed: dict[tuple[str, int], Record] = {}

    def __iter__(self) -> Iterator[Record]:
        """Go over the records that were changed, the latest last."""
        yield from self._changed.values()

    def __len__(self) -> int:
        return len(self._changed)

    def clear(self) -> None:
        """Undo every change."""
        self._changed.clear()

    def get(self, kind: str, identity: int) -> Record | None:
        """Return a record; None if there is none."""
        if not 1 <= identity <= self._records:
            return None
        return self._changed.get((kind, identity)) or self._made(kind, identity)

    def put(self, record: Record) -> None:
        """Store a record as it now is."""
        key = (record.type, record.id)
        self._changed.pop(key, None)
        self._changed[key] = record

    def with_change(self, record: Record, change: Mapping[str, Given], language: int) -> Record:
        """Return a record as it would be after a change. Raises Invalid for names that do not exist."""
        names = language_names(language)
        values: dict[str, object] = {
            _ATTRIBUTES[field]: value for field, value in change.items() if value is not None or self._null_clears
        }
        if isinstance(values.get("category_id"), str):
            values["category_id"] = _id_of(values["category_id"], names.categories, "Category", "categories")
        if isinstance(values.get("stage_id"), str):
            values["stage_id"] = _id_of(values["stage_id"], names.stages, "Stage", "stages")
        return replace(record, **values)  # contract.read_change has judged every value

    def _made(self, kind: str, identity: int) -> Record:
        chance = random.Random(f"{self._seed} {kind} {identity}")  # noqa: S311  (sample data)
        names = LANGUAGES[DEFAULT_LANGUAGE]
        potential = chance.randrange(5_000, 500_000, 500)
        return Record(
            type=kind,
            id=identity,
            visit_id=chance.randrange(1, 10_000),
            customer_id=chance.randrange(1, 1_000),
            name=f"{chance.choice(_CUSTOMERS)} {chance.choice(_MATTERS)}",
            crm_id=f"OPP-{chance.randrange(2023, 2027)}-{identity:06d}",
            category_id=chance.randint(1, len(names.categories)),
            stage_id=chance.randint(1, len(names.stages)),
            potential=Decimal(f"{potential}.00"),
            revenue=Decimal(f"{potential * chance.randint(20, 90) // 100}.00"),
            close_date=date(2026, 1, 1) + timedelta(days=chance.randrange(0, 700)),
        )


_ATTRIBUTES = {
    "OpportunityName": "name",
    "OpportunityID": "crm_id",
    "CategoryName": "category_id",
    "StageName": "stage_id",
    "AcctPotential": "potential",
    "SalesRevenue": "revenue",
    "PendingCloseDate": "close_date",
}


def _id_of(name: object, names: tuple[str, ...], what: str, plural: str) -> int:
    for number, valid in enumerate(names, start=1):
        if name == valid:
            return number
    raise Invalid(f"{what} '{name}' not found. Please select from available {plural}.")
