"""sender/client.py where records are read first: trouble with reading is told from trouble with the update."""

from __future__ import annotations

import json

import pytest
from aiohttp import web
from msgspec.structs import replace

from batch_updater.errors import StoreError
from batch_updater.records import OutcomeKind, StopReason
from batch_updater.sender.pool import Sender
from tests.sender.driver import job, send
from tests.sender.server import Answer, Api, Seen, cut_off, drop, hang, status


async def as_asked(seen: Seen) -> web.StreamResponse:
    return web.json_response([{"ID": int(seen.id), "Type": "Pre", "OpportunityName": f"name {seen.id}"}])


class RecordsBefore(dict[int, str]):
    """What each record was, as it was told before its update."""

    def __call__(self, _sender: Sender, row: int, before: str) -> None:
        self[row] = before


def test_what_a_record_was_is_told_before_its_update() -> None:
    """Read, told, updated: two requests, and the first says nothing of the second."""
    kept = RecordsBefore()
    with Api() as api:
        sent = send(api.url, [job(1)], before_change=kept)
        assert api.methods() == ["GET", "PUT"]
    assert sent.kinds() == ["updated"]
    assert json.loads(kept[1])["OpportunityName"] == "before"
    assert (sent.outcomes[1].attempts, sent.result.requests, sent.result.retries) == (2, 2, 0)


@pytest.mark.parametrize(
    "trouble", [status(429), status(503), status(500), status(504), status(408), cut_off, drop, hang]
)
def test_a_reading_is_repeated(trouble: Answer) -> None:
    """Reading changes nothing, so whatever comes of it may be asked again."""
    kept = RecordsBefore()
    with Api(readings={"1": [trouble]}) as api:
        sent = send(api.url, [job(1)], before_change=kept, api={"timeout_s": 3 if trouble is hang else 60})
        assert api.methods() == ["GET", "GET", "PUT"]
    assert sent.kinds() == ["updated"]
    assert sent.result.retries == 1
    assert json.loads(kept[1])["ID"] == 1


RECORD = {"ID": 1, "Type": "Pre", "OpportunityName": "name 1"}


@pytest.mark.parametrize(
    "trouble",
    [
        status(503), status(504), cut_off, drop, status(200, "<html></html>"), status(204),
        status(200, [{**RECORD, "ID": 2}]), status(200, [{**RECORD, "Type": "Post"}]), status(200, [RECORD, RECORD]),
        status(200, [{"ID": 1, "OpportunityName": "name 1"}]), status(200, [{"Type": "Pre"}]), status(200, [[RECORD]]),
        status(200, {**RECORD, "ID": None}), status(200, [{**RECORD, "error": "no rights to see it"}]),
        status(200, {"success": False, "data": [RECORD]}), status(202, [RECORD]), status(206, [RECORD]),
        status(207, [RECORD]), status(206, []), status(200, f"[{'[' * 500}]{']' * 500}"),
    ],
)  # fmt: skip
def test_a_record_that_cannot_be_read_is_not_updated(trouble: Answer) -> None:
    """`failed`, whatever the trouble: nothing can have been applied where records were only read."""
    with Api(readings={"1": [trouble] * 3}) as api:
        sent = send(api.url, [job(1)], before_change=RecordsBefore(), attempts=3)
        assert set(api.methods()) == {"GET"}
    assert sent.kinds() == ["failed"]
    assert sent.outcomes[1].kept is None


def test_a_lost_update_after_a_reading_is_unconfirmed() -> None:
    """The attempts of the update are its own, and what it may have done does not depend on the reading."""
    with Api(readings={"1": [status(503)] * 2}, script={"1": [drop] * 3}) as api:
        sent = send(api.url, [job(1)], before_change=RecordsBefore(), attempts=3)
        assert api.methods() == ["GET"] * 3 + ["PUT"] * 3
    assert sent.kinds() == ["unconfirmed"]


def test_a_token_that_is_refused_while_reading_is_replaced() -> None:
    """401 to a reading is one more request with another token, for a source that can give one."""
    with Api(readings={"1": [status(401)]}) as api:
        oauth = {
            "token_url": f"{api.url}/oauth/token", "client_id": "id", "client_secret": "env:TOKEN", "scope": "s",
        }  # fmt: skip
        sent = send(api.url, [job(1)], before_change=RecordsBefore(), api={"token": None, "oauth": oauth})
        tokens = [seen.authorization for seen in api.seen]
    assert sent.kinds() == ["updated"]
    assert tokens == ["Bearer token-1", "Bearer token-2", "Bearer token-2"]


def test_a_token_that_cannot_be_replaced_ends_the_run_before_any_update() -> None:
    """401 to a reading with a token from the environment: `credentials`, and the row cannot have been applied."""
    with Api(readings={"1": [status(401)]}) as api:
        sent = send(api.url, [job(1), job(2)], before_change=RecordsBefore())
        assert api.methods() == ["GET"]
    assert sent.result.stop
    assert sent.result.stop.reason is StopReason.CREDENTIALS
    assert sent.kinds()[0] == "failed"


def test_a_stop_between_reading_and_update_leaves_the_row_unsent() -> None:
    """Ctrl-C after the record was read: no update goes out, and the row is `not_sent`."""

    def stop(sender: Sender, _row: int, _before: str) -> None:
        sender.stop()

    with Api() as api:
        sent = send(api.url, [job(1)], before_change=stop)
        assert api.methods() == ["GET"]
    assert sent.outcomes[1].kind is OutcomeKind.NOT_SENT


def test_what_cannot_be_kept_is_not_changed() -> None:
    """A disk that does not take what the record was: no update goes out, and the run ends."""

    def full(_sender: Sender, _row: int, _before: str) -> None:
        raise StoreError("The database cannot be written: no space.")

    with Api() as api:
        sent = send(api.url, [job(1)], before_change=full)
        assert api.methods() == ["GET"]
    assert sent.result.stop
    assert sent.result.stop.reason is StopReason.DISK
    assert sent.kinds() == ["not_sent"]


def test_an_update_that_was_sent_before_is_never_taken_for_the_time_before() -> None:
    """Of a row that an earlier part may have applied no record is told, and one that holds the values is `updated`."""
    kept = RecordsBefore()
    with Api(readings={"2": [as_asked]}) as api:
        jobs = [replace(job(number), maybe_applied=True) for number in (1, 2)]
        sent = send(api.url, jobs, before_change=kept)
        assert api.methods().count("PUT") == 1
    assert sent.kinds() == ["updated", "updated"]
    assert kept == {}
    assert [outcome.kept and outcome.kept.before for outcome in sent.outcomes.values()] == [None, None]
    assert all(outcome.kept and outcome.kept.reported for outcome in sent.outcomes.values())
