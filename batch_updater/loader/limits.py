"""Limits of a field's values: the list of valid ones, bounds, lengths, patterns and formats."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Context, Decimal
from functools import lru_cache

from batch_updater.endpoint.description import Bounds, Field, Kind, ParameterLocation
from batch_updater.endpoint.request import is_header_value, wire_text
from batch_updater.loader.refusal import ValueProblem, digits_of, shown
from batch_updater.loader.text_formats import format_check
from batch_updater.records import Value
from batch_updater.text.characters import Suggestion, folded, named, suggestion

_EXACT = Context(prec=1_000)
"""Divides numbers of any size that a cell may hold; the usual context gives up at 28 digits."""
_VALUES_LISTED = 20


def judge_of(field: Field) -> Callable[[Value], Value] | None:
    """Return what checks a value against the list, or else the bounds, and gives the described spelling."""
    judge = _judge_of_value(field)
    return _in_header(field, judge) if field.location is ParameterLocation.HEADER else judge


def _in_header(field: Field, judge: Callable[[Value], Value] | None) -> Callable[[Value], Value]:
    """Return what checks that a value can be sent in a header, besides what `judge` checks."""

    def check(value: Value) -> Value:
        text = wire_text(field, value)
        if not is_header_value(text):
            odd = next((character for character in text if not " " <= character <= "~"), None)
            what = f"holds {named(odd)}" if odd else "begins or ends with a blank"
            remedy = "Type the value as the API has it, in plain letters and without blanks around it."
            raise ValueProblem.of(value, "not-for-a-header", f"{what}, which a header does not carry safely", remedy)
        return value if judge is None else judge(value)

    return check


def _judge_of_value(field: Field) -> Callable[[Value], Value] | None:
    if field.kind is Kind.LIST:
        return None  # its items are judged one by one
    if field.enum:
        spelled = {folded(str(value)): value for value in field.enum}
        valid = [text for value in field.enum if (text := str(value))]  # an empty one is what clears the field
        listed = ", ".join(valid[:_VALUES_LISTED]) + (" ..." if len(valid) > _VALUES_LISTED else "")

        @lru_cache(maxsize=256)
        def suggested(typed: str) -> Suggestion:  # the same wrong value is often in many cells
            return suggestion(typed, valid)

        def choose(value: Value) -> Value:
            if (described := spelled.get(folded(str(value)))) is not None:
                return described
            close, look = suggested(str(value))
            what = f"a {field.title}" if field.has_title else f"one of the values of {field.name}"
            reason = f"{shown(value, quoted=True)} is not {what}. {look}".rstrip()
            remedy = f"Did you mean {close!r}? Valid are: {listed}." if close else f"Valid are: {listed}."
            raise ValueProblem("not-one-of-the-values", reason, remedy)

        return choose
    if field.kind is not Kind.TEXT:
        return None if field.bounds == Bounds() else _within_limits(field.bounds)
    is_of_length = None if field.bounds == Bounds() else _within_length(field)
    has_format = format_check(field.format)
    if is_of_length is None or has_format is None:
        return is_of_length or has_format
    return lambda value: has_format(is_of_length(value))


def _within_limits(bounds: Bounds) -> Callable[[Value], Value]:
    # Whole numbers are compared much faster with an int.
    low, high, above, below, step = (
        int(bound) if bound is not None and bound == bound.to_integral_value() else bound
        for bound in (
            bounds.minimum, bounds.maximum, bounds.exclusive_minimum, bounds.exclusive_maximum, bounds.multiple_of,
        )
    )  # fmt: skip
    remedy = "Correct the number."

    def check(value: Value) -> Value:
        if isinstance(value, (int, Decimal)):
            if low is not None and value < low:
                what = f"is less than the smallest that is allowed, {digits_of(low)}"
                raise ValueProblem.of(value, "too-small", what, remedy)
            if high is not None and value > high:
                what = f"is more than the largest that is allowed, {digits_of(high)}"
                raise ValueProblem.of(value, "too-large", what, remedy)
            if above is not None and value <= above:
                raise ValueProblem.of(
                    value, "too-small", f"is not more than {digits_of(above)}, as it has to be", remedy
                )
            if below is not None and value >= below:
                raise ValueProblem.of(
                    value, "too-large", f"is not less than {digits_of(below)}, as it has to be", remedy
                )
            if step is not None and _EXACT.remainder(value, step):
                raise ValueProblem.of(value, "not-a-multiple", f"is not a multiple of {digits_of(step)}", remedy)
        return value

    return check


def _within_length(field: Field) -> Callable[[Value], Value]:
    bounds = field.bounds
    shortest, longest = bounds.min_length or 0, bounds.max_length
    pattern = re.compile(bounds.pattern) if bounds.pattern else None
    of_it = f"that a {field.title} has" if field.has_title else f"of {field.name}"

    def check(value: Value) -> Value:
        if not isinstance(value, str):
            return value
        if longest is not None and len(value) > longest:
            what = f"has {len(value):,} characters; the most that is allowed is {longest:,}"
            raise ValueProblem.of(value, "too-long", what, "Shorten it.")
        if len(value) < shortest:
            what = f"has {len(value):,} characters; the least that is allowed is {shortest:,}"
            raise ValueProblem.of(value, "too-short", what, "Type it in full.")
        if pattern is not None and not pattern.search(value):
            remedy = f"Type it like {field.example!r}." if field.example else "Correct it."
            raise ValueProblem.of(value, "wrong-form", f"does not have the form {of_it}", remedy)
        return value

    return check
