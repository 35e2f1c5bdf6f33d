"""sandbox/gateway.py: rate, burst and quota as Amazon API Gateway applies them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from batch_updater.sandbox.gateway import Gateway
from batch_updater.sandbox.responses import LIMIT_EXCEEDED
from batch_updater.sandbox.server import Sandbox
from batch_updater.sandbox.settings import SandboxSettings
from tests.sandbox.raw import put

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass
class Clock:
    now_s: float = 1000.0

    def __call__(self) -> float:
        return self.now_s


def admitted(gateway: Gateway, count: int) -> int:
    """Ask `count` times at once, and count how often the answer is yes."""
    return sum(gateway.admit() is None for _ in range(count))


def test_without_limits_everything_is_admitted() -> None:
    """A sandbox that is not told otherwise never throttles."""
    assert admitted(Gateway(None, 0, None), 10_000) == 10_000


def test_the_bucket_holds_the_burst_and_refills_at_the_rate() -> None:
    """After a pause as many are admitted as the rate allows for it, and never more than the burst."""
    clock = Clock()
    gateway = Gateway(100, 50, None, clock)
    assert admitted(gateway, 200) == 50
    clock.now_s += 0.1
    assert admitted(gateway, 200) == 10
    clock.now_s += 3600
    assert admitted(gateway, 200) == 50


def test_without_a_burst_the_bucket_holds_what_one_second_allows() -> None:
    """A client that keeps to the rate is not refused for sending a second's worth at once."""
    assert admitted(Gateway(20, 0, None, Clock()), 100) == 20
    assert admitted(Gateway(0.5, 0, None, Clock()), 100) == 1


def test_the_quota_counts_admitted_requests_and_comes_before_the_rate() -> None:
    """What is throttled uses up nothing; a quota that is used up says so, however long one waits."""
    clock = Clock()
    gateway = Gateway(10, 10, 15, clock)
    assert admitted(gateway, 30) == 10
    clock.now_s += 1
    assert admitted(gateway, 5) == 5
    clock.now_s += 1_000_000
    assert gateway.admit() == LIMIT_EXCEEDED
    gateway.reset()
    assert gateway.admit() is None


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=200), st.integers(1, 50), st.integers(1, 20))
def test_no_window_admits_more_than_burst_and_rate(pauses_s: Sequence[float], rate: int, burst: int) -> None:
    """In any stretch of time there are at most the burst and the rate times its length."""
    clock = Clock()
    gateway = Gateway(rate, burst, None, clock)
    admitted_at = []
    for pause_s in pauses_s:
        clock.now_s += pause_s
        if gateway.admit() is None:
            admitted_at.append(clock.now_s)
    for first, begin in enumerate(admitted_at):
        for last in range(first, len(admitted_at)):
            assert last - first + 1 <= burst + rate * (admitted_at[last] - begin) + 1e-6


def test_the_refusals_are_the_gateways_own() -> None:
    """429 tells the two limits apart by its message, and neither changes anything."""
    body = '{"StageName": "Proposal"}'
    with Sandbox(SandboxSettings(rate_per_s=0.001, burst=2)) as slow:
        replies = [put(slow, "1?opportunityType=Pre", body) for _ in range(3)]
        assert [reply.status for reply in replies] == [200, 200, 429]
        assert replies[2].json() == {"message": "Too Many Requests"}
        assert [received.applied for received in slow.received] == [True, True, False]
    with Sandbox(SandboxSettings(quota=1)) as used_up:
        replies = [put(used_up, "1?opportunityType=Pre", body) for _ in range(2)]
        assert [(reply.status, reply.json().get("message")) for reply in replies] == [
            (200, None), (429, "Limit Exceeded"),
        ]  # fmt: skip
