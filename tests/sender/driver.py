"""Runs the sender on a few rows, as a run does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from batch_updater.config.environment import Environment
from batch_updater.config.loading import config_from
from batch_updater.endpoint.description import Endpoint
from batch_updater.endpoint.reference import load_endpoint
from batch_updater.endpoint.request import Prepared, RequestBuilder
from batch_updater.records import AllowedList, Attempt, Job, Outcome, Value
from batch_updater.sender.auth import fetch_credentials
from batch_updater.sender.limiter import Limiter
from batch_updater.sender.pool import Sender, SendResult
from batch_updater.sender.send_options import Elsewhere, Hooks, ReadBeforeWrite, SendOptions

Run: TypeAlias = Callable[[Coroutine[object, object, SendResult]], SendResult]

ENDPOINT = load_endpoint("nexus-opportunity")


def job(identity: int, row: int | None = None, **values: Value) -> Job:
    values = values or {"OpportunityName": f"name {identity}"}
    return Job(
        row or identity, f"OpportunityId={identity}", {"OpportunityId": identity, "opportunityType": "Pre", **values}
    )


@dataclass
class Sent:
    """What came of it."""

    result: SendResult
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    """Row -> outcome."""
    learned: list[AllowedList] = field(default_factory=list)
    """Valid names, as they were told."""
    attempts: list[Attempt] = field(default_factory=list)
    """Every request, as it was told."""

    def kinds(self) -> list[str]:
        return [self.outcomes[row].kind.value for row in sorted(self.outcomes)]


async def nothing_before(_batch: Sequence[Prepared]) -> None:
    """Forbid no request."""


def anything() -> None:
    """Forbid nothing."""


def send(
    url: str,
    jobs: Iterable[Job],
    *,
    environ: dict[str, str] | None = None,
    api: dict[str, object] | None = None,
    input_: dict[str, object] | None = None,
    keep_going: bool = False,
    watch: Callable[[Sender, Outcome], None] | None = None,
    before_send: Callable[[Sequence[Prepared]], Awaitable[None]] = nothing_before,
    may_send: Callable[[], None] = anything,
    endpoint: Endpoint = ENDPOINT,
    before_change: Callable[[Sender, int, str], None] | None = None,
    limiter: Limiter | None = None,
    elsewhere: Elsewhere | None = None,
    run: Run = asyncio.run,
    **sending: float | str,
) -> Sent:
    """Send rows to the API at `url` and return every outcome; fails if a row gets two.

    With `before_change` each record is read first; it is called before the update. `run` runs the event loop.
    """
    environment = Environment(environ if environ is not None else {"TOKEN": "canary-token"})
    config = config_from(
        {
            "api": {"base_url": url, "token": "env:TOKEN", "timeout_s": 60, **(api or {})},
            "sending": {"rate_per_s": 10000, **sending},
            "input": input_ or {},
        },
        {},
    )
    outcomes: dict[int, Outcome] = {}
    learned: list[AllowedList] = []
    attempts: list[Attempt] = []

    async def go() -> SendResult:
        def on_outcome(outcome: Outcome) -> None:
            assert outcome.row not in outcomes, f"row {outcome.row} has two outcomes"
            outcomes[outcome.row] = outcome
            if watch:
                watch(sender, outcome)

        async def will_change(row: int, before: str, _read: object) -> None:
            assert before_change is not None
            before_change(sender, row, before)

        builder = RequestBuilder(endpoint)
        read_first = None if before_change is None else ReadBeforeWrite(builder, will_change, only=False, expected={})
        rows = [Prepared(job, builder.build(job)) for job in jobs]
        sender = Sender(
            endpoint,
            config.api,
            config.sending,
            Hooks(before_send, may_send, on_outcome, learned.append, attempts.append),
            fetch_credentials(config.api, ENDPOINT, environment),
            environment,
            SendOptions(
                len(rows),
                keep_going,
                read_first,
                limiter,
                in_order=config.input.duplicates == "in_order",
                elsewhere=elsewhere or Elsewhere(),
            ),
        )
        return await sender.send(iter(rows))

    result = run(go())
    return Sent(result, outcomes, learned, attempts)
