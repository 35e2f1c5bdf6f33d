"""Compares a job with the record that the API reports: whether an answer confirms it, and what it would change."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from batch_updater.endpoint.allowed import AllowedValues
from batch_updater.endpoint.description import EMPTY_VALUES, Endpoint, Field, Kind
from batch_updater.endpoint.exact_json import from_json
from batch_updater.endpoint.reported import NOTHING, as_text, equals_reported, is_blank, reports, value_at
from batch_updater.endpoint.reported_failure import reported_failure
from batch_updater.endpoint.request import is_header_value, json_value, wire_text
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
    candidates, failure = _unwrapped(endpoint.record_path, answer)
    if len(candidates) > 1:
        candidates = _of_target(endpoint, job, candidates, endpoint.record_properties)
    candidate = candidates[0] if len(candidates) == 1 else None
    failure = failure or reported_failure(candidate, endpoint.known_properties)
    doubt = None if failure is None else Unconfirmed(" that says it failed", ", but says that it failed", failure)
    record = _as_record(endpoint.record_properties, candidate)
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


def _unwrapped(path: Sequence[str | int], answer: object) -> tuple[Sequence[object], str | None]:
    """Return what an answer has where its record is said to be, and the failure that the members around it report.

    That is one value, none if the path does not lead anywhere, or any number where it leads into a list.
    """
    failure = None
    for at, step in enumerate(path):
        if isinstance(step, str) and isinstance(answer, Mapping):
            failure = failure or reported_failure(answer, frozenset({step}))
            if step not in answer:
                return (), failure
            answer = answer[step]
        elif isinstance(step, int) and isinstance(answer, list):
            if at == len(path) - 1:
                return answer, failure
            if step >= len(answer):
                return (), failure
            answer = answer[step]
        else:
            return (), failure or reported_failure(answer, frozenset())
    return (answer,), failure


def _missing(
    endpoint: Endpoint, job: Job, record: Mapping[str, object], always: frozenset[str]
) -> tuple[list[str], bool]:
    """Return which properties that are always reported are missing, and whether those that select the record exist."""
    missing, is_identified = [], True
    for field in endpoint.reported_fields:
        first = str(field.reported_as[0]) if field.reported_as else None
        name = first if first in always else field.reported_id_as
        if name not in always or (name in record and not (field.selects_record and is_blank(record[name]))):
            continue
        if _is_filled(field, job):
            missing.append(name)
            is_identified = is_identified and not field.selects_record
    for field, of_list in endpoint.reported_pairs:
        # A service ignores keys that it does not know.
        has_list = isinstance(value_at(record, of_list), list)
        if has_list and not reports(field, record) and _is_filled(field, job):
            missing.append(field.name)
    return missing, is_identified


def _is_filled(field: Field, job: Job) -> bool:
    """Whether the job gives the field a value; many services leave out what is empty."""
    value = job.values.get(field.name)
    return value is not None and not (field.may_be_empty and value in EMPTY_VALUES)


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
        got = value_at(record, field.reported_as, NOTHING) if field.reported_as else NOTHING
        if got is not NOTHING:
            # A service may keep a list in an order of its own: that is no other value than was asked for.
            is_equal = equals_reported(field, asked, got, in_order=False)
            if not is_equal and not (field.selects_record and is_blank(got)):
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
    if asked is None:
        return ""
    return as_text(json_value(field, asked)) if field.kind is Kind.LIST else wire_text(field, asked)


def records_read(endpoint: Endpoint, answer: object) -> Sequence[object] | None:
    """Return what the answer to a reading has as records: one, or those of an array; None if it has no such place."""
    candidates, _ = _unwrapped(endpoint.read.record_path if endpoint.read else (), answer)
    if len(candidates) == 1 and isinstance(candidates[0], list):
        return candidates[0]
    return candidates if isinstance(candidates, list) or candidates else None


def etag_of(header: str, record: Mapping[str, object]) -> str:
    """Return the version of a record that was read, as If-Match has it; '' if it has none that a header can hold.

    It is in the header ETag, or in the record: `@odata.etag` (OData JSON Format 4.01, section 4.6.8), or `etag`.
    A weak one goes out as it is: OData has no others, and a service that compares as RFC 9110 has it refuses it.
    """
    named = {name.casefold(): value for name, value in record.items() if isinstance(value, str)}
    etag = header or named.get("@odata.etag") or named.get("etag") or ""
    return etag if is_header_value(etag) else ""


def record_of(endpoint: Endpoint, job: Job, answer: object) -> Mapping[str, object] | None:
    """Return the job's record from the answer to a reading: the record itself, or the target's in an array.

    None if there is no such record or more than one, or if it reports a failure.
    """
    read = endpoint.read
    described = read.properties if read else frozenset()
    records = _of_target(endpoint, job, records_read(endpoint, answer) or (), described)
    _, failure = _unwrapped(read.record_path if read else (), answer)
    if len(records) != 1 or failure is not None or reported_failure(records[0], endpoint.known_properties) is not None:
        return None
    return records[0]


def _of_target(
    endpoint: Endpoint, job: Job, candidates: Iterable[object], described: frozenset[str]
) -> list[Mapping[str, object]]:
    """Return those that are records, and may be the job's; `described` are the properties that a record may have."""
    keys = [
        field
        for field in endpoint.reported_fields
        if field.selects_record and field.reported_as and (not described or field.reported_as[0] in described)
    ]
    return [
        record
        for one in candidates
        if (record := _as_record(described, one)) is not None
        and all(
            equals_reported(field, job.values.get(field.name), value_at(record, field.reported_as)) for field in keys
        )
    ]


def changes(
    endpoint: Endpoint, job: Job, record: Mapping[str, object], allowed: AllowedValues
) -> tuple[FieldChange, ...]:
    """Return what the job would change in a record.

    A field that is not reported, and a name whose id is not known, count as changed: they may be. So does a list of
    which only the order is another: where that does not matter, to send it does no harm.
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
            is_text_of_json = field.kind in {Kind.LIST, Kind.JSON} and new is not None
            changed.append(FieldChange(field.name, now, json_value(field, new) if is_text_of_json else new))
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
