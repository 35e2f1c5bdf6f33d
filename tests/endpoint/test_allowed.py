"""endpoint/allowed.py: valid names learned from answers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_updater.endpoint.allowed import AllowedValues
from batch_updater.endpoint.openapi import load_endpoint
from batch_updater.model import Job, Value

ENDPOINT = load_endpoint("nexus-opportunity")
NOTHING = AllowedValues(ENDPOINT)
ANSWER = {
    "ValidationMessage": "Stage 'Propsal' not found.",
    "AvailableCategories": [{"CategoryID": 1, "CategoryName": "New Business"}],
    "AvailableStages": [{"StageID": 1, "StageName": "Prospect"}, {"StageID": 3, "StageName": "Proposal"}],
}


def job(**values: Value) -> Job:
    return Job(14, "", {"OpportunityId": 1, "opportunityType": "Pre", **values})


def test_a_bad_name_is_a_problem_with_the_nearest_valid_one() -> None:
    """After the first such answer a name that is not in the list is a problem that suggests the nearest."""
    (problem,) = NOTHING.learn(job(StageName="Propsal"), ANSWER).judge(job(StageName="Propsal"))
    assert (problem.row, problem.field, problem.code) == (14, "StageName", "name-not-accepted")
    assert problem.reason == "'Propsal' is not a stage that Nexus accepts."
    assert problem.remedy == "Did you mean 'Proposal'?"


def test_where_nothing_is_near_the_valid_names_are_listed() -> None:
    """A name that resembles none is answered with the list."""
    (problem,) = NOTHING.learn(job(), ANSWER).judge(job(StageName="xyz"))
    assert problem.remedy == "Valid are: Prospect, Proposal."
    long = {"AvailableStages": [{"StageID": 1, "StageName": "Prospect" * 100_000}, {"StageID": 2, "StageName": "Won"}]}
    (problem,) = NOTHING.learn(job(), long).judge(job(StageName="xyz"))
    assert problem.remedy.endswith("ProspectPros ..., Won.")
    assert len(problem.remedy) < 150


@pytest.mark.parametrize("name", ["Proposal", "proposal", " Proposal ", "PROPOSAL"])
def test_case_and_blanks_are_left_to_the_api(name: str) -> None:
    """What differs by nothing but case and surrounding blanks is sent as it stands, whichever row came first."""
    assert NOTHING.learn(job(), ANSWER).judge(job(StageName=name)) == ()


def test_a_refused_name_is_blamed_for_its_case_too() -> None:
    """Once the API has refused a row, a name that is not listed to the letter is the likely reason."""
    (problem,) = NOTHING.learn(job(), ANSWER).blame(job(StageName="proposal"))
    assert problem.remedy == "Did you mean 'Proposal'?"
    assert not NOTHING.learn(job(), ANSWER).blame(job(StageName="Proposal"))


def test_a_list_holds_for_its_language_alone() -> None:
    """Names are localised: what was learned in one language says nothing of another; none given means the default."""
    known = NOTHING.learn(job(), ANSWER)
    assert known.judge(job(StageName="Angebot", LanguageId=1))
    assert not known.judge(job(StageName="Angebot", LanguageId=2))


def test_a_cleared_field_is_not_judged() -> None:
    """Null is no name."""
    assert not NOTHING.learn(job(), ANSWER).judge(job(StageName=None))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*ANSWER, "StageName", "StageID"]), inner),
    )
)
def test_any_answer_may_be_learned_from(answer: object) -> None:
    """Whatever an answer holds, learning from it raises nothing, and what is learned are names."""
    for names in NOTHING.learn(job(), answer).lists:
        assert names.values
        assert all(value.name for value in names.values)


@pytest.mark.parametrize("answer", [{}, {"AvailableStages": []}, {"AvailableStages": None}, [], None, "text"])
def test_an_empty_or_missing_list_teaches_nothing(answer: Any) -> None:
    """An answer without names leaves what is known as it was."""
    known = NOTHING.learn(job(), ANSWER)
    assert known.learn(job(), answer) is known


def test_lists_survive_being_written_down() -> None:
    """What is known can be rebuilt from its lists."""
    known = NOTHING.learn(job(), ANSWER)
    rebuilt = AllowedValues.of(ENDPOINT, known.lists)
    assert rebuilt.lists == known.lists
    assert rebuilt.id_of(ENDPOINT.field("StageName"), job(StageName="Proposal")) == 3
