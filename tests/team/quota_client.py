"""A process that sends rows with a team's quota until it is told to stop: `python -m tests.team.quota_client`.

It prints a line when it is ready, begins with the first line that it reads, and ends with the second. In the end it
prints what came of its rows, as JSON; before that a line for each request that it wrote late.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from subprocess import PIPE, Popen
from typing import IO

import msgspec
import uvloop

from batch_updater.config.environment import Environment
from batch_updater.config.loading import config_from
from batch_updater.config.secrets import Secret
from batch_updater.endpoint.request import Prepared, RequestBuilder
from batch_updater.records import Outcome
from batch_updater.runs.sending import responsive
from batch_updater.runs.team_database import TeamDatabase
from batch_updater.runs.team_quota import TeamQuota, limits_of
from batch_updater.sender.auth import fetch_credentials
from batch_updater.sender.pool import Sender, SendResult
from batch_updater.sender.send_options import Hooks, SendOptions
from batch_updater.sender.team_limiter import TeamLimiter
from batch_updater.sender.team_quota import SharedQuota
from tests.sender.driver import ENDPOINT, anything, job, nothing_before

_LATE_S = 0.01
_LATE = "late"


class _WatchedLimiter(TeamLimiter):
    """Says which requests were written long after their permit was found in hand, as when a machine is busy."""

    def __init__(self, quota: SharedQuota, ends_within_s: float) -> None:
        super().__init__(quota, ends_within_s=ends_within_s)
        self._found_at: dict[asyncio.Task[object] | None, float] = {}

    @property
    def is_free(self) -> bool:
        if is_free := super().is_free:
            self._found_at[asyncio.current_task()] = time.monotonic()
        return is_free

    def take(self) -> None:
        now = time.monotonic()
        super().take()
        if now - self._found_at.pop(asyncio.current_task(), now) > _LATE_S:
            say(_LATE)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--concurrency", type=int, default=10)
    parser.add_argument("--max-wait", type=float, default=60)
    parser.add_argument("--ends-within", type=float, default=1)
    options = parser.parse_args(arguments)
    environment = Environment({"TOKEN": "canary-token"})
    sending = {"rate_per_s": options.rate, "concurrency": options.concurrency, "max_wait_s": options.max_wait}
    config = config_from({"api": {"base_url": options.url, "token": "env:TOKEN"}, "sending": sending}, {})
    team = TeamDatabase(Secret(os.environ["TEAM_DATABASE"]))
    builder, outcomes = RequestBuilder(ENDPOINT), Counter[str]()
    jobs = map(job, itertools.count(options.first))

    def settled(outcome: Outcome) -> None:
        outcomes[outcome.kind.value] += 1

    async def go() -> SendResult:
        limiter = _WatchedLimiter(TeamQuota(team, options.url, "account", options.rate, 0), options.ends_within)
        hooks = Hooks(nothing_before, anything, settled, lambda _: None, lambda _: None)
        async with limits_of(limiter, config.api, config.sending) as limits:
            sender = Sender(
                ENDPOINT, config.api, config.sending, hooks, fetch_credentials(config.api, ENDPOINT, environment),
                environment, SendOptions(10**6, keep_going=True, limiter=limits.limiter, breaker=limits.breaker),
            )  # fmt: skip
            say("ready")
            sys.stdin.readline()
            asyncio.get_running_loop().add_reader(sys.stdin, sender.stop)
            return await sender.send(Prepared(one, builder.build(one)) for one in jobs)

    with responsive():
        result = uvloop.run(go())
    stopped = result.stop.reason.value if result.stop else None
    say(msgspec.json.encode(Result(result.requests, stopped, dict(outcomes))).decode())


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Result(msgspec.Struct):
    """What became of its rows."""

    requests: int
    stopped: str | None
    outcomes: dict[str, int]


class Client:
    """Such a process."""

    def __init__(self, process: Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self._printed: IO[str] = process.stdout
        self.late = 0
        """How many requests it wrote late, as far as it has ended."""
        assert self._printed.readline() == "ready\n"

    def tell(self, line: str) -> None:
        """Let it begin, or stop."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def result(self) -> Result:
        """Wait for its end."""
        while (line := self._printed.readline()) == f"{_LATE}\n":
            self.late += 1
        return msgspec.json.decode(line, type=Result)

    def kill(self) -> None:
        """End it without a result, if it has not ended."""
        self.process.kill()
        rest, _ = self.process.communicate()
        self.late += rest.splitlines().count(_LATE)


def stopped(running: list[Client]) -> list[Result]:
    """Stop them all; returns what became of their rows."""
    for client in running:
        client.tell("stop")
    return [client.result() for client in running]


@contextmanager
def clients(
    address: str, url: str, count: int, *, first: int = 1, environ: Mapping[str, str] | None = None, **options: float
) -> Iterator[list[Client]]:
    """Run some, of which each has a million rows of its own; those that are left are killed in the end."""
    typed = [text for name, value in options.items() for text in (f"--{name.replace('_', '-')}", f"{value:g}")]
    environment = {**os.environ, "TEAM_DATABASE": address, **(environ or {})}
    processes = [
        Popen(
            [sys.executable, "-m", "tests.team.quota_client", url, "--first", str(first + number * 10**6), *typed],
            env=environment, stdin=PIPE, stdout=PIPE, text=True,
        )
        for number in range(count)
    ]  # fmt: skip
    running: list[Client] = []
    try:
        running += [Client(process) for process in processes]
        for client in running:
            client.tell("begin")
        yield running
    finally:
        for client in running:
            client.kill()
        for process in processes[len(running) :]:
            process.kill()
            process.communicate()


if __name__ == "__main__":
    main(sys.argv[1:])
