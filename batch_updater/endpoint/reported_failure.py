"""Answers that report a failure in their body, whatever their status says."""

from __future__ import annotations

import re
from collections.abc import Mapping

from batch_updater.endpoint.exact_json import number_of, to_json
from batch_updater.text.lazy_pattern import lazy_pattern

# Names of members are matched in lower case and without anything but letters, as `_letters` returns them.
_SUCCESS = lazy_pattern("(is|was)?(success|successful|succeeded|ok|saved|stored|updated|applied|accepted|done|changed)")
"""Members that are false after a failure."""
_ERROR = lazy_pattern(
    "(is|has|odata|api|server|system|save|update|validation)?(err|error|exception|fault|failure|problem)s?"
    "(code|count|description|detail|info|list|message|msg|reason|string|text|type)?s?"
    "|(is|has)?failed|validationmessages?"
)
"""Members that are not empty after a failure."""
_STATUS = lazy_pattern("(http|response|result)?status(text)?|result|outcome|state")
"""Members that are `error`, `failed` or false after a failure."""
_STATUS_NUMBER = lazy_pattern("(http|response|result|return)?(status|code|statuscode)")
"""Members that hold the number of an error after a failure."""
_ENVELOPE = lazy_pattern(f"{_STATUS.pattern}|meta|metadata|response|data|body|d")
"""Members that may hold an object with any of these."""
_ABOUT_CALL = lazy_pattern(
    f"{_SUCCESS.pattern}|{_ERROR.pattern}|{_STATUS_NUMBER.pattern}|{_ENVELOPE.pattern}"
    "|messages?|msg|details?|warnings?|timestamp|(request|trace|correlation)id"
)
"""Members of an object that is only about the call."""
_CALL_STATUS = lazy_pattern("(is)?(success|successful|succeeded|ok)|errors")
"""Members that are about the call even where the description lists them."""
_NO_ERROR = frozenset(("", "0", "false", "no", "none", "null", "nil", "n/a", "ok", "success", "no error", "no errors"))
_FAILED = lazy_pattern(
    r"\W*(error|fail|failed|failure|fault|exception|unsuccessful|not ok|nok|not saved|rejected|refused|denied|locked)\b"
)
_FALSE = frozenset(("false", "f", "no", "n"))


def is_call_status(name: str) -> bool:
    """Whether a described property reports how the call went and is no part of the record."""
    return _CALL_STATUS.fullmatch(_letters(name)) is not None


def is_about_call(name: str) -> bool:
    """Whether a property may report how a call went, or hold what does."""
    return _ABOUT_CALL.fullmatch(_letters(name)) is not None


def reported_failure(answer: object, record_properties: frozenset[str]) -> str | None:
    """Return the part of an answer that reports a failure, as members of JSON; None if it reports none.

    `record_properties` are names that belong to the record, which may well have a status `failed`.
    """
    if isinstance(answer, list):
        return next((part for one in answer if (part := reported_failure(one, record_properties)) is not None), None)
    if not isinstance(answer, Mapping):
        return to_json(answer) if answer is False or _says_failed(answer) else None
    if record_properties.issuperset(answer):  # nearly always
        return None
    others = {str(name): value for name, value in answer.items() if name not in record_properties}
    if not _has_failure(others):
        return None
    return ", ".join(f"{to_json(name)}: {to_json(value)}" for name, value in others.items())


def _has_failure(members: Mapping[str, object]) -> bool:
    for member, value in members.items():
        name = _letters(member)
        if _SUCCESS.fullmatch(name):
            failed = number_of(value) == 0 or str(value).strip().casefold() in _FALSE or _says_failed(value)
        elif _ERROR.fullmatch(name):
            failed = _is_error(value)
        elif isinstance(value, Mapping):
            failed = _ENVELOPE.fullmatch(name) is not None and _has_failure(value)
        else:
            number = number_of(value) if _STATUS_NUMBER.fullmatch(name) else None
            failed = (number is not None and 400 <= number < 600) or (
                _STATUS.fullmatch(name) is not None and (value is False or _says_failed(value))
            )
        if failed:
            return True
    return False


def _letters(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.casefold())


def _is_error(value: object) -> bool:
    """Whether the value of an error member is an error: neither empty nor zero nor a word for none."""
    if isinstance(value, Mapping):
        return any(map(_is_error, value.values()))
    if isinstance(value, list):
        return any(map(_is_error, value))
    return value is not None and str(value).strip().casefold() not in _NO_ERROR and number_of(value) != 0


def _says_failed(value: object) -> bool:
    return isinstance(value, str) and _FAILED.match(value.casefold()) is not None
