"""A cell of JSON -> the text that is sent, checked against the description's schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from batch_updater.endpoint.description import Field
from batch_updater.endpoint.exact_json import from_json
from batch_updater.loader.findings import CellNote
from batch_updater.loader.plain_cells import decimal_of, kind_of_cell, truth_of
from batch_updater.loader.refusal import ValueProblem, digits_of, shown
from batch_updater.loader.texts import as_written
from batch_updater.text.characters import named, unseen_in
from batch_updater.text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError, Validator

_NOT_JSON: Final = "not-JSON"
_CORRECT: Final = "Correct it, or type it again."
_TYPOGRAPHIC = lazy_pattern("[\u2018-\u201f\u00ab\u00bb\u300c\u300d\uff02\uff07]")
"""Quotation marks that word processors and spreadsheet programs make of straight ones."""
_ODD_BLANK = lazy_pattern("[\u00a0\u2000-\u200b\u202f\u3000\ufeff]")
_PYTHON = lazy_pattern(r"\b(?:True|False|None|NaN|Infinity|undefined)\b")
_FAULTS: Final = {
    "Expecting property name enclosed in double quotes": "the name of a member in straight double quotes is missing",
    "Expecting ',' delimiter": "a comma or a closing bracket is missing",
    "Expecting ':' delimiter": "a colon is missing",
    "Expecting value": "a value is missing",
    "Extra data": "something follows behind its end",
    "Unterminated string starting at": "a text has no closing quotation mark",
    "Invalid control character at": "a text holds a line break or tab, which has to be written \\n or \\t",
    "Invalid \\escape": "a backslash in a text has to be doubled",
    "Invalid \\uXXXX escape": "\\u has to be followed by four digits",
    "Illegal trailing comma before end of object": "there is a comma behind the last member",
    "Illegal trailing comma before end of array": "there is a comma behind the last item",
}
"""What Python's parser says -> in plain words."""
_BEFORE_AND_AFTER = 10
"""Characters that are shown around the place of a fault."""
_FAULTS_NAMED = 3
_OPTIONS_NAMED = 10
_MANY_BRACKETS = 100
_LARGEST_POWER = 400
_KEYWORDS: Final = {
    "required": "has no member {property}, which it needs",
    "type": "is {value}, where {types} is expected",
    "enum": "is {value}; valid are {options}",
    "const": "is {value}, where only {expected_value} is valid",
    "additionalProperties": "has {unexpected}, which the description does not have there",
    "unevaluatedProperties": "has {unexpected}, which the description does not have there",
    "minimum": "is {value}, less than the smallest that is allowed, {limit}",
    "maximum": "is {value}, more than the largest that is allowed, {limit}",
    "exclusiveMinimum": "is {value}, but has to be more than {limit}",
    "exclusiveMaximum": "is {value}, but has to be less than {limit}",
    "multipleOf": "is {value}, which is not a multiple of {multiple_of}",
    "minLength": "is {value}, a text of {count} characters; the least that is allowed is {limit}",
    "maxLength": "is {value}, a text of {count} characters; the most that is allowed is {limit}",
    "minItems": "has {count} items; the least that is allowed is {limit}",
    "maxItems": "has {count} items; the most that is allowed is {limit}",
    "minProperties": "has {count} members; the least that is allowed is {limit}",
    "maxProperties": "has {count} members; the most that is allowed is {limit}",
    "uniqueItems": "has the same item twice",
    "pattern": "is {value}, which does not have the form {pattern}",
}
"""Keyword of a schema -> what is wrong with a value, with the facts of the fault."""
_TYPES: Final = {
    "string": "a text", "integer": "a whole number", "number": "a number", "boolean": "true or false",
    "array": "a list in [ ]", "object": "an object in { }", "null": "null",
}  # fmt: skip


class JsonReader:
    """Reads the cells of one column of JSON."""

    def __init__(self, field: Field, noted: list[CellNote]) -> None:
        """Add notes to `noted`."""
        self._field = field
        self._noted = noted
        self._faults: Callable[[object], Sequence[str]] | None = None
        """Made for the first cell: a schema takes time to be compiled."""

    def from_text(self, text: str) -> str | None:
        """Return a text without blanks around it if it is valid JSON; None for `null`. Raises ValueProblem."""
        bare = as_written(self._field, text.strip())
        value = _parsed(bare)
        if value is not None or not self._field.can_be_cleared:
            self._require_valid(bare, value)
        if (unseen := unseen_in(bare)) is not None:
            sentence = f"It holds {named(unseen)}, which cannot be seen. It is sent with it."
            self._noted.append(CellNote(self._field.name, "invisible-character", sentence))
        if value is None:
            return None
        return bare if value or not isinstance(value, (list, dict)) else "".join(bare.split())

    def from_cell(self, cell: object) -> str:
        """Return the JSON of a number or a truth value. Raises ValueProblem."""
        if isinstance(cell, bool):
            self._require_valid(cell, cell)
            return "true" if truth_of(cell) else "false"
        if isinstance(cell, (date, time, timedelta)):
            what = f"is {kind_of_cell(cell)}, which JSON does not know"
            raise ValueProblem.of(cell, _NOT_JSON, what, "Set the cell's format to Text and type it as JSON.")
        number = decimal_of(cell)
        self._require_valid(cell, number)
        return digits_of(number)

    def _require_valid(self, cell: object, value: object) -> None:
        if not self._field.json_schema:
            return
        if self._faults is None:
            self._faults = _faults_by(self._field)
        try:
            faults = self._faults(value)
        except _UnusableSchemaError as error:
            sentence = f"It is sent without a check: the description's schema of it is not valid ({error})."
            self._noted.append(CellNote(self._field.name, "not-checked", sentence))
            return
        if faults:
            more = " and more" if len(faults) > _FAULTS_NAMED else ""
            reason = f"{shown(cell)} does not fit the description: {'; '.join(faults[:_FAULTS_NAMED])}{more}."
            raise ValueProblem("not-valid", reason, "Correct the JSON in the cell.")


def _parsed(bare: str) -> Any:
    """Return the value of a JSON text, numbers with a fraction as Decimal. Raises ValueProblem."""
    try:
        value = json.loads(bare, parse_float=_number, parse_constant=_refuse_constant, object_pairs_hook=_members)
        if bare.count("[") + bare.count("{") > _MANY_BRACKETS:
            from_json(bare)
    except json.JSONDecodeError as fault:
        raise _no_json(bare, fault) from None
    except (ValueError, RecursionError):
        what = "is JSON with a number that is too long, or with too many brackets inside one another"
        raise ValueProblem.of(bare, _NOT_JSON, what, _CORRECT) from None
    return value


def _number(text: str) -> Decimal:
    number = Decimal(text)
    if abs(number.adjusted()) > _LARGEST_POWER:
        raise ValueError(text)
    return number


def _refuse_constant(name: str) -> object:
    raise ValueProblem(_NOT_JSON, f"The cell holds {name}, which is no number in JSON.", "Type a number, or null.")


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        doubled = shown(next(name for name in names if names.count(name) > 1), quoted=True)
        reason = f"The JSON has the member {doubled} twice in one object, so that either could be meant."
        raise ValueProblem("member-twice", reason, "Delete one of them.")
    return members


def _no_json(bare: str, fault: json.JSONDecodeError) -> ValueProblem:
    """Return why a text is no JSON, with the likely cause."""
    at, remedy = min(fault.pos, len(bare) - 1), _CORRECT
    where = bare[max(0, at - _BEFORE_AND_AFTER) : at + _BEFORE_AND_AFTER]
    words = f"{_FAULTS.get(fault.msg, fault.msg)}, at character {fault.pos + 1:,} ({shown(where, quoted=True)})"
    mark, odd = bare[at], _TYPOGRAPHIC.search(bare)
    if odd and (odd.start() == at or fault.msg.startswith(("Expecting", "Unterminated"))):
        words = f"it has typographic quotation marks, such as {named(odd[0])}"
        remedy = 'Type straight ones: ". Some programs replace them while you type.'
    elif _ODD_BLANK.match(mark):
        words = f"it holds {named(mark)} where a blank is meant"
    elif mark == "'":
        remedy = 'Put names and texts into double quotation marks: {"name": "value"}.'
    elif found := _PYTHON.match(bare, at):
        remedy = f"JSON has true, false and null, and not {found[0]}."
    elif bare[0] not in '{["':
        remedy = f"If a text is meant, put it into quotation marks: {shown(json.dumps(bare, ensure_ascii=False))}."
    return ValueProblem.of(bare, _NOT_JSON, f"is no JSON: {words}", remedy)


class _UnusableSchemaError(Exception):
    """The schema of a description is not valid itself."""


def _faults_by(field: Field) -> Callable[[object], Sequence[str]]:
    """Return what gives the faults of a value by a field's schema, in words."""
    # Takes a while to be loaded, for a kind of cell that few files have.
    from jsonschema_rs import validator_for  # noqa: PLC0415

    validator: Validator
    try:
        # What the schema refers to is in it: nothing is ever fetched.
        validator = validator_for(json.loads(field.json_schema, parse_float=Decimal), offline=True)
    except ValueError as fault:
        why = str(fault).partition("\n")[0]

        def refuse(_: object) -> Sequence[str]:
            raise _UnusableSchemaError(why)

        return refuse

    def faults(value: object) -> Sequence[str]:
        errors = (error for error in validator.iter_errors(value) if error.kind.name not in _OF_THE_SCHEMA)
        return list(islice(_in_words(errors, field.wire_name, value), _FAULTS_NAMED + 1))

    return faults


_OF_THE_SCHEMA: Final = frozenset({"backtrackLimitExceeded", "regexEngineFailure"})
"""Faults of a pattern in the schema, which say nothing of the value."""


def _in_words(errors: Iterable[ValidationError], name: str, value: object) -> Iterator[str]:
    for error in errors:
        facts = error.kind.as_dict()
        path, part = error.instance_path, value
        if branches := facts.get("context"):
            # A value that fits several schemas of which one is meant: documents are seldom so strict by intention.
            if all(branches):
                yield from islice(_in_words(_likeliest(branches, len(path)), name, value), 1)
            continue
        for step in path:
            part = part[step]  # type: ignore[index]  # the path leads through objects and lists
        yield f"{_place(path, name)} {_fault(error.kind.name, facts, part) or f'is not valid ({error.message})'}"


def _likeliest(branches: Sequence[Sequence[ValidationError]], depth: int) -> Sequence[ValidationError]:
    """Return the faults by the one of several schemas that a value rather is meant for; `depth`: where the value is.

    That is one for values of its type, and the one with faults deepest inside the value.
    """

    def likelihood(errors: Sequence[ValidationError]) -> tuple[bool, int, int]:
        depths = [len(error.instance_path) for error in errors]
        is_of_type = all(error.kind.name != "type" or at > depth for error, at in zip(errors, depths, strict=True))
        return is_of_type, min(depths), -len(depths)

    return max(branches, key=likelihood)


def _place(path: Sequence[str | int], name: str) -> str:
    """Return a place in JSON: `lines[0].amount`; `name` is what the whole is called."""
    place = "" if path and isinstance(path[0], str) else name
    for step in path:
        place += f"[{step}]" if isinstance(step, int) else f".{step}" if place else step
    return place


def _fault(keyword: str, facts: Mapping[str, object], value: object) -> str | None:
    """Return what is wrong with a value by one keyword of a schema; None if there are no plain words for it."""
    words = {name: _named(fact) for name, fact in facts.items()}
    if keyword == "type":
        words["types"] = " or ".join(_TYPES.get(one, one) for one in facts["types"])  # type: ignore[attr-defined]
    words["count"] = f"{len(value):,}" if isinstance(value, (str, list, dict)) else ""
    return _KEYWORDS[keyword].format_map(words | {"value": _shown(value)}) if keyword in _KEYWORDS else None


def _named(fact: object) -> str:
    """Return what a keyword asks for, such as the valid values, in a sentence."""
    if not isinstance(fact, list):
        return _shown(fact)
    return ", ".join(map(_shown, fact[:_OPTIONS_NAMED])) + (" ..." if len(fact) > _OPTIONS_NAMED else "")


def _shown(value: object) -> str:
    """Return a value of JSON in a sentence."""
    if isinstance(value, str):
        return shown(value, quoted=True)
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    return "null" if value is None else str(value).lower()
