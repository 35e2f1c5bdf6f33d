"""sandbox/faults.py: which fault a request meets."""

from __future__ import annotations

import pytest

from batch_updater.sandbox.faults import FAULTS, FaultChooser, find_fault
from batch_updater.sandbox.server import Sandbox
from batch_updater.sandbox.settings import SandboxSettings
from tests.sandbox import test_answered, test_broken
from tests.sandbox.raw import get, put, send


def chosen(chooser: FaultChooser, body: bytes, target: str = "PUT /1", header: str | None = None) -> str | None:
    """Name the fault that the next request meets."""
    fault = chooser.choose(target, header, body)
    return fault.name if fault else None


def test_every_fault_has_a_test_of_what_it_does() -> None:
    """Every documented fault has been seen."""
    tested = set(test_answered.FAULTS_TESTED) | set(test_broken.FAULTS_TESTED)
    assert {find_fault(name).kind.name for name in tested} == {kind.name for kind in FAULTS}


def test_names_are_unique_and_the_page_lists_them(sandbox: Sandbox) -> None:
    """Everybody can look up which faults there are and what they mean."""
    assert len({kind.name for kind in FAULTS}) == len(FAULTS)
    listed = send(sandbox, "GET", "/_sandbox/faults").body.decode()
    assert all(f"{kind.name} " in listed and kind.meaning in listed for kind in FAULTS)


@pytest.mark.parametrize(
    "name", ["", "status", "status-", "status-99", "status-600", "drop", "drop-after-1", "status-٥٠٠"]
)
def test_an_unknown_name_is_refused(name: str) -> None:
    """A misspelt fault is never a fault that does not happen."""
    with pytest.raises(ValueError, match="There is no fault"):
        find_fault(name)


def test_a_request_with_an_unknown_fault_is_refused(sandbox: Sandbox) -> None:
    """The answer says so, and nothing is changed."""
    reply = put(sandbox, "1?opportunityType=Pre", '{"OpportunityName": "fault:drop-afterwards"}')
    assert reply.status == 400
    assert "drop-afterwards" in reply.json()["ValidationMessage"]
    assert not sandbox.received[-1].applied


def test_text_without_the_magic_word_names_no_fault() -> None:
    """Ordinary names are ordinary names."""
    chooser = FaultChooser(1, {})
    assert chosen(chooser, b'{"OpportunityName": "No fault: of ours"}') is None
    assert chosen(chooser, b'{"OpportunityName": "default"}') is None


def test_a_fault_is_met_at_every_attempt_or_at_the_first_ones() -> None:
    """Without a number it never goes away; with one it does, for each target by itself."""
    chooser = FaultChooser(1, {})
    assert [chosen(chooser, b"fault:status-503") for _ in range(4)] == ["status-503"] * 4
    twice = b'{"OpportunityID": "X fault:drop-before:2 Y"}'
    assert [chosen(chooser, twice) for _ in range(4)] == ["drop-before", "drop-before", None, None]
    assert chosen(chooser, twice, "PUT /2") == "drop-before"
    chooser.reset()
    assert chosen(chooser, twice) == "drop-before"


def test_faults_follow_one_another() -> None:
    """A text can tell a whole story, attempt by attempt."""
    chooser = FaultChooser(1, {})
    story = b"fault:status-503:2 fault:retry-after-1:1 fault:drop-after:1"
    met = [chosen(chooser, story) for _ in range(6)]
    assert met == ["status-503", "status-503", "retry-after-1", "drop-after", None, None]


def test_a_header_names_a_fault_too(sandbox: Sandbox) -> None:
    """Where no field may be touched, the header does it; it goes before the body."""
    reply = put(
        sandbox, "1?opportunityType=Pre", '{"OpportunityName": "fault:hang"}', **{"X-Sandbox-Fault": "status-502:1"}
    )
    assert reply.status == 502
    assert sandbox.received[-1].fault == "status-502"


def test_chance_goes_by_the_seed_and_not_by_the_order_of_requests() -> None:
    """The same run meets the same faults, however its requests overtake one another."""
    targets = [f"PUT /{number}" for number in range(2000)]
    chances = {"status-503": 0.1, "drop-after": 0.05}

    def met(seed: int, order: list[str]) -> dict[str, str | None]:
        chooser = FaultChooser(seed, chances)
        return {target: chosen(chooser, b"{}", target) for target in order}

    one = met(1, targets)
    assert one == met(1, targets[::-1])
    assert one != met(2, targets)
    assert 150 < list(one.values()).count("status-503") < 250
    assert 60 < list(one.values()).count("drop-after") < 140


def test_a_sandbox_plays_faults_by_chance() -> None:
    """A probability of 1 is met by everybody, reading included."""
    with Sandbox(SandboxSettings(faults={"status-500": 1.0})) as broken:
        assert get(broken, "1").status == 500
        assert put(broken, "1?opportunityType=Pre", "{}").status == 500
