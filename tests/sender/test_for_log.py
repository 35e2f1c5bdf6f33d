"""What the log says of answers: nothing that the cells of the row hold, however the service writes it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_updater.records import Job, Outcome, OutcomeKind, Problem
from batch_updater.sender.outcomes import message_for_log, without_values

if TYPE_CHECKING:
    from batch_updater.records import Value


def job(value: Value) -> Job:
    return Job(2, "id=12&kind=Pre", {"id": 12, "kind": "Pre", "name": value})


@pytest.mark.parametrize(
    ("value", "said", "logged"),
    [
        ("Propsal", "'Propsal' is no stage. Propsals are not known.", "'...' is no stage. Propsals are not known."),
        ("B2", "no b2: B2B and AB2 are", "no ...: B2B and AB2 are"),
        ("x", "x is not among X, y; max is 3", "... is not among ..., y; max is 3"),
        ("-", "not accepted - try again", "not accepted - try again"),
        ("Müller & Söhne", r'{"name": "M\u00fcller & S\u00f6hne"}', '{"name": "..."}'),
        ("Müller & Söhne", "at ?name=M%C3%BCller%20%26%20S%C3%B6hne&x=1", "at ?name=...&x=1"),
        ("Müller & Söhne", "at ?name=m%c3%bcller+%26+s%c3%b6hne", "at ?name=..."),
        ("Müller & Söhne", "<b>M&uuml;ller &amp; S&#246;hne</b>", "<b>...</b>"),
        ("O'Brien \"Ltd\"", r"""asked for 'O\'Brien "Ltd"'""", "asked for '...'"),
        ("Big\nCompany  Ltd", "no Big Company Ltd here", "no ... here"),
        ("A long description of a deal", "too long: 'A long descripti ...'", "too long: '... ...'"),
        ("A long description of a deal", "no deal has a description", "no deal has a description"),
        (7, "must not be 7, but 17 or 7.5", "must not be ..., but 17 or ....5"),
        (1234567, "1,234,567 is above 1.234.567 (1234567)", "... is above ... (...)"),
        (Decimal("1234.50"), "1234.5, 1,234.50, 1.234,50 and 1234.50 are", "..., ..., ... and ... are"),
        (date(2026, 5, 1), "2026-05-01T00:00:00 is 01.05.2026 or 05/01/2026", "...T00:00:00 is ... or ..."),
        ('["vip", "Globex"]', "globex is no tag, vip is one", "... is no tag, ... is one"),
        ('{"a": [{"b": "Globex"}, 70]}', "a.0.b: Globex is not known; 70 is", "a.0.b: ... is not known; ... is"),
        ("[Globex", "[Globex is not known, Globex is", "... is not known, Globex is"),
        (True, "true is no date", "... is no date"),
        (None, "null is no date", "null is no date"),
        ("y", "no record 12 of the kind Pre", "no record 12 of the kind Pre"),
    ],
)  # fmt: skip
def test_values_of_the_row_are_blanked(value: Value, said: str, logged: str) -> None:
    """Short ones, numbers, dates, escaped and cut-off ones; words that begin alike stay, and so does the target."""
    assert without_values(said, job(value)) == logged


@given(st.text(max_size=300), st.sampled_from(["{}", "({}).", "'{}': !", '{{"": "{}"}}']))
def test_no_letter_is_left_of_a_value_that_stands_by_itself(value: str, quoted: str) -> None:
    """Whatever characters it has."""
    assert not any(map(str.isalnum, without_values(quoted.format(value), job(value))))


def test_what_the_record_holds_is_not_logged_either() -> None:
    """Of a field that differs, or was changed since, the log has the name."""
    for code, words in (("reported-otherwise", "reported otherwise"), ("changed-since", "changed since")):
        problems = (Problem(2, "name", code, "x", "name: asked for 'x', got 'Globex'.", ""),)
        outcome = Outcome(2, OutcomeKind.DIFFERS, "name: asked for 'x', got 'Globex'.", problems=problems)
        assert message_for_log(outcome, job("x")) == f"name: {words}."
