"""Whether the API accepts the token: one record is read with it, and once more without, for some APIs look at none.

Reading is the only call that changes nothing. The record is one that a person names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from batch_updater.doctor.finding import Finding, Status
from batch_updater.doctor.reach import NO_ANSWER, ask, no_answer
from batch_updater.endpoint.description import Kind, ParameterLocation
from batch_updater.endpoint.reported import equals_reported
from batch_updater.endpoint.request import RequestBuilder
from batch_updater.errors import UsageError
from batch_updater.records import Job
from batch_updater.sender.answer import Answer, read_error_answer, status_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batch_updater.config.schema import ApiSettings
    from batch_updater.doctor.credentials import Had
    from batch_updater.endpoint.description import Endpoint, Field
    from batch_updater.text.redaction import Redaction

_DENIED = frozenset({401, 403})
_NO_SUCH = frozenset({404, 410})


@dataclass(frozen=True, slots=True)
class Trial:
    """A record that may be read."""

    endpoint: Endpoint
    job: Job
    """Only what selects the record."""

    @property
    def shown(self) -> str:
        """What a person calls it, such as `opportunity 501`."""
        return f"{self.endpoint.record_name} {', '.join(str(value) for value in self.job.values.values())}"


def fields_to_name(endpoint: Endpoint, constants: Mapping[str, str]) -> tuple[Field, ...]:
    """Return the fields of which a record has to be named to be read: those of the path without a constant."""
    path = endpoint.sample_read.path if endpoint.sample_read else ""
    in_path = [
        field for field in endpoint.fields if field.location is ParameterLocation.PATH and field.name not in constants
    ]
    return tuple(sorted(in_path, key=lambda field: path.find(f"{{{field.wire_name}}}")))


def trial_of(endpoint: Endpoint, constants: Mapping[str, str], typed: Sequence[str]) -> Trial:
    """Return the trial of a record: a value for each field to name, then, if need be, for the parameters of the query.

    Raises UsageError, which says what is needed.
    """
    if endpoint.sample_read is None:
        raise UsageError(f"The description {endpoint.name} names no way to read a record (x-read).")
    needed = fields_to_name(endpoint, constants)
    more = [endpoint.field(name) for name in endpoint.sample_read.query if name not in constants]
    if not len(needed) <= len(typed) <= len(needed) + len(more):
        names = " ".join([field.name for field in needed] + [f"[{field.name}]" for field in more])
        raise UsageError(f"The record to read is named by {names}.", remedy="Name it by these values, in this order.")
    given = dict(zip((*needed, *more), typed, strict=False))
    given |= {
        field: constants[field.name]
        for field in endpoint.fields
        if field.name in constants
        and (field.location is ParameterLocation.PATH or field.name in endpoint.sample_read.query)
    }
    for field, text in given.items():
        if field.kind is Kind.INTEGER and not re.fullmatch(r"-?[0-9]{1,19}", text):
            raise UsageError(f"{field.name} has to be a whole number.", remedy="Name a record that is there.")
    values = {field.name: _as_described(field, text) for field, text in given.items()}
    trial = Trial(replace(endpoint, read=endpoint.sample_read), Job(0, "", values))
    try:
        RequestBuilder(trial.endpoint).build_read(trial.job)
    except ValueError as error:
        raise UsageError("The record cannot be named like that.", remedy="Name one that is there.") from error
    return trial


def _as_described(field: Field, text: str) -> str:
    return next((str(value) for value in field.enum if str(value).casefold() == text.casefold()), text)


def not_tried(had: Had, why: str, remedy: str = "") -> Finding:
    """Return that it is not known whether the API accepts the token, if one is configured."""
    if had.token is None:
        return had.token_finding
    return Finding("token", Status.SKIPPED, f"not tried: {had.token_finding.message.rstrip('.')}, but {why}.", remedy)


def tried(api: ApiSettings, had: Had, trial: Trial, redaction: Redaction) -> Finding:
    """Read the record, and say what that tells of the token."""
    url = _url(api, trial)
    headers = {"Accept": "application/json", **{name: value.reveal() for name, value in had.headers.items()}}
    with_token = {**headers, "Authorization": f"Bearer {had.token.reveal()}"} if had.token else headers
    try:
        heard = ask(api, "GET", url, with_token)
        answer = read_error_answer(heard.status, heard.body, "", trial.endpoint)
        if heard.status in _DENIED:
            return _denied(had, trial, answer, redaction)
        if heard.status in {408, 425, 429} or heard.status >= 500:
            return not_tried(had, _answered(trial, answer, redaction), "Try again later.")
        is_proven = had.token is not None and ask(api, "GET", url, headers).status in _DENIED
    except NO_ANSWER as error:
        failure = no_answer(error, api, url)
        return not_tried(had, f"reading brought no answer. {failure.message.rstrip('.')}", failure.remedy)
    return _judged(had, trial, answer, redaction, is_proven=is_proven)


def _url(api: ApiSettings, trial: Trial) -> str:
    request = RequestBuilder(trial.endpoint).build_read(trial.job)
    return f"{api.base_url}{request.path}{'?' if request.query else ''}{request.query}"


def _denied(had: Had, trial: Trial, answer: Answer, redaction: Redaction) -> Finding:
    name = trial.endpoint.api_name
    said = _said(answer, redaction)
    if had.token is None:
        message = f"none is configured, and {name} wants one ({status_name(answer.status)}){said}."
        return Finding("token", Status.WRONG, message, "Say under api.token where it is kept.")
    if answer.status == 401:
        message = f"{name} does not accept it ({status_name(answer.status)}){said}."
        remedy = "See that it is whole, has not run out, and belongs to this API and account."
    else:
        message = f"{name} does not let it read {trial.shown} ({status_name(answer.status)}){said}."
        remedy = "Check api.base_url, and ask the people who manage the account what it may do."
    return Finding("token", Status.WRONG, f"{had.token_finding.message.rstrip('.')}, but {message}", remedy)


def _judged(had: Had, trial: Trial, answer: Answer, redaction: Redaction, *, is_proven: bool) -> Finding:
    """Judge an answer that refuses no token; `is_proven`: without one it is refused."""
    name, answered = trial.endpoint.api_name, _answered(trial, answer, redaction)
    is_read = 200 <= answer.status < 300 and _holds(trial, answer.body.value)
    if had.token is None and is_read:
        return Finding("token", Status.OK, f"none is configured, and {name} gives {trial.shown} without one.")
    if not is_proven:
        what = f"{name} gives {trial.shown}" if is_read else answered
        return not_tried(had, f"{what}, without a token as well", "" if is_read else "Check api.base_url.")
    accepted = f"{had.token_finding.message.rstrip('.')}, and {name} accepts it"
    if is_read:
        return Finding("token", Status.OK, f"{accepted}: it gave {trial.shown}.")
    if answer.status in _NO_SUCH or answer.body.value == []:
        remedy = "Name one that is there: --record. If this one is, check api.base_url."
        return Finding("token", Status.WARNING, f"{accepted}; but there is no {trial.shown}.", remedy)
    return Finding("token", Status.WARNING, f"{accepted}; but {answered}.", "Check api.base_url and api.endpoint.")


def _holds(trial: Trial, parsed: object) -> bool:
    """Whether an answer holds the record, alone or in an array; a record of which not all is named may be several."""
    named = [field for field in trial.endpoint.reported_fields if field.name in trial.job.values and field.reported_as]
    return any(
        isinstance(one, Mapping)
        and bool(one)
        and all(
            equals_reported(field, trial.job.values[field.name], one.get(field.reported_as or "")) for field in named
        )
        for one in (parsed if isinstance(parsed, list) else [parsed])
    )


def _answered(trial: Trial, answer: Answer, redaction: Redaction) -> str:
    without = ", but not with the record" if 200 <= answer.status < 300 else ""
    name = trial.endpoint.api_name
    return f"{name} answered {status_name(answer.status)}{without}{_said(answer, redaction)}"


def _said(answer: Answer, redaction: Redaction) -> str:
    """Return the API's own words, to follow the status."""
    said = redaction.text(answer.explanation.line)[:200].rstrip(".")
    return f": {said}" if said else ""
