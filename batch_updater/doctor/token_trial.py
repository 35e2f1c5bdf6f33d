"""Whether the API accepts the token: one record is read with it, and once more without, for some APIs ignore it.

Reading is the only call that changes nothing. The record is one that a person names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from batch_updater.config.schema import ApiSettings
from batch_updater.doctor.credentials import ApiSecrets
from batch_updater.doctor.finding import Finding, Status, ok, warning, wrong
from batch_updater.doctor.reach import NoAnswer, ask
from batch_updater.endpoint.compare import records_read
from batch_updater.endpoint.description import Endpoint, Field, Kind, ParameterLocation
from batch_updater.endpoint.reported import equals_reported, value_at
from batch_updater.endpoint.request import RequestBuilder
from batch_updater.errors import UsageError
from batch_updater.records import Job
from batch_updater.sender.answer import read_error_answer, status_name
from batch_updater.sender.auth import refusal_advice
from batch_updater.text.redaction import Redaction

if TYPE_CHECKING:  # only where there is a team
    from batch_updater.runs.team_quota import TeamQuota

_DENIED = frozenset({401, 403})
_NO_SUCH = frozenset({404, 410})
_CHECK_TOKEN = "Check that it is complete, has not expired, and belongs to this API and account."  # noqa: S105
_ASK_RIGHTS = "Check api.base_url, and ask the people who manage the account what it may do."


class TokenTrial(msgspec.Struct, frozen=True):
    """A record that may be read to try the token."""

    endpoint: Endpoint
    job: Job

    @property
    def shown(self) -> str:
        """Its name for people, such as `opportunity 501`."""
        naming = (
            str(value)
            for name, value in self.job.values.items()
            if self.endpoint.field(name).location is not ParameterLocation.HEADER
        )
        return f"{self.endpoint.record_name} {', '.join(naming)}"


def fields_to_name(endpoint: Endpoint, constants: Mapping[str, str]) -> tuple[Field, ...]:
    """Return the fields that name a record: those of the path without a constant."""
    path = endpoint.sample_read.path if endpoint.sample_read else ""
    in_path = [
        field for field in endpoint.fields if field.location is ParameterLocation.PATH and field.name not in constants
    ]
    return tuple(sorted(in_path, key=lambda field: path.find(f"{{{field.wire_name}}}")))


def trial_of(endpoint: Endpoint, constants: Mapping[str, str], typed: Sequence[str]) -> TokenTrial:
    """Return the trial of a record; `typed` holds a value for each field that names it, then for query parameters.

    Raises UsageError, which says what is needed.
    """
    if endpoint.sample_read is None:
        raise UsageError(
            f"The description {endpoint.name} names no way to read a record.",
            remedy="Set api.read in the configuration to the operation that returns one.",
        )
    needed = fields_to_name(endpoint, constants)
    more = [endpoint.field(name) for name in endpoint.sample_read.query if name not in constants]
    if not len(needed) <= len(typed) <= len(needed) + len(more):
        names = " ".join([field.name for field in needed] + [f"[{field.name}]" for field in more])
        raise UsageError(f"The record to read is named by {names}.", remedy="Name it by these values, in this order.")
    texts = dict(zip((*needed, *more), typed, strict=False))
    texts |= {
        field: constants[field.name]
        for field in endpoint.fields
        if field.name in constants
        and (
            field.location in {ParameterLocation.PATH, ParameterLocation.HEADER}
            or field.name in endpoint.sample_read.query
        )
    }
    for field, text in texts.items():
        if field.kind is Kind.INTEGER and not re.fullmatch(r"-?[0-9]{1,19}", text):
            raise UsageError(f"{field.name} has to be a whole number.", remedy="Name an existing record.")
    values = {
        field.name: next((str(value) for value in field.enum if str(value).casefold() == text.casefold()), text)
        for field, text in texts.items()
    }
    trial = TokenTrial(replace(endpoint, read=endpoint.sample_read), Job(0, "", values))
    try:
        RequestBuilder(trial.endpoint).build_read(trial.job)
    except ValueError as error:
        raise UsageError("The record cannot be named like that.", remedy="Name an existing record.") from error
    return trial


def not_tried(secrets: ApiSecrets, why: str, remedy: str = "") -> Finding:
    """Return that the token was not tried, if one is configured."""
    if secrets.token is None:
        return secrets.token_finding
    source = secrets.token_finding.message.rstrip(".")
    return Finding("token", Status.SKIPPED, f"not tried: {source}, but {why}.", remedy)


def try_token(
    api: ApiSettings, secrets: ApiSecrets, trial: TokenTrial, redaction: Redaction, quota: TeamQuota | None = None
) -> Finding:
    """Read the record, and say what the answer tells about the token. `quota`: that of a team."""
    request = RequestBuilder(trial.endpoint).build_read(trial.job)
    url = f"{api.base_url}{request.path}{'?' if request.query else ''}{request.query}"
    of_record, of_all = dict(request.headers), {name: value.reveal() for name, value in secrets.headers.items()}
    headers = {"Accept": "application/json", **of_record, **of_all}
    with_token, whole_url = headers, url
    if secrets.token and secrets.placement:
        with_token = headers | secrets.placement.headers(secrets.token)
        if query := secrets.placement.query(secrets.token):
            whole_url = f"{url}{'&' if request.query else '?'}{query}"
    name, source = trial.endpoint.api_name, secrets.token_finding.message.rstrip(".")
    try:
        with_it = ask(api, "GET", whole_url, with_token, quota)
        answer = read_error_answer(with_it.status, with_it.body, "", trial.endpoint)
        status, is_2xx = status_name(answer.status), 200 <= answer.status < 300
        explanation = redaction.text(answer.explanation.line)[:200].rstrip(".")
        reason = f": {explanation}" if explanation else ""
        answered = f"{name} answered {status}{', but not with the record' if is_2xx else ''}{reason}"
        if answer.status in _DENIED:
            why = f"({status}){reason}"
            if secrets.token is None:
                message, remedy = (
                    f"none is configured, and {name} needs one {why}.",
                    refusal_advice(api, trial.endpoint),
                )
            elif answer.status == 401:
                message = f"{source}, but {name} does not accept it {why}."
                remedy = f"{_CHECK_TOKEN} {refusal_advice(api, trial.endpoint)}"
            else:
                message, remedy = f"{source}, but {name} does not let it read {trial.shown} {why}.", _ASK_RIGHTS
            return wrong("token", message, remedy)
        if answer.status in {408, 425, 429} or answer.status >= 500:
            return not_tried(secrets, answered, "Try again later.")
        is_proven = secrets.token is not None and ask(api, "GET", url, headers, quota).status in _DENIED
    except NoAnswer as error:
        why = f"reading brought no answer. {error.finding.message.rstrip('.')}"
        return not_tried(secrets, why, error.finding.remedy)
    is_read = is_2xx and _holds(trial, answer.body.value)
    if secrets.token is None and is_read:
        return ok("token", f"none is configured, and {name} gives {trial.shown} without one.")
    if not is_proven:  # without the token it is not refused either
        what = f"{name} gives {trial.shown}" if is_read else answered
        return not_tried(secrets, f"{what}, without a token as well", "" if is_read else "Check api.base_url.")
    accepted = f"{source}, and {name} accepts it"
    if is_read:
        return ok("token", f"{accepted}: it gave {trial.shown}.")
    if answer.status in _NO_SUCH or records_read(trial.endpoint, answer.body.value) == []:
        remedy = "Name an existing one: --record. If this one exists, check api.base_url."
        return warning("token", f"{accepted}; but there is no {trial.shown}.", remedy)
    return warning("token", f"{accepted}; but {answered}.", "Check api.base_url and api.endpoint.")


def _holds(trial: TokenTrial, parsed: object) -> bool:
    """Whether an answer holds the record, alone or in a list; a record of which not all is named may be several."""
    named = [field for field in trial.endpoint.reported_fields if field.name in trial.job.values and field.reported_as]
    return any(
        isinstance(one, Mapping)
        and bool(one)
        and all(
            equals_reported(field, trial.job.values[field.name], value_at(one, field.reported_as)) for field in named
        )
        for one in records_read(trial.endpoint, parsed) or ()
    )
