"""What was asked for and what the API reports -> the differences between them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from batch_updater.endpoint.description import Endpoint, Field, Kind
from batch_updater.endpoint.exact_json import from_json, number_of, to_json
from batch_updater.endpoint.objection import objection
from batch_updater.endpoint.request import written
from batch_updater.records import FieldChange, Unknown

if TYPE_CHECKING:
    from collections.abc import Collection

    from batch_updater.endpoint.allowed import AllowedValues
    from batch_updater.records import Job, Value

_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ].*)?")

_MOST_MARKS = 100
"""Combining marks on one letter; UAX #15 takes 30 for more than any text needs."""


class Difference(NamedTuple):
    """A field that the API reports otherwise than it was asked for."""

    field: str
    asked: str
    """As it was sent; '' if it was to be cleared."""
    got: str
    """As it was reported; '' if it is empty."""


class Doubt(NamedTuple):
    """Why an answer does not confirm an update."""

    cause: str
    """What is said of such answers together, to follow `200 OK`."""
    words: str
    """What is said of this one, to follow `The API answered 200 OK`."""
    said: str = ""
    """The part of the answer that says why; '' where all of it is to be looked at."""


NO_RECORD = Doubt(" without the record", ", but not with the record")


class Confirmation(NamedTuple):
    """What an answer says of the record that it is about."""

    record: Mapping[str, object] | None = None
    """The record, or another one where differences say so; None if the answer holds none."""
    differences: tuple[Difference, ...] = ()
    doubt: Doubt | None = None
    """None: nothing speaks against it."""

    @property
    def settles(self) -> bool:
        """Whether it is known what the update came to: it was done, or something else was."""
        return self.doubt is None or bool(self.differences)


def confirmation(endpoint: Endpoint, job: Job, status: int, answer: object, allowed: AllowedValues) -> Confirmation:
    """Judge the whole answer to an update, with a status of the kind 2xx.

    It confirms the update if it holds everything that the description says is reported of the fields that select the
    record and of those that were asked for, all of it equal, and says nowhere that it failed. Where the description
    promises no record, it is enough that the answer says nothing else.
    """
    promised = endpoint.promised(status)
    said = objection(answer, endpoint.known_properties)
    doubt = None if said is None else Doubt(" that says it failed", ", but says that it failed", said)
    record = _with_any(endpoint.record_properties, answer)
    if record is None:
        return Confirmation(None, (), doubt or (None if promised is None else NO_RECORD))
    found = differences(endpoint, job, record, allowed)
    lacking, is_certain = _lacking(endpoint, job, record, promised or frozenset())
    if not is_certain:
        # Whose values these are is not known, unless another field says that they are another record's.
        found = tuple(one for one in found if endpoint.field(one.field).selects_record)
    if lacking and doubt is None:
        *first, last = lacking
        names = f"{', '.join(first)} and {last}" if first else last
        doubt = Doubt(" with less than the record", f", but the record lacks {names}")
    return Confirmation(record, found, doubt)


def _lacking(
    endpoint: Endpoint, job: Job, record: Mapping[str, object], promised: frozenset[str]
) -> tuple[list[str], bool]:
    """Return which properties that are promised the record lacks; and whether those that say whose it is are there."""
    lacking, is_certain = [], True
    for field in endpoint.reported_fields:
        if field.name not in job.values:
            continue
        name = field.reported_as if field.reported_as in promised else field.reported_id_as
        if name in promised and (name not in record or (field.selects_record and _is_blank(record[name]))):
            lacking.append(name)
            is_certain = is_certain and not field.selects_record
    return lacking, is_certain


def _with_any(described: frozenset[str], answer: object) -> Mapping[str, object] | None:
    """Return the answer if it is an object with one of the described properties, or with any if none is described.

    `{}` or `{"message": "ok"}` is no record.
    """
    if not isinstance(answer, Mapping):
        return None
    return answer if (not described and answer) or not described.isdisjoint(answer) else None


def differences(
    endpoint: Endpoint, job: Job, record: Mapping[str, object], allowed: AllowedValues
) -> tuple[Difference, ...]:
    """Return the fields in which the record differs from what the job asked for, those that name the record first.

    A field that the record does not have is not compared, nor one that selects the record and is blank. A name is
    compared by its id, and only where the list that maps it is known: otherwise the API's acceptance is enough, unless
    there is no id.
    """
    found = []
    values = job.values
    for field in endpoint.reported_fields:
        if field.name not in values:
            continue
        asked = values[field.name]
        if field.reported_as is not None and field.reported_as in record:
            got = record[field.reported_as]
            if not same(field, asked, got) and not (field.selects_record and _is_blank(got)):
                found.append(Difference(field.name, _shown(field, asked), _plain(got)))
        elif field.reported_id_as is not None and field.reported_id_as in record:
            found.extend(_different_id(field, job, record[field.reported_id_as], allowed))
    return tuple(found)


def record_of(endpoint: Endpoint, job: Job, answer: object) -> Mapping[str, object] | None:
    """Return the job's record out of the answer to a reading: alone, or the one of an array that is the target.

    None if there is no such record, or more than one, or if it comes with the word that something failed.
    """
    described = endpoint.read.properties if endpoint.read else frozenset()
    listed = answer if isinstance(answer, list) else [answer]
    keys = [
        field
        for field in endpoint.reported_fields
        if field.selects_record and field.reported_as and (not described or field.reported_as in described)
    ]
    found = [
        record
        for one in listed
        if (record := _with_any(described, one)) is not None
        and all(same(field, job.values.get(field.name), record.get(field.reported_as or "")) for field in keys)
    ]
    if len(found) != 1 or objection(found[0], endpoint.known_properties) is not None:
        return None
    return found[0]


def changes(
    endpoint: Endpoint, job: Job, record: Mapping[str, object], allowed: AllowedValues
) -> tuple[FieldChange, ...]:
    """Return what the job would change of a record as it stands.

    A field that the record does not tell, and a name whose id is not known, may be another and so counts as one.
    """
    found = []
    for field in endpoint.body_fields:
        if field.name not in job.values:
            continue
        asked, now = job.values[field.name], value_in(field, job, record, allowed)
        unknown = isinstance(now, Unknown)
        if unknown or not same(field, asked, now):
            found.append(FieldChange(field.name, now, asked))
    return tuple(found)


def changes_of(
    endpoint: Endpoint, allowed: AllowedValues, job: Job, before: str, otherwise: Collection[str | None]
) -> tuple[FieldChange, ...]:
    """Return what the job changes of a record that was kept as JSON.

    `otherwise` are fields that the API reported otherwise than asked: they have not become what was asked, and none has
    where one of them says that another record answered.
    """
    record = from_json(before)
    is_others = bool(otherwise) and any(one.selects_record and one.name in otherwise for one in endpoint.fields)
    if is_others or not isinstance(record, dict):
        return ()
    return tuple(change for change in changes(endpoint, job, record, allowed) if change.field not in otherwise)


def value_in(field: Field, job: Job, record: Mapping[str, object], allowed: AllowedValues) -> object:
    """Return what a record holds in a field, a name for an id where that is known; Unknown if it cannot be told."""
    if field.reported_as is not None and field.reported_as in record:
        return record[field.reported_as]
    if field.reported_id_as is None or field.reported_id_as not in record:
        return Unknown("")
    identity = record[field.reported_id_as]
    if _is_blank(identity):
        return None
    name = allowed.name_of(field, job, identity)
    return Unknown(_plain(identity)) if name is None else name


def _different_id(field: Field, job: Job, got: object, allowed: AllowedValues) -> tuple[Difference, ...]:
    asked = job.values[field.name]
    if asked is None:
        return () if _is_blank(got) else (Difference(field.name, "", f"id {_plain(got)}"),)
    if _is_blank(got) and not _is_blank(asked):
        return (Difference(field.name, _shown(field, asked), ""),)
    expected = allowed.id_of(field, job)
    if expected is None or _plain(got) == str(expected):
        return ()
    return (Difference(field.name, f"{_shown(field, asked)} (id {expected})", f"id {_plain(got)}"),)


def same(field: Field, asked: Value, got: object) -> bool:
    """Whether a reported value is the one that was asked for; null equals blank."""
    if got == asked and type(got) is type(asked):
        return True  # as nearly always
    if asked is None or _is_blank(got):
        return _is_blank(got) and (asked is None or (isinstance(asked, str) and not asked.strip()))
    if isinstance(got, (list, dict)):
        return False
    if isinstance(asked, bool):
        return _plain(got).casefold() == written(field, asked)
    if field.kind in (Kind.INTEGER, Kind.DECIMAL):
        return number_of(got) == Decimal(str(asked))
    if isinstance(asked, date):
        day = _DAY.fullmatch(_plain(got).strip())
        return (day is not None and day[1] == asked.isoformat()) or _plain(got).strip() == written(field, asked)
    return _normal(_plain(got)) == _normal(str(asked))


def _is_blank(got: object) -> bool:
    return got is None or (isinstance(got, str) and not got.strip())


def _normal(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return (text if _has_endless_marks(text) else unicodedata.normalize("NFC", text)).strip()


def _has_endless_marks(text: str) -> bool:
    """Whether marks follow one another that no script knows; sorting them takes the square of their number."""
    if text.isascii() or len(text) <= _MOST_MARKS:
        return False
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks > _MOST_MARKS:
            return True
    return False


def _plain(got: object) -> str:
    if isinstance(got, (list, dict)):
        return to_json(got)
    if got is None:
        return ""
    return str(got).lower() if isinstance(got, bool) else str(got)


def _shown(field: Field, asked: Value) -> str:
    return "" if asked is None else written(field, asked)
