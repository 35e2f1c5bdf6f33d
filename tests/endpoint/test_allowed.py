"""endpoint/allowed.py: valid names learned from answers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_updater.endpoint.allowed import AllowedValues
from batch_updater.endpoint.reference import load_endpoint
from batch_updater.records import Job, Value

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
    """A name that differs only by case and surrounding blanks is sent unchanged, whichever row came first."""
    assert NOTHING.learn(job(), ANSWER).judge(job(StageName=name)) == ()


def test_a_refused_name_is_blamed_for_its_case_too() -> None:
    """Once the API has refused a row, a name that is not listed to the letter is the likely reason."""
    known = NOTHING.learn(job(), ANSWER)
    for words in ("", "Stage not found.", "'proposal' is not known", "StageName: is not valid"):
        (problem,) = known.blame(job(StageName="proposal"), words, {})
        assert problem.remedy == "Did you mean 'Proposal'?"
        assert not known.blame(job(StageName="Proposal"), words, {})


def test_a_name_is_not_blamed_for_another_fault() -> None:
    """A message about something else blames only a name that the API certainly refuses."""
    known = NOTHING.learn(job(), ANSWER)
    assert not known.blame(job(StageName="proposal"), "The close date lies in the past.", {})
    assert known.blame(job(StageName="xyz"), "The close date lies in the past.", {})


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
    """An answer without names leaves the lists as they were."""
    known = NOTHING.learn(job(), ANSWER)
    assert known.learn(job(), answer) is known


def test_the_valid_names_are_rebuilt_from_stored_lists() -> None:
    """The valid names can be rebuilt from their lists."""
    known = NOTHING.learn(job(), ANSWER)
    rebuilt = AllowedValues.of(ENDPOINT, known.lists)
    assert rebuilt.lists == known.lists
    assert rebuilt.id_of(ENDPOINT.field("StageName"), job(StageName="Proposal")) == 3


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("\u0420roposal", "character 1 is U+0420 (CYRILLIC CAPITAL LETTER ER), not P"),
        ("Proposa1", "character 8 is U+0031 (DIGIT ONE), not l"),
        ("\uff30roposal", "character 1 is U+FF30 (FULLWIDTH LATIN CAPITAL LETTER P), not P"),
        ("Pro\u00adposal", "character 4 is U+00AD (SOFT HYPHEN)"),
        ("\u039f\u03c1\u03b5n", "character 1 is U+039F (GREEK CAPITAL LETTER OMICRON), not O"),
    ],
)
def test_the_message_names_the_characters_in_which_a_name_that_looks_valid_differs(name: str, said: str) -> None:
    """A person cannot see the difference, so the message names the characters."""
    answer = {"AvailableStages": [{"StageID": 3, "StageName": "Proposal"}, {"StageID": 4, "StageName": "Open"}]}
    (problem,) = NOTHING.learn(job(), answer).judge(job(StageName=name))
    assert said in problem.reason
    assert problem.remedy in {"Did you mean 'Proposal'?", "Did you mean 'Open'?"}


def test_an_ordinary_slip_is_not_called_another_character() -> None:
    """A letter too few, or one with an accent, can be seen."""
    for name in ("Propsal", "Propos\u00e1l", "Proposals"):
        (problem,) = NOTHING.learn(job(), ANSWER).judge(job(StageName=name))
        assert "other characters" not in problem.reason


def test_composition_makes_no_difference_between_names() -> None:
    """A name is the same whether its accents are characters of their own or not, on either side."""
    for listed, asked in (("Gepru\u0308ft", "Gepr\u00fcft"), ("Gepr\u00fcft", "Gepru\u0308ft")):
        known = NOTHING.learn(job(), {"AvailableStages": [{"StageID": 7, "StageName": listed}]})
        assert not known.judge(job(StageName=asked))
        assert not known.blame(job(StageName=asked), "", {})
        assert known.id_of(ENDPOINT.field("StageName"), job(StageName=asked)) == 7
