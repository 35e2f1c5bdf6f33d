"""Compares a job with the record that the API reports: whether an answer confirms it, and what it would change."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import msgspec

from batch_updater.endpoint.allowed import AllowedValues
from batch_updater.endpoint.description import Endpoint, Field
from batch_updater.endpoint.exact_json import from_json
from batch_updater.endpoint.reported import as_text, equals_reported, is_blank, reports, value_at
from batch_updater.endpoint.reported_failure import reported_failure
from batch_updater.endpoint.request import wire_text
from batch_updater.records import FieldChange, Job, Unknown, Value


class Difference(NamedTuple):
    """A field whose reported value is not the one that was asked for."""

    field: str
    asked: str
    """As it was sent; '' if it was to be cleared."""
    got: str
    """As it was reported; '' if it is empty."""


class Unconfirmed(NamedTuple):
    """Why an answer does not confirm an update."""

    cause: str
    """For all such answers together, to follow `200 OK`."""
    words: str
    """For this answer, to follow `The API answered 200 OK`."""
    said: str = ""
    """The part of the answer that gives the reason; '' if it is the whole answer."""


NO_RECORD = Unconfirmed(" without the record", ", but not with the record")


class Confirmation(msgspec.Struct, frozen=True):
    """How far an answer confirms an update."""

    record: Mapping[str, object] | None = None
    """The record, or another one if differences show that; None if the answer holds none."""
    differences: tuple[Difference, ...] = ()
    doubt: Unconfirmed | None = None
    """None: the answer gives no reason to doubt the update."""

    @property
    def settles(self) -> bool:
        """Whether the effect of the update is known, be it another one than was asked for."""
        return self.doubt is None or bool(self.differences)


def confirmation(endpoint: Endpoint, job: Job, status: int, answer: object, allowed: AllowedValues) -> Confirmation:
    """Judge the whole answer to an update; `status` is a 2xx.

    It confirms the update if it reports no failure and holds, with equal values, all properties that are always
    reported of the fields that select the record and of those that the job sets. Where the description has no record,
    reporting no failure is enough.
    """
    always = endpoint.always_reported(status)
    failure = reported_failure(answer, endpoint.known_properties)
    doubt = None if failure is None else Unconfirmed(" that says it failed", ", but says that it failed", failure)
    record = _as_record(endpoint.record_properties, answer)
    if record is None:
        return Confirmation(None, (), doubt or (None if always is None else NO_RECORD))
    differing = differences(endpoint, job, record, allowed)
    missing, is_identified = _missing(endpoint, job, record, always or frozenset())
    if not is_identified:
        # The values may be another record's: only a field that selects the record can differ.
        differing = tuple(one for one in differing if endpoint.field(one.field).selects_record)
    if missing and doubt is None:
        *first, last = missing
        names = f"{', '.join(first)} and {last}" if first else last
        doubt = Unconfirmed(" with less than the record", f", but the record lacks {names}")
    return Confirmation(record, differing, doubt)


def _missing(
    endpoint: Endpoint, job: Job, record: Mapping[str, object], always: frozenset[str]
) -> tuple[list[str], bool]:
    """Return which properties that are always reported are missing, and whether those that select the record exist."""
    missing, is_identified = [], True
    for field in endpoint.reported_fields:
        if field.name not in job.values:
            continue
        first = str(field.reported_as[0]) if field.reported_as else None
        name = first if first in always else field.reported_id_as
        if name in always and (name not in record or (field.selects_record and is_blank(record[name]))):
            missing.append(name)
            is_identified = is_identified and not field.selects_record
    return missing, is_identified


def _as_record(properties: frozenset[str], answer: object) -> Mapping[str, object] | None:
    """Return an object with at least one of the record's properties, or with any if none is described; else None.

    `{}` and `{"message": "ok"}` are no records.
    """
    if not isinstance(answer, Mapping):
        return None
    return answer if (not properties and answer) or not properties.isdisjoint(answer) else None


def differences(
    endpoint: Endpoint, job: Job, record: Mapping[str, object], allowed: AllowedValues
) -> tuple[Difference, ...]:
    """Return the fields in which the record differs from the job, those that select the record first.

    Not compared: a field that the record does not have, and a blank one that selects the record. A name is compared by
    its id, and only if the list that maps it is known: otherwise the API's acceptance is enough, unless the id is
    blank.
    """
    differing = []
    values = job.values
    for field in endpoint.reported_fields:
        if field.name not in values:
            continue
        asked = values[field.name]
        if reports(field, record):
            got = value_at(record, field.reported_as)
            if not equals_reported(field, asked, got) and not (field.selects_record and is_blank(got)):
                differing.append(Difference(field.name, _sent(field, asked), as_text(got)))
        elif field.reported_id_as is not None and field.reported_id_as in record:
            got = record[field.reported_id_as]
            if asked is None:
                if not is_blank(got):
                    differing.append(Difference(field.name, "", f"id {as_text(got)}"))
            elif is_blank(got) and not is_blank(asked):
                differing.append(Difference(field.name, _sent(field, asked), ""))
            elif (expected := allowed.id_of(field, job)) is not None and as_text(got) != str(expected):
                sent = f"{_sent(field, asked)} (id {expected})"
                differing.append(Difference(field.name, sent, f"id {as_text(got)}"))
    return tuple(differing)


def _sent(field: Field, asked: Value) -> str:
    return "" if asked is None else wire_text(field, asked)


def record_of(endpoint: Endpoint, job: Job, answer: object) -> Mapping[str, object] | None:
    """Return the job's record from the answer to a reading: the record itself, or the target's in an array.

    None if there is no such record or more than one, or if it reports a failure.
    """
    described = endpoint.read.properties if endpoint.read else frozenset()
    keys = [
        field
        for field in endpoint.reported_fields
        if field.selects_record and field.reported_as and (not described or field.reported_as[0] in described)
    ]
    records = [
        record
        for one in (answer if isinstance(answer, list) else [answer])
        if (record := _as_record(described, one)) is not None
        and all(
            equals_reported(field, job.values.get(field.name), value_at(record, field.reported_as)) for field in keys
        )
    ]
    if len(records) != 1 or reported_failure(records[0], endpoint.known_properties) is not None:
        return None
    return records[0]


def changes(
    endpoint: Endpoint, job: Job, record: Mapping[str, object], allowed: AllowedValues
) -> tuple[FieldChange, ...]:
    """Return what the job would change in a record.

    A field that is not reported, and a name whose id is not known, count as changed: they may be.
    """
    changed = []
    for field in endpoint.body_fields:
        if field.name not in job.values:
            continue
        new: Value = job.values[field.name]
        now: object = Unknown("")
        if reports(field, record):
            now = value_at(record, field.reported_as)
        elif field.reported_id_as is not None and field.reported_id_as in record:
            identity = record[field.reported_id_as]
            now = None
            if not is_blank(identity) and (now := allowed.name_of(field, job, identity)) is None:
                now = Unknown(as_text(identity))
        if isinstance(now, Unknown) or not equals_reported(field, new, now):
            changed.append(FieldChange(field.name, now, new))
    return tuple(changed)


def changes_of(
    endpoint: Endpoint, allowed: AllowedValues, job: Job, before: str, differing: Collection[str | None]
) -> tuple[FieldChange, ...]:
    """Return what the job changed in a record that was stored as JSON before.

    `differing`: the fields that the API then reported with another value. They were not changed as asked; nothing was
    if one of them selects the record, because then another record answered.
    """
    record = from_json(before)
    is_another = bool(differing) and any(one.selects_record and one.name in differing for one in endpoint.fields)
    if is_another or not isinstance(record, dict):
        return ()
    return tuple(change for change in changes(endpoint, job, record, allowed) if change.field not in differing)
