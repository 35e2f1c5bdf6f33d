"""The description of an API as a configuration adjusts it: what the section `api` says goes before the document."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import NoReturn

from msgspec.structs import replace

from batch_updater.config.schema import ApiSettings, FieldSettings
from batch_updater.endpoint.description import (
    AllowedNames,
    Bounds,
    Endpoint,
    Field,
    Kind,
    NoSuchReadError,
    OpenColumns,
    OpenKind,
    Pair,
    ParameterLocation,
    ReadOperation,
    Requirement,
    SecurityKind,
    Step,
)
from batch_updater.endpoint.open_columns import field_of, opened
from batch_updater.endpoint.reference import load_endpoint
from batch_updater.endpoint.security import scheme_of
from batch_updater.errors import ConfigError, Location
from batch_updater.text.spelling import nearest

_OF_ALL_COLUMNS = frozenset({"kind", "nullable", "clears_with", "date_format"})
"""Keys that may be about all columns of an open part of the body."""
_BETWEEN_STEPS = re.compile(r"\.(?![^\[]*\])")
_ELEMENT = re.compile(r"(?P<list>.+)\[(?P<key_name>[^=\]]+)=(?P<key>[^\]]+)\]")
_WITHOUT_CONTENT = frozenset({204, 205})


def endpoint_for(api: ApiSettings, constants: Collection[str] = ()) -> Endpoint:
    """Return the endpoint that a configuration calls.

    `constants` are the names of the fields that have a value for every row. Raises EndpointError, which names the
    document, and ConfigError, which names the key and its place.
    """
    operation, _, more_query = (api.read or "").partition("?")
    try:
        endpoint = load_endpoint(api.endpoint, api.overlay, operation or None)
    except NoSuchReadError as error:
        close = nearest(operation, error.operations)
        _refuse(
            api,
            ("read",),
            f"names {operation}, which is no GET operation of the document",
            f"Did you mean {close}?" if close else 'Name one by its operationId, or as "get /path".',
        )
    if more_query:
        if endpoint.read is None:
            what = f"has parameters for a reading, and {endpoint.name} has no operation that reads a record"
            _refuse(api, ("read",), what, "Name the operation before the question mark.")
        endpoint = replace(endpoint, read=replace(endpoint.read, more_query=more_query))
        endpoint = replace(endpoint, sample_read=endpoint.read)
    endpoint = adjusted(endpoint, api, constants)
    if not endpoint.fields and not endpoint.opens:
        what = f"names {endpoint.name}, which has no parameter and no body that a row could fill in"
        _refuse(api, ("endpoint",), what, "Name another operation, or describe its body in an overlay (api.overlay).")
    return endpoint


def adjusted(endpoint: Endpoint, api: ApiSettings, constants: Collection[str] = ()) -> Endpoint:
    """Return an endpoint with what the configuration says of it. Raises ConfigError, as `endpoint_for` does."""
    return _limited(_with_fields(_with_settings(_without_given(endpoint, api), api), api), api, constants)


def _without_given(endpoint: Endpoint, api: ApiSettings) -> Endpoint:
    """Return it without the parameters that the configuration gives for every request, so that no column is one."""
    given = {(ParameterLocation.HEADER, name.lower()) for name in api.headers}
    if api.secret or api.oauth:
        scheme = scheme_of(api, endpoint)
        if scheme.kind is SecurityKind.QUERY:
            given.add((ParameterLocation.QUERY, scheme.name))
        elif scheme.kind is SecurityKind.HEADER:
            given.add((ParameterLocation.HEADER, scheme.name.lower()))

    def is_given(field: Field) -> bool:
        name = field.wire_name.lower() if field.location is ParameterLocation.HEADER else field.wire_name
        return (field.location, name) in given

    fields = tuple(field for field in endpoint.fields if not is_given(field))
    return _with(endpoint, fields) if len(fields) < len(endpoint.fields) else endpoint


def _with(endpoint: Endpoint, fields: Iterable[Field], names: Mapping[str, str] | None = None) -> Endpoint:
    """Return it with other fields; `names`: old name -> new name, of those that have another one."""
    changed, kept = names or {}, tuple(fields)
    there = {field.name for field in kept}

    def of_fields(read: ReadOperation | None) -> ReadOperation | None:
        query = (changed.get(name, name) for name in read.query) if read else ()
        return read and replace(read, query=tuple(name for name in query if name in there))

    return replace(endpoint, fields=kept, read=of_fields(endpoint.read), sample_read=of_fields(endpoint.sample_read))


def _with_settings(endpoint: Endpoint, api: ApiSettings) -> Endpoint:
    """Return it with what the configuration says of the whole call."""
    statuses, default = endpoint.record_statuses, endpoint.default_record
    if api.always_reported:
        always = frozenset(api.always_reported)
        known = endpoint.record_properties
        for name in always - known if known else ():
            close = nearest(name, known)
            remedy = f"Did you mean {close}?" if close else "Name properties of the record."
            _refuse(api, ("always_reported",), f"names {name}, which no answer of {endpoint.name} has", remedy)
        statuses = {status: always for status in statuses if status not in _WITHOUT_CONTENT} | {
            status: None for status in statuses if status in _WITHOUT_CONTENT
        }
        default = always
    return replace(
        endpoint,
        idempotent=endpoint.idempotent if api.idempotent is None else api.idempotent,
        record_name=api.record_name or endpoint.record_name,
        error_message_keys=api.error_message or endpoint.error_message_keys,
        quota_per_month=api.quota_per_month or endpoint.quota_per_month,
        quota_message=api.quota_exceeded or endpoint.quota_message,
        record_statuses=statuses,
        default_record=default,
    )


def _with_fields(endpoint: Endpoint, api: ApiSettings) -> Endpoint:
    """Return it with what the configuration says of single fields."""
    if not api.fields:
        return endpoint
    parts = {part.name: part for part in endpoint.opens if part.kind is not OpenKind.ITEMS}
    of_parts = {name: settings for name, settings in api.fields.items() if name in parts}
    for name, settings in of_parts.items():
        parts[name] = _with_columns(endpoint, parts[name], settings, api)
    endpoint = replace(endpoint, opens=tuple(parts.get(part.name, part) for part in endpoint.opens))
    endpoint = opened(endpoint, api.fields)
    fields, names = dict(endpoint.by_name), dict[str, str]()
    requirements, reported = list(endpoint.requirements), set[str]()
    for name, settings in api.fields.items():
        if name in of_parts:
            continue
        before = _field(endpoint, name)
        if before is None:
            _unknown(endpoint, api, ("fields", name), name)
        field = fields[before.name] = _changed(endpoint, fields[before.name], settings, api, name)
        if field.name != before.name:
            names[before.name] = field.name
        if settings.required is False:
            requirements = [one for one in requirements if one.member != field.path]
        if settings.reported_as or settings.reported_id_as:
            reported |= {str(step) for step in (*field.reported_as[:1], field.reported_id_as) if step is not None}
    by_name: dict[str, Field] = {}
    for field in fields.values():
        if by_name.setdefault(field.name, field) is not field:
            old = next(old for old, new in names.items() if new == field.name)
            what = f"is {field.name}, which is the name of another field"
            _refuse(api, ("fields", old, "field_name"), what, "Choose a name that is free.")
    if names:
        by_name = {name: _with_names(field, names) for name, field in by_name.items()}
    # Reported according to the configuration, whatever the schema of the answer lists.
    unlisted = reported - endpoint.record_properties - (endpoint.read.properties if endpoint.read else frozenset())
    return replace(
        _with(endpoint, by_name.values(), names),
        requirements=tuple(requirements),
        record_statuses={
            status: None if always is None else always | unlisted for status, always in endpoint.record_statuses.items()
        },
        default_record=None if endpoint.default_record is None else endpoint.default_record | unlisted,
    )


def _with_columns(endpoint: Endpoint, part: OpenColumns, settings: FieldSettings, api: ApiSettings) -> OpenColumns:
    """Return an open part with what the configuration says of all its columns at once."""
    if of_one := sorted(settings.model_fields_set - _OF_ALL_COLUMNS):
        what = f"cannot have {of_one[0]}: it is not one field, and its columns are named by the file"
        _refuse(api, ("fields", part.name), what, f"Say that of one of them, such as {part.name}.NAME.")
    return replace(part, fields=tuple(_changed(endpoint, field, settings, api, part.name) for field in part.fields))


def _changed(endpoint: Endpoint, field: Field, settings: FieldSettings, api: ApiSettings, name: str) -> Field:
    """Return a field as the configuration has it; `name` is what it is called there."""
    if settings.kind and (kind := Kind(settings.kind)) is not field.kind:
        # What restricted its values was about those of the other kind.
        field = replace(field, kind=kind, enum=(), bounds=Bounds(), format="", json_schema="", is_identifier=False)
    if settings.nullable and field.location is not ParameterLocation.BODY:
        where = f"a parameter in the {field.location}"
        _refuse(api, ("fields", name, "nullable"), f"cannot be true: it is {where}, and only fields of the body can be "
                "emptied", "Remove it.")  # fmt: skip
    if settings.required is False and field.location is ParameterLocation.PATH:
        what = "cannot be false: it is a part of the path"
        _refuse(api, ("fields", name, "required"), what, "Remove it, or set it under input.constants.")
    new_name, nullable = settings.field_name or field.name, _either(settings.nullable, field.nullable)
    clears_with = _set(settings, "clears_with", field.clears_with)
    if settings.nullable and clears_with is None and endpoint.body_format.is_form:
        clears_with = ""  # a form has no null
    reported_as = field.reported_as
    if "reported_as" in settings.model_fields_set:
        try:
            reported_as = _steps(settings.reported_as)
        except ValueError as error:
            _refuse(api, ("fields", name, "reported_as"), f"is no path: {error}", "Add the member that holds the "
                    f"value, as {settings.reported_as}.value.")  # fmt: skip
    names = settings.allowed_names
    title = new_name if field.title == field.name else field.title
    return replace(
        field,
        name=new_name,
        title=settings.title or title,
        aliases=tuple(dict.fromkeys((*field.aliases, *settings.aliases))),
        required=_either(settings.required, field.required),
        nullable=nullable,
        clears_with=clears_with,
        date_format=settings.date_format or field.date_format,
        default=_set(settings, "default", field.default),
        example=settings.example or field.example,
        selects_record=_either(settings.selects_record, field.selects_record),
        reported_as=reported_as,
        reported_id_as=_set(settings, "reported_id_as", field.reported_id_as),
        allowed=AllowedNames(names.list, names.name, names.id, names.depends_on) if names else field.allowed,
        is_identifier=field.kind in {Kind.TEXT, Kind.INTEGER} and _either(settings.identifier, field.is_identifier),
    )


def _either(setting: bool | None, described: bool) -> bool:
    return described if setting is None else setting


def _set(settings: FieldSettings, key: str, described: str | None) -> str | None:
    """Return the value of a key that may be set to null."""
    value: str | None = getattr(settings, key) if key in settings.model_fields_set else described
    return value


def _steps(written: str | tuple[str | int, ...] | None) -> tuple[Step, ...]:
    """Return the steps of a path: `status.name`, or `fields[id=7].value` for a member of the element with that key."""
    if not isinstance(written, str):
        return written or ()
    steps, element = list[Step](), None
    for part in _BETWEEN_STEPS.split(written):
        name, next_element = part, _ELEMENT.fullmatch(part)
        if next_element:
            name = next_element["list"]
        steps.append(Pair(element["key_name"], element["key"], name) if element else name)
        element = next_element
    if element:
        raise ValueError(f"{written} ends with an element of a list")
    return tuple(steps)


def _with_names(field: Field, names: Mapping[str, str]) -> Field:
    """Return a field whose list of valid names depends on fields by their new names."""
    if field.allowed is None:
        return field
    depends_on = tuple(names.get(name, name) for name in field.allowed.depends_on)
    return replace(field, allowed=replace(field.allowed, depends_on=depends_on))


def _limited(endpoint: Endpoint, api: ApiSettings, constants: Collection[str]) -> Endpoint:
    """Return it with the fields and objects that `api.only` names, the constants, and what every request needs."""
    if not api.only:
        return endpoint
    endpoint = opened(endpoint, (*api.only, *constants))
    renamed = {name: one.field_name for name, one in api.fields.items() if one.field_name}
    parts = {name.casefold(): part for part in endpoint.opens for name in (part.name, *part.aliases)}
    known = (*endpoint.by_name, *(part.name for part in endpoint.opens))
    kept, groups = set[str](), set[str]()
    for name in (*api.only, *constants):
        part = parts.get(name.casefold())
        group = part.name if part else name
        if field := _field(endpoint, renamed.get(name, name)):
            kept.add(field.name)
        elif part or any(_is_in(one, group) for one in known):
            groups.add(group)
        elif name in api.only:
            _unknown(endpoint, api, ("only",), name)

    def is_grouped(name: str) -> bool:
        return any(name == group or _is_in(name, group) for group in groups)

    fields, left_out = list[Field](), list[Field]()
    for field in endpoint.fields:
        is_body = field.location is ParameterLocation.BODY
        is_needed = field.location is ParameterLocation.PATH or (field.required and not is_body)
        (fields if is_needed or field.name in kept or is_grouped(field.name) else left_out).append(field)
    opens = tuple(part for part in endpoint.opens if is_grouped(part.name))
    paths = [field.path for field in fields if field.path]
    paths += [part.path for part in opens]
    requirements, missing = list[Requirement](), [field.name for field in left_out if field.required]
    for requirement in endpoint.requirements:
        if any(_is_below(path, requirement.member) for path in paths):
            requirements.append(requirement)
        elif not requirement.within or any(_is_below(path, requirement.within) for path in paths):
            missing += [field.name for field in left_out if _is_below(field.path, requirement.member)][:1]
    if missing:
        names = ", ".join(dict.fromkeys(missing))
        remedy = f"Add {names}, or set a value for every row under input.constants."
        _refuse(api, ("only",), f"leaves out what {endpoint.name} needs in every row: {names}", remedy)
    return _with(replace(endpoint, opens=opens, requirements=tuple(requirements)), fields)


def _is_in(name: str, group: str) -> bool:
    """Whether the name of a field is below that of an object, or is one of a list or of a free map."""
    return name.startswith((f"{group}.", f"{group}["))


def _is_below(path: tuple[Step, ...], top: tuple[Step, ...]) -> bool:
    return path[: len(top)] == top


def _field(endpoint: Endpoint, name: str) -> Field | None:
    """Return the field of a name, or the only one of that alias; None if there is none."""
    if field := field_of(endpoint, name):
        return field
    word = name.casefold()
    called = [field for field in endpoint.fields if word in map(str.casefold, (field.name, *field.aliases))]
    return called[0] if len(called) == 1 else None


def _unknown(endpoint: Endpoint, api: ApiSettings, key: tuple[str, ...], name: str) -> NoReturn:
    known = {alias: field.name for field in endpoint.fields for alias in (*field.aliases, field.name)}
    known |= {part.name: part.name for part in endpoint.opens}
    close = nearest(name, known)
    remedy = f"Did you mean {known[close]}?" if close else f"Its fields are: {', '.join(endpoint.by_name)[:500]}."
    what = f"names {name}, which is" if key == ("only",) else "is"
    _refuse(api, key, f"{what} no field of {endpoint.name}", remedy)


def _refuse(api: ApiSettings, key: tuple[str, ...], what: str, remedy: str) -> NoReturn:
    """Raise the ConfigError that something is wrong with a key of the section `api`."""
    place = api.place(*key)
    file = place.rpartition(", line ")[0] or None
    raise ConfigError(f"{place}: api.{'.'.join(key)} {what}.", remedy=remedy, place=Location(file=file))
