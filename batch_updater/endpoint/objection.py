"""An answer that says of itself that nothing was done, whatever its status says."""

from __future__ import annotations

import re
from collections.abc import Mapping

from batch_updater.endpoint.exact_json import number_of, to_json

_SUCCESS = re.compile("(is)?(success|successful|succeeded|ok|saved|updated)")
"""Members that are false where nothing was done; names as `_bare` returns them, here and below."""
_ERROR = re.compile(
    "(is|has|odata|api|server|system|save|update|validation)?(err|error|exception|fault|failure)s?"
    "(code|count|description|detail|info|list|message|msg|reason|string|text|type)?s?"
    "|(is|has)?failed|validationmessages?"
)
"""Members that are not empty where nothing was done."""
_STATUS = re.compile("(http|response|result)?status(text)?|result|outcome|state")
"""Members that say `error` or `failed`, or are false."""
_STATUS_NUMBER = re.compile("(http|response)?status(code)?")
"""Members that hold the number of an error."""
_ENVELOPE = re.compile(f"{_STATUS.pattern}|meta|metadata|response")
"""Members that may hold any of these in an object of their own."""
_NO_ERROR = frozenset(("", "0", "false", "no", "none", "null", "nil", "n/a", "ok", "success", "no error", "no errors"))
_FAILED = re.compile(r"\W*(error|fail|failed|failure|fault|exception|unsuccessful|not ok|nok|not saved)\b")
_FALSE = frozenset(("false", "f", "no", "n"))


def objection(answer: object, described: frozenset[str]) -> str | None:
    """Return what an answer says against itself, as members of JSON; None if it says nothing of the kind.

    Property names in `described` belong to the record: a record may well have a status `failed`.
    """
    if isinstance(answer, list):
        return next((said for one in answer if (said := objection(one, described)) is not None), None)
    if not isinstance(answer, Mapping):
        return to_json(answer) if answer is False or _says_failed(answer) else None
    if described.issuperset(answer):  # as nearly always
        return None
    foreign = {str(name): value for name, value in answer.items() if name not in described}
    if not _objects(foreign):
        return None
    return ", ".join(f"{to_json(name)}: {to_json(value)}" for name, value in foreign.items())


def _objects(members: Mapping[str, object]) -> bool:
    return any(_is_against(_bare(name), value) for name, value in members.items())


def _bare(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.casefold())


def _is_against(name: str, value: object) -> bool:
    if _SUCCESS.fullmatch(name):
        return number_of(value) == 0 or str(value).strip().casefold() in _FALSE or _says_failed(value)
    if _ERROR.fullmatch(name):
        return _is_error(value)
    if isinstance(value, Mapping):
        return _ENVELOPE.fullmatch(name) is not None and _objects(value)
    number = number_of(value) if _STATUS_NUMBER.fullmatch(name) else None
    if number is not None and 400 <= number < 600:
        return True
    return _STATUS.fullmatch(name) is not None and (value is False or _says_failed(value))


def _is_error(value: object) -> bool:
    """Whether something that should hold an error does: not if it is empty, zero, or says that there is none."""
    if isinstance(value, Mapping):
        return any(map(_is_error, value.values()))
    if isinstance(value, list):
        return any(map(_is_error, value))
    return value is not None and str(value).strip().casefold() not in _NO_ERROR and number_of(value) != 0


def _says_failed(value: object) -> bool:
    return isinstance(value, str) and _FAILED.match(value.casefold()) is not None
