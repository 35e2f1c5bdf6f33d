"""sender/pool.py: many jobs, their order, and how a run ends."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import pytest
from aiohttp import web
from tenacity import wait_fixed

from batch_updater.endpoint.request import Prepared
from batch_updater.errors import StoreError
from batch_updater.records import Outcome, OutcomeKind, StopReason
from batch_updater.sender.pool import Sender
from batch_updater.sender.send_options import Elsewhere
from tests.sender.driver import Sent, job, send
from tests.sender.server import Answer, Api, Seen, drop, ok, record, status


def reason(sent: Sent) -> StopReason | None:
    return sent.result.stop.reason if sent.result.stop else None


def slow(seconds: float) -> Answer:
    async def answer(seen: Seen) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await ok(seen)

    return answer


def test_every_row_has_exactly_one_outcome_whatever_happens() -> None:
    """With faults of every kind on a third of the rows, each row ends with one outcome and none is lost."""
    chance = random.Random(7)
    faults = [status(503), status(500), status(502), status(400), status(404), drop, status(200, "<html>")]
    script = {str(n): [chance.choice(faults)] for n in range(1, 301) if chance.random() < 0.33}
    rows = set(range(1, 301))
    with Api(script=script) as api:
        sent = send(api.url, [job(n) for n in sorted(rows)], concurrency=20, attempts=3)
        assert set(sent.outcomes) == rows
        assert sent.result.requests == len(api.seen) == sum(o.attempts for o in sent.outcomes.values())
        updated = {o.row for o in sent.outcomes.values() if o.kind is OutcomeKind.UPDATED}
        assert updated <= {int(seen.id) for seen in api.seen}
    assert sent.result.stop is None


def test_the_first_job_goes_alone() -> None:
    """Until the first answer there is one request in flight, whatever the concurrency."""
    with Api(script={"1": [slow(0.3)]}) as api:
        send(api.url, [job(n) for n in range(1, 9)], concurrency=8)
        assert min(seen.at for seen in api.seen[1:]) - api.seen[0].at >= 0.3


def test_a_target_is_never_twice_in_flight_and_keeps_file_order() -> None:
    """In order: the rows of one record go one after the other, in the order of the file."""
    jobs = [job(1 + n % 4, row=n + 1, OpportunityName=f"row {n + 1}") for n in range(80)]
    arrived: dict[str, list[int]] = defaultdict(list)
    chance = random.Random(1)

    async def answer(seen: Seen) -> web.StreamResponse:
        arrived[seen.id].append(int(json.loads(seen.body)["OpportunityName"].split()[1]))
        await asyncio.sleep(chance.random() / 50)
        return web.json_response(record(seen))

    with Api(usual=answer) as api:
        sent = send(api.url, jobs, concurrency=10, input_={"duplicates": "in_order"})
        assert sent.kinds() == ["updated"] * 80
        assert max(api.most_at_once.values()) == 1
    assert all(rows == sorted(rows) and len(rows) == 20 for rows in arrived.values())


@pytest.mark.parametrize("trouble", [status(503), status(502), status(400)])
def test_later_rows_wait_for_one_that_did_not_settle(trouble: Answer) -> None:
    """In order: if a row is not confirmed, the later ones of its record are not sent; other records go on."""
    jobs = [job(1, row=2), job(2, row=3), job(2, row=4), job(1, row=5), job(2, row=6)]
    with Api(script={"2": [trouble]}) as api:
        sent = send(api.url, jobs, attempts=1, input_={"duplicates": "in_order"})
        assert [sent.outcomes[row].kind.value for row in (2, 5)] == ["updated", "updated"]
        assert [sent.outcomes[row].kind.value for row in (4, 6)] == ["not_sent", "not_sent"]
        assert "Row 3" in sent.outcomes[4].message
        assert api.requests(2) == 1


def test_many_rows_of_one_target_do_not_pile_up() -> None:
    """A file whose every row updates the same record is sent row by row."""
    with Api() as api:
        jobs = [job(1, row=n) for n in range(1, 201)]
        assert send(api.url, jobs, input_={"duplicates": "in_order"}).kinds() == ["updated"] * 200
        assert api.most_at_once["1"] == 1


@pytest.mark.parametrize("code", [403, 404, 302])
def test_rows_that_are_all_refused_in_one_way_end_the_run(code: int) -> None:
    """If the first rows are all refused with 403, 404 or a redirect, the set-up is wrong: stop with `all_alike`."""
    with Api(usual=status(code, Location="/x")) as api:
        sent = send(api.url, [job(n) for n in range(1, 31)], stop_after_alike=5, concurrency=2)
        assert reason(sent) is StopReason.ALL_ALIKE
        assert 5 <= len(api.seen) <= 7
        assert len(send(api.url, [job(n) for n in range(1, 31)], stop_after_alike=5, keep_going=True).outcomes) == 30


def test_one_row_that_ends_otherwise_shows_that_the_set_up_is_right() -> None:
    """A single other outcome among the first rows switches the rule off for good."""
    with Api(usual=status(404), script={"3": [ok]}) as api:
        sent = send(api.url, [job(n) for n in range(1, 31)], stop_after_alike=5, concurrency=1)
    assert reason(sent) is None
    assert sent.kinds().count("rejected") == 29


def test_a_row_that_is_not_settled_says_nothing_about_the_set_up() -> None:
    """A locked record or a time-out among the first rows neither counts nor switches the rule off."""
    with Api(usual=status(404), script={"1": [status(423)], "3": [status(504)]}) as api:
        sent = send(api.url, [job(n) for n in range(1, 31)], stop_after_alike=5, concurrency=1, attempts=1)
    assert reason(sent) is StopReason.ALL_ALIKE
    assert sent.kinds().count("rejected") == 5


@pytest.mark.parametrize(("limit", "failures"), [(3, 3), ("10%", 4)])
def test_too_many_failures_end_the_run(limit: int | str, failures: int) -> None:
    """stop_after_failures counts rows that are rejected, differ, failed or unconfirmed, as a number or a share."""
    with Api(usual=status(400)) as api:
        sent = send(api.url, [job(n) for n in range(1, 41)], stop_after_failures=limit, concurrency=1)
        assert reason(sent) is StopReason.FAILURES
        assert sent.kinds().count("rejected") == failures


def test_a_refused_token_ends_the_run() -> None:
    """A 401 to a token that cannot be fetched again stops with `credentials`; nothing is blamed but the token."""
    with Api(usual=status(401, "Unauthorized")) as api:
        sent = send(api.url, [job(n) for n in range(1, 9)])
        assert reason(sent) is StopReason.CREDENTIALS
        assert len(api.seen) == 1
    assert sent.outcomes[1].kind is OutcomeKind.FAILED
    assert sent.outcomes[1].status == 401


def stop_after(rows: int) -> tuple[list[int], object]:
    """Give a watcher that stops the sender when so many rows are finished."""
    finished: list[int] = []

    def watch(sender: Sender, outcome: Outcome) -> None:
        finished.append(outcome.row)
        if len(finished) == rows:
            sender.stop()

    return finished, watch


def answers_second_row_while_two_hang() -> Api:
    """Give an API that answers the second row once it has received two others, to which it gives no answer."""
    two_hang, forever = asyncio.Event(), asyncio.Event()
    hanging: list[str] = []

    async def without_answer(seen: Seen) -> web.StreamResponse:
        hanging.append(seen.id)
        if len(hanging) == 2:
            two_hang.set()
        await forever.wait()
        return await ok(seen)

    async def second(seen: Seen) -> web.StreamResponse:
        await two_hang.wait()
        return await ok(seen)

    return Api(usual=without_answer, script={"1": [ok], "2": [second]})


def test_a_stopped_run_starts_nothing_new_and_waits_for_what_is_in_flight() -> None:
    """After the first signal no request goes out; those in flight are waited for and confirmed."""
    finished, watch = stop_after(5)
    with Api(usual=slow(0.1)) as api:
        sent = send(api.url, [job(n) for n in range(1, 201)], concurrency=4, watch=watch)  # type: ignore[arg-type]
        assert reason(sent) is StopReason.INTERRUPTED
        assert len(api.seen) <= 5 + 4
    assert len(finished) == len(sent.outcomes)
    kinds = [outcome.kind for outcome in sent.outcomes.values()]
    assert kinds.count(OutcomeKind.UPDATED) == len(api.seen)
    assert set(kinds) <= {OutcomeKind.UPDATED, OutcomeKind.NOT_SENT}


def test_what_does_not_end_within_the_drain_is_unconfirmed() -> None:
    """After drain_s what is still in flight may have been applied: `unconfirmed`, not `not_sent`."""
    _, watch = stop_after(2)
    with answers_second_row_while_two_hang() as api:
        jobs = [job(n) for n in range(1, 20)]
        sent = send(api.url, jobs, concurrency=3, drain_s=0.2, api={"timeout_s": 600}, watch=watch)  # type: ignore[arg-type]
        in_flight = {int(seen.id) for seen in api.seen} - {1, 2}
    assert len(in_flight) == 2
    assert {row for row, o in sent.outcomes.items() if o.kind is OutcomeKind.UNCONFIRMED} == in_flight


def test_a_row_that_waits_to_be_sent_again_ends_with_what_is_known() -> None:
    """A stop between two attempts leaves `failed` where nothing can have been applied."""
    _, watch = stop_after(2)
    with Api(script={"2": [status(503)] * 50, "3": [slow(0.2)]}) as api:
        jobs = [job(1), job(2), job(3)]
        sent = send(api.url, jobs, concurrency=2, watch=watch, attempts=50)  # type: ignore[arg-type]
    assert sent.outcomes[2].kind is OutcomeKind.FAILED
    assert sent.outcomes[2].attempts >= 1


def test_oauth_tokens_are_fetched_once_and_renewed_after_a_401() -> None:
    """Client credentials give the token; a 401 fetches one new token for the whole pool and the rows are repeated."""

    async def expires(seen: Seen) -> web.StreamResponse:
        return await (ok(seen) if seen.authorization != "Bearer token-1" or len(api.seen) < 4 else status(401)(seen))

    with Api(usual=expires) as api:
        oauth = {
            "token_url": f"{api.url}/oauth/token",
            "client_id": "me",
            "client_secret": "env:SECRET",
            "scope": "a b",
        }
        sent = send(
            api.url,
            [job(n) for n in range(1, 41)],
            api={"oauth": oauth, "token": None},
            environ={"SECRET": "canary-secret"},
            concurrency=8,
        )
        assert sent.kinds() == ["updated"] * 40
        assert len(api.token_requests) == 2
        form = api.token_requests[0].body
        assert form == b"grant_type=client_credentials&client_id=me&client_secret=canary-secret&scope=a+b"
        assert all(b"canary-secret" not in str(seen.request.headers).encode() + seen.body for seen in api.seen)


@pytest.mark.parametrize(
    ("answers", "stop"),
    [
        ([status(401, {"error": "invalid_client"})], StopReason.CREDENTIALS),
        ([status(400, {"error": "invalid_scope"})], StopReason.CREDENTIALS),
        ([status(200, {"nothing": 1})], StopReason.CREDENTIALS),
        ([status(500)] * 5, StopReason.SERVICE_DOWN),
    ],
)
def test_a_token_that_cannot_be_had_ends_the_run(answers: list[Answer], stop: StopReason) -> None:
    """A token URL that refuses stops with `credentials`, one that is down with `service_down`; no row is sent."""
    with Api(token_answers=answers) as api:
        oauth = {"token_url": f"{api.url}/oauth/token", "client_id": "me", "client_secret": "env:SECRET"}
        sent = send(api.url, [job(1)], api={"oauth": oauth, "token": None}, environ={"SECRET": "s"}, attempts=2)
        assert reason(sent) is stop
        assert api.seen == []


def test_a_lifetime_of_any_length_is_taken() -> None:
    """However long a token says that it lives, its run goes on."""
    answer = status(200, '{"access_token": "a", "expires_in": 1' + 400 * "0" + "}")
    with Api(token_answers=[answer]) as api:
        oauth = {"token_url": f"{api.url}/oauth/token", "client_id": "me", "client_secret": "env:SECRET"}
        sent = send(api.url, [job(1)], api={"oauth": oauth, "token": None}, environ={"SECRET": "s"})
        assert (sent.kinds(), len(api.token_requests)) == (["updated"], 1)


def test_a_gateway_that_fails_has_not_accepted_a_token() -> None:
    """A token that was fetched after a 401 and is refused in turn ends the run, whatever a gateway says between."""
    with Api(script={"1": [status(401), status(503), status(401), ok]}) as api:
        oauth = {"token_url": f"{api.url}/oauth/token", "client_id": "me", "client_secret": "env:SECRET"}
        sent = send(api.url, [job(1)], api={"oauth": oauth, "token": None}, environ={"SECRET": "s"})
        assert len(api.token_requests) == 2
    assert reason(sent) is StopReason.CREDENTIALS


def test_a_new_token_and_a_pause_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The log says why a token was fetched, and that and how long everything waits because the service asks for it."""
    with caplog.at_level(logging.INFO), Api(script={"1": [status(401), status(503, Retry_After="1")]}) as api:
        oauth = {"token_url": f"{api.url}/oauth/token", "client_id": "me", "client_secret": "env:SECRET"}
        send(api.url, [job(1)], api={"oauth": oauth, "token": None}, environ={"SECRET": "s"})
    said = [vars(record) for record in caplog.records if record.name.startswith("batch_updater")]
    assert [fact["why"] for fact in said if fact["event"] == "token"] == [
        "a new token: there is none yet",
        "a new token: the API refused the last one (401)",
    ]
    assert [fact["wait_s"] for fact in said if fact["event"] == "pause"] == [1.0]


def test_a_token_url_that_asks_to_wait_is_obeyed() -> None:
    """The pause is kept before the next attempt; one beyond sending.max_wait_s ends the run at once."""
    for asked, wanted, attempts in (("0.5", ["updated"], 2), ("3600", [], 1)):
        with Api(token_answers=[status(429, Retry_After=asked)]) as api:
            oauth = {"token_url": f"{api.url}/oauth/token", "client_id": "me", "client_secret": "env:SECRET"}
            sent = send(api.url, [job(1)], api={"oauth": oauth, "token": None}, environ={"SECRET": "s"}, max_wait_s=5)
            assert len(api.token_requests) == attempts
            assert api.token_requests[-1].at - api.token_requests[0].at >= (0.49 if attempts > 1 else 0)
        assert sent.kinds() == wanted


def test_a_token_url_that_recovers_is_asked_again() -> None:
    """A passing trouble of the token URL costs a pause, not the run."""
    with Api(token_answers=[status(503)]) as api:
        oauth = {"token_url": f"{api.url}/oauth/token", "client_id": "me", "client_secret": "env:SECRET"}
        sent = send(api.url, [job(1)], api={"oauth": oauth, "token": None}, environ={"SECRET": "s"})
        assert sent.kinds() == ["updated"]


def test_the_pool_opens_at_the_first_answer_not_at_the_end_of_the_first_row() -> None:
    """While the first row is not done, the others are sent: it is answered only after them."""
    others_sent = asyncio.Event()

    async def after_the_others(seen: Seen) -> web.StreamResponse:
        await others_sent.wait()
        return await ok(seen)

    async def last_of_the_others(seen: Seen) -> web.StreamResponse:
        if {one.id for one in api.seen} == {"1", "2", "3", "4", "5"}:
            others_sent.set()
        return await ok(seen)

    script = {"1": [status(500), after_the_others]}
    with Api(usual=last_of_the_others, script=script) as api:
        sent = send(api.url, [job(n) for n in range(1, 6)], api={"timeout_s": 60})
        assert sent.kinds() == ["updated"] * 5
        assert [seen.id for seen in api.seen].count("1") == 2
        assert api.seen[0].id == "1"


def test_rows_that_were_not_sent_say_nothing_about_the_set_up() -> None:
    """A row that waits for an earlier one of its record does not show that the set-up is right."""
    jobs = [job(n // 2, row=n) for n in range(2, 42)]
    with Api(usual=status(404)) as api:
        sent = send(api.url, jobs, stop_after_alike=5, concurrency=1, input_={"duplicates": "in_order"})
        assert reason(sent) is StopReason.ALL_ALIKE
        assert len(api.seen) == 5


def test_a_service_that_only_fails_is_hardly_asked() -> None:
    """Of 1,000 rows to a service that answers only 503, few are tried, and the run ends with `service_down`."""
    with Api(usual=status(503)) as api:
        sent = send(api.url, [job(n) for n in range(1, 1001)], max_wait_s=1.5, concurrency=20)
        assert len(api.seen) <= 60
    assert reason(sent) is StopReason.SERVICE_DOWN
    assert {outcome.kind for outcome in sent.outcomes.values()} <= {OutcomeKind.FAILED, OutcomeKind.NOT_SENT}
    assert sent.result.requests == sum(outcome.attempts for outcome in sent.outcomes.values())


def test_an_outage_costs_time_and_no_rows() -> None:
    """A service that fails for a while in the middle of a run is probed until it is back; then every row is sent."""
    down: list[float] = []

    async def answer(seen: Seen) -> web.StreamResponse:
        if len(api.seen) >= 50 and not down:
            down.append(seen.at)
        if down and seen.at - down[0] < 2.0:
            return await (status(502) if int(seen.id) % 2 else drop)(seen)
        return await ok(seen)

    with Api(usual=answer) as api:
        sent = send(api.url, [job(n) for n in range(1, 301)], concurrency=10, max_wait_s=30)
        assert sent.kinds() == ["updated"] * 300
        assert len([seen for seen in api.seen if 0 <= seen.at - down[0] < 2.0]) <= 30
    assert reason(sent) is None


def test_probes_do_not_count_towards_the_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """With two attempts a row, one that failed and then probed in vain is still sent when the service is back."""
    # No row is sent again before all ten have failed.
    monkeypatch.setattr("batch_updater.sender.client.wait_random_exponential", lambda **_: wait_fixed(3))
    failing: list[str] = []
    all_under_way = asyncio.Event()

    async def answer(seen: Seen) -> web.StreamResponse:
        if seen.id == "1":
            return await ok(seen)
        failing.append(seen.id)
        # Ten rows fail together, which opens the breaker, and then two probes.
        if len(failing) == 10:
            all_under_way.set()
        await all_under_way.wait()
        return await (status(500) if len(failing) <= 12 else ok)(seen)

    with Api(usual=answer) as api:
        sent = send(api.url, [job(n) for n in range(1, 14)], concurrency=10, attempts=2, max_wait_s=30)
    assert sent.kinds() == ["updated"] * 13
    assert max(outcome.attempts for outcome in sent.outcomes.values()) > 2


def test_a_spent_retry_budget_fails_no_row() -> None:
    """When more is repeated than the budget allows, the pool becomes careful, and every row is still updated."""
    script = {str(n): [status(500)] for n in range(1, 211, 2)}
    with Api(script=script) as api:
        sent = send(api.url, [job(n) for n in range(1, 211)], retry_budget=0, max_wait_s=30)
    assert sent.kinds() == ["updated"] * 210
    assert sent.result.retries >= 105
    assert reason(sent) is None


def test_rows_of_a_service_that_cannot_be_reached_are_told_truthfully(closed_port: int) -> None:
    """Where no connection can be made the run ends after max_wait_s: what was tried has failed, nothing else was."""
    url = f"http://127.0.0.1:{closed_port}"
    sent = send(url, (job(n) for n in range(1, 10001)), max_wait_s=0.5)
    assert reason(sent) is StopReason.SERVICE_DOWN
    assert len(sent.outcomes) <= 3
    assert {outcome.kind for outcome in sent.outcomes.values()} == {OutcomeKind.FAILED}


def test_a_throttled_pool_slows_down() -> None:
    """A service that allows less than it is asked for refuses few requests, and every row is updated."""
    tokens, filled = [50.0], [0.0]

    async def bucket(seen: Seen) -> web.StreamResponse:
        tokens[0] = min(50.0, tokens[0] + (seen.at - filled[0]) * 100)
        filled[0] = seen.at
        if tokens[0] < 1:
            return await status(429, {"message": "Too Many Requests"})(seen)
        tokens[0] -= 1
        return await ok(seen)

    with Api(usual=bucket) as api:
        sent = send(api.url, [job(n) for n in range(1, 401)], rate_per_s=1000)
        assert sent.kinds() == ["updated"] * 400
        times = [seen.at for seen in api.seen]
    assert 0 < sent.result.throttled <= 0.1 * sent.result.requests
    assert times[-1] - times[0] <= 3 * (400 - 50) / 100  # 1.5 on a machine that does nothing else


@pytest.mark.parametrize(("senders", "ahead"), [(0, 20), (3, 5)])
def test_no_more_rows_are_made_ready_than_the_share_of_the_rate_needs(senders: int, ahead: int) -> None:
    """If the program is killed they count as perhaps applied: those of 0.1 s, of the rate that others share."""
    announced: list[int] = []
    finished: list[int] = []
    most = 0

    async def before_send(batch: Sequence[Prepared]) -> None:
        nonlocal most
        announced.extend(prepared.job.row for prepared in batch)
        most = max(most, len(announced) - len(finished))

    with Api(script={str(n): [slow(0.05)] for n in range(1, 201)}) as api:
        send(
            api.url, [job(n) for n in range(1, 201)], concurrency=8, rate_per_s=200, before_send=before_send,
            watch=lambda _, outcome: finished.append(outcome.row), elsewhere=Elsewhere(senders=senders),
        )  # fmt: skip
    assert ahead <= most <= 8 + 2 * ahead - 1
    assert len(finished) == 200


@pytest.mark.parametrize("good", [0, 3])
def test_nothing_goes_out_that_the_database_does_not_hold(good: int) -> None:
    """If the hook before requests raises, those and all later ones stay here: stop with `disk`."""
    held: list[int] = []

    async def before_send(batch: Sequence[Prepared]) -> None:
        if len(held) >= good:
            raise StoreError("The disk is full.")
        held.extend(prepared.job.row for prepared in batch)

    with Api() as api:
        sent = send(api.url, [job(n) for n in range(1, 21)], concurrency=2, before_send=before_send)
        seen = {int(seen.id) for seen in api.seen}
    assert reason(sent) is StopReason.DISK
    assert seen <= set(held)
    assert {row for row, outcome in sent.outcomes.items() if outcome.kind is OutcomeKind.UPDATED} == seen
    rest = [outcome for row, outcome in sent.outcomes.items() if row not in seen]
    assert rest
    assert all(o.kind is OutcomeKind.NOT_SENT and "The disk is full." in o.message for o in rest)


def test_no_request_goes_out_once_the_database_cannot_be_written() -> None:
    """The hook before every request holds for repeats and for rows that are ready: what was sent stays unsettled."""
    asked: list[int] = []

    def may_send() -> None:
        asked.append(1)
        if len(asked) > 3:
            raise StoreError("The disk is full.")

    with Api(usual=status(500)) as api:
        sent = send(api.url, [job(n) for n in range(1, 21)], concurrency=1, attempts=9, may_send=may_send)
        assert len(api.seen) == 3
    assert reason(sent) is StopReason.DISK
    assert sent.kinds()[0] == "failed"
    assert set(sent.kinds()[1:]) == {"not_sent"}


def test_a_row_that_waits_for_its_permit_stays_when_the_database_fails_meanwhile() -> None:
    """Whether a row may go out is asked when it goes, and not before it waits for its turn at the rate."""
    fails_at: list[float] = []

    def may_send() -> None:
        if not fails_at:
            fails_at.append(time.monotonic() + 1)
        if time.monotonic() > fails_at[0]:
            raise StoreError("The disk is full.")

    with Api() as api:
        sent = send(api.url, [job(n) for n in range(1, 4)], concurrency=3, rate_per_s=0.5, may_send=may_send)
        assert len(api.seen) == 1
    assert reason(sent) is StopReason.DISK
    assert sent.kinds() == ["updated", "not_sent", "not_sent"]


def test_a_second_signal_ends_at_once() -> None:
    """abort() waits for nothing: what is in flight is `unconfirmed`, and says that the run ended."""

    def watch(sender: Sender, outcome: Outcome) -> None:
        if outcome.row == 2:
            sender.abort()

    with answers_second_row_while_two_hang() as api:
        started = time.monotonic()
        jobs = [job(n) for n in range(1, 9)]
        sent = send(api.url, jobs, concurrency=3, drain_s=600, api={"timeout_s": 600}, watch=watch)
        assert time.monotonic() - started < 100
        in_flight = {int(seen.id) for seen in api.seen} - {1, 2}
    assert len(in_flight) == 2
    assert sent.result.aborted
    assert {row for row, o in sent.outcomes.items() if o.kind is OutcomeKind.UNCONFIRMED} == in_flight


def test_the_rate_is_held_over_retries_and_all_workers() -> None:
    """No one-second window of permits holds more than the rate, retries included; each permit is one request."""
    times: list[float] = []
    script = {str(n): [status(500)] for n in range(1, 40, 4)}
    with Api(script=script) as api:
        sent = send(api.url, [job(n) for n in range(1, 90)], rate_per_s=40, concurrency=20, attempts=4,
                    may_send=lambda: times.append(time.monotonic()))  # fmt: skip
        assert sent.kinds() == ["updated"] * 89
        assert len(times) == len(api.seen)
    busiest = max(sum(1 for at in times if start <= at < start + 1) for start in times)
    assert busiest <= 40
    # One after the other, as the rate allows; a machine that stands still for a while makes one of the pauses longer.
    assert statistics.median(after - before for before, after in pairwise(times)) <= 1 / 25


def test_a_row_that_has_not_been_written_when_the_run_is_stopped_was_not_sent() -> None:
    """It waits for its turn of the event loop just then: no attempt was made, and none has failed."""

    def stop_soon(sender: Sender, outcome: Outcome) -> None:
        if outcome.row == 2:
            asyncio.get_running_loop().call_soon(sender.stop)

    with Api() as api:
        sent = send(api.url, [job(n) for n in range(1, 5)], concurrency=1, watch=stop_soon)
    assert sent.kinds() == ["updated", "updated", "not_sent", "not_sent"]
    assert [sent.outcomes[row].attempts for row in (1, 2, 3, 4)] == [1, 1, 0, 0]
