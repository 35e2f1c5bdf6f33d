"""The real command line in the process of the test, against the sandbox in a thread.

Importing the program takes longer than most commands. What needs a process of its own (signals, locks, limits,
terminals) starts one: see `tests/torture/runs.py`.
"""

from __future__ import annotations

import asyncio
import io
import json
import math
import os
import signal
import sqlite3
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, chdir, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import psycopg
from aiohttp import web
from msgspec.structs import replace
from ruamel.yaml import YAML

from batch_updater import endpoint
from batch_updater.cli import commands
from batch_updater.runs.team_database import SCHEMA
from batch_updater.sandbox import server
from batch_updater.sandbox.app import App
from batch_updater.sandbox.update import Received
from tests.end_to_end.forked_worker import start_worker
from tests.json_schema import require_valid

TOKEN = "sandbox-token"
DATABASE = "BATCH_UPDATER_TEAM__DATABASE"
"""The variable that refers to a team's database; the fixture `store` sets it."""
_SENDING = ("run", "nightly")
"""Commands whose rows are a worker's in a team."""
_DRAINED_WITHIN_S = 60
_LOOKED_EVERY_S = 0.01
SAMPLES = Path(__file__).parent.parent.parent / "samples"


@dataclass
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    def __post_init__(self) -> None:
        assert TOKEN not in self.out + self.err
        assert "Traceback" not in self.err, self.err

    @property
    def object(self) -> dict[str, Any]:
        """The one JSON object that `--json` prints, and nothing else."""
        return require_valid(json.loads(self.out))

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What `report --rows` prints: one JSON object on each line."""
        return [require_valid(json.loads(line)) for line in self.out.splitlines()]

    @property
    def outcomes(self) -> dict[str, int]:
        """The outcomes that some row has."""
        return {kind: count for kind, count in self.object["outcomes"].items() if count}


def environment(**variables: str | None) -> dict[str, str]:
    """Return the environment of a command; a variable that is None is not set."""
    ours = {name: value for name, value in os.environ.items()
            if name == DATABASE or not name.startswith("BATCH_UPDATER_")}  # fmt: skip
    asked = ours | {"NEXUS_TOKEN": TOKEN, "PYTHONUNBUFFERED": "1"} | variables
    return {name: value for name, value in asked.items() if value is not None}


def batch_updater(*arguments: str | Path, cwd: Path, stdin: str = "", **variables: str | None) -> Done:
    """Run one command to its end, in this process; main thread only."""
    with worker(*arguments, cwd=cwd, **variables):
        return _batch_updater(arguments, cwd, stdin, variables)


@contextmanager
def worker(*arguments: str | Path, cwd: Path, **variables: str | None) -> Iterator[None]:
    """Run a worker of the team beside a command that sends; nothing without a team."""
    if DATABASE not in os.environ or not arguments or arguments[0] not in _SENDING:
        yield
        return
    config = [*arguments][arguments.index("--config") :][:2] if "--config" in arguments else []
    with TemporaryDirectory() as folder:
        log = Path(folder, "worker.log")
        with closing(start_worker([*map(str, config)], cwd, environment(**variables), log)) as process:
            try:
                yield
            finally:
                process.terminate()
                process.join(_DRAINED_WITHIN_S)
                has_ended = process.exitcode is not None
                process.kill()
                process.join()
                assert has_ended
                said = log.read_text(encoding="utf-8") if log.exists() else ""  # it may be told to end before it begins
                assert not any(word in said for word in ("Traceback", TOKEN, "secret-of-the-database")), said


def _batch_updater(
    arguments: tuple[str | Path, ...], cwd: Path, stdin: str, variables: Mapping[str, str | None]
) -> Done:
    out, err = io.BytesIO(), io.BytesIO()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    with (
        chdir(cwd),
        patch.dict(os.environ, {"COLUMNS": "80"} | environment(**variables), clear=True),
        patch("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), "utf-8")),
        patch("sys.stdout", io.TextIOWrapper(out, "utf-8")),
        patch("sys.stderr", io.TextIOWrapper(err, "utf-8")),
    ):
        try:
            code = commands.main([*map(str, arguments)])
        except SystemExit as ended:  # --help and --version
            code = int(ended.code or 0)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        sys.stdout.flush()
        sys.stderr.flush()
        return Done(code, out.getvalue().decode(), err.getvalue().decode())


def in_store(folder: Path, statement: str) -> list[tuple[Any, ...]]:
    """Execute a statement over the tables of the only run, wherever it is; returns the records of a SELECT."""
    if DATABASE in os.environ:
        with psycopg.connect(os.environ["TEAM_DATABASE"], options=f"-c search_path={SCHEMA}") as team:
            done = team.execute(statement.encode())
            return done.fetchall() if done.description else []
    (path,) = folder.glob("runs/*/run.sqlite")
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement).fetchall()


class _App(App):
    """Answers so many requests; further ones are received, and wait."""

    came = 0
    answers = math.inf

    async def _answered(self, request: web.BaseRequest, received: Received, body: bytes) -> web.StreamResponse:
        self.came += 1
        number = self.came
        while number > self.answers:  # noqa: ASYNC110  (it is set by another thread)
            await asyncio.sleep(_LOOKED_EVERY_S)
        return await super()._answered(request, received, body)


class Sandbox(server.Sandbox):
    """A sandbox in a thread of its own."""

    def __init__(self, settings: server.SandboxSettings, answers: float = math.inf) -> None:
        """`answers`: how many requests are answered until it is released."""
        super().__init__(settings)
        self._app = self._held = _App(settings)
        self._held.answers = answers

    def requests(self) -> list[dict[str, Any]]:
        """Everything that it received from clients of the API, in order."""
        return [json.loads(request.as_json()) for request in self.received]

    def wait_for(self, requests: int) -> None:
        """Wait until it has received so many."""
        while len(self.received) < requests:
            time.sleep(0.02)

    def records(self) -> dict[int, dict[str, Any]]:
        """Every `Pre` record that was touched, by its number."""
        with urllib.request.urlopen(f"{self.url}/_sandbox/records") as answer:
            found = [json.loads(line) for line in answer.read().decode().splitlines()]
        return {record["ID"]: record for record in found if record["Type"] == "Pre"}

    @contextmanager
    def slow(self) -> Iterator[None]:
        """Take a second for each answer until the block ends: most rows are still to come, however slow a test is."""
        self._held._settings = replace(self._settings, latency_ms=1000)
        try:
            yield
        finally:
            self._held._settings = self._settings

    def held(self) -> AbstractContextManager[None]:
        """Answer nothing until the block ends: what sends to it comes no further meanwhile."""
        return self.held_after(self._held.came)

    @contextmanager
    def held_after(self, requests: int) -> Iterator[None]:
        """Answer so many requests in all and no more until the block ends: what sends the others waits there.

        Begin the block before the first of them is sent, and no run ends before the test has looked at it.
        """
        self._held.answers = requests
        try:
            yield
        finally:
            self.release()

    def release(self) -> None:
        """Answer everything from now on."""
        self._held.answers = math.inf


def sandbox(*options: str, answers: float = math.inf) -> Sandbox:
    """Return a sandbox for `with`; the options are those of the command `sandbox`, each with its value.

    With `answers` it answers so many requests at first, and the others once it is released: whatever a test does
    meanwhile finds rows in flight, however long that takes.
    """
    faults: dict[str, float] = {}
    given: dict[str, Any] = {"faults": faults}
    for option, value in zip(options[::2], options[1::2], strict=True):
        if option == "--fault":
            name, _, chance = value.partition("=")
            faults[name] = float(chance)
        else:
            given[{"--rate": "rate_per_s"}.get(option, option[2:].replace("-", "_"))] = json.loads(value)
    return Sandbox(server.SandboxSettings(**given), answers)


def description_without_reading(path: Path) -> Path:
    """Write the built-in description without the GET of the record, and return its path."""
    built_in = Path(endpoint.__file__).with_name("nexus-opportunity.openapi.yaml")
    description = YAML(typ="safe").load(built_in)
    (operations,) = description["paths"].values()
    del operations["get"], operations["put"]["x-read"]
    path.write_text(json.dumps(description), encoding="utf-8")  # JSON is YAML
    return path


def configure(folder: Path, url: str, more: str = "", timeout_s: float = 5) -> None:
    """Write a config.yaml for that API."""
    text = f"api: {{base_url: '{url}', token: 'env:NEXUS_TOKEN', timeout_s: {timeout_s}}}\n"
    (folder / "config.yaml").write_text(text + (more or "sending: {rate_per_s: 5000, attempts: 3}\n"), encoding="utf-8")
