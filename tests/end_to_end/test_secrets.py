from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batch_updater.sandbox.faults import FAULTS
from tests.end_to_end.program import TOKEN, batch_updater, sandbox
from tests.torture.runs import assert_no_token, ended, start, write_rows

if TYPE_CHECKING:
    from tests.end_to_end.program import Sandbox

SECRET = "sandbox-secret"
SECRETS = ("sandbox-token", SECRET, "sandbox-issued-")
FAULT_NAMES = [kind.name.replace("-N", "-503" if kind.lowest else "-300") for kind in FAULTS]


def configure_oauth(folder: Path, api: Sandbox, more: str = "") -> None:
    (folder / "secret").write_text(SECRET, encoding="ascii")
    (folder / "secret").rename(folder / "token")  # the one file that may hold it: see assert_no_token
    (folder / "config.yaml").write_text(
        f"api: {{base_url: '{api.url}', timeout_s: 2, oauth: {{token_url: '{api.url}/oauth/token', "
        "client_id: sandbox, client_secret: 'file:token'}, headers: {X-Key: 'env:NEXUS_TOKEN'}}\n"
        f"sending: {{rate_per_s: 500, attempts: 2, max_wait_s: 2, retry_budget: 5}}\n{more}",
        encoding="utf-8",
    )


def tokens_used(api: Sandbox) -> set[str]:
    """Return which tokens the sandbox has seen, by what it calls them: `issued-1` and so on."""
    return {request["token"] for request in api.requests() if request["token"]}


@pytest.mark.parametrize("command", ["run", "check"])
def test_no_secret_is_in_anything_under_any_fault(tmp_path: Path, command: str) -> None:
    """Client secret, fetched tokens and secret headers are in no file, output or error, whatever the service does."""
    names = [name for name in FAULT_NAMES if not name.startswith(("hang", "endless", "drip", "quota"))]
    rows: list[dict[str, object]] = [
        {"Id": n, "Type": "Pre", "OpportunityName": f"fault:{name}:1"} for n, name in enumerate(names, 1)
    ]
    write_rows(tmp_path / "rows.csv", rows)
    with sandbox() as api:
        configure_oauth(tmp_path, api)
        done = batch_updater(command, "rows.csv", "--json", "--verbose", cwd=tmp_path)
        issued = tokens_used(api)
    assert done.code in {0, 1, 3}
    assert sum(done.outcomes.values()) == len(names)
    assert bool(issued) == (command == "run")
    for secret in SECRETS:
        assert secret not in done.out + done.err
        assert_no_token(tmp_path, secret)


def test_arguments_of_a_command_that_gives_a_secret_are_told_nowhere(tmp_path: Path) -> None:
    """They may be secrets themselves: journal, workbook, page and log name the program alone."""
    write_rows(tmp_path / "rows.csv", [{"Id": 1, "Type": "Pre", "OpportunityName": "x"}])
    with sandbox() as api:
        settings = {
            "BATCH_UPDATER_API__BASE_URL": api.url,
            "BATCH_UPDATER_API__TOKEN": f"command:echo {TOKEN}",
            "BATCH_UPDATER_API__HEADERS": "{X-Key: 'command:echo canary-key'}",
        }
        done = batch_updater("run", "rows.csv", "--json", "--verbose", cwd=tmp_path, **settings)
        assert done.code == 0, done.err
        assert "canary-key" not in done.out + done.err
        assert_no_token(tmp_path, "canary-key")
        assert_no_token(tmp_path, TOKEN)


def test_no_secret_is_in_the_list_of_processes(tmp_path: Path) -> None:
    """Neither the command line nor, for a secret that is fetched, the environment of the process holds it."""
    write_rows(tmp_path / "rows.csv", [{"Id": n, "Type": "Pre", "OpportunityName": "x"} for n in range(1, 30)])
    with sandbox() as api:
        configure_oauth(tmp_path, api)
        process = start(tmp_path, "run", "rows.csv", BATCH_UPDATER_SENDING__RATE_PER_S="10")
        while not tokens_used(api):
            time.sleep(0.02)
        folder = Path("/proc") / str(process.pid)
        told = (folder / "cmdline").read_bytes() + b"".join(
            part for part in (folder / "environ").read_bytes().split(b"\0") if not part.startswith(b"NEXUS_TOKEN=")
        )
        process.terminate()
        ended(process)
        issued = tokens_used(api)
    assert issued
    assert not [secret for secret in SECRETS if secret.encode() in told]


def test_the_log_explains_every_attempt_and_holds_no_customer(tmp_path: Path) -> None:
    """One line of JSON for each attempt and decision, with row, attempt, status, seconds and why; no cell, no token."""
    rows: list[dict[str, object]] = [
        {"Id": 1, "Type": "Pre", "OpportunityName": "Customer Secretname"},
        {"Id": 2, "Type": "Pre", "OpportunityName": "fault:status-503:1 Secretname"},
        {"Id": 3, "Type": "Pre", "StageName": "Secretname"},
    ]
    write_rows(tmp_path / "rows.csv", [{"StageName": "", "OpportunityName": "", **row} for row in rows])
    with sandbox() as api:
        configure_oauth(tmp_path, api)
        done = batch_updater("run", "rows.csv", "--json", "--verbose", cwd=tmp_path)
    assert done.outcomes == {"updated": 2, "rejected": 1}
    text = (Path(done.object["run"]) / "run.log").read_text(encoding="utf-8")
    assert "Secretname" not in text + done.err
    assert TOKEN not in text
    lines = [json.loads(line) for line in text.splitlines()]
    attempts = [(line["row"], line["attempt"], line["status"]) for line in lines if line["event"] == "attempt"]
    assert sorted(attempts) == [(2, 1, 200), (3, 1, 503), (3, 2, 200), (4, 1, 400)]
    assert all(line["seconds"] >= 0 for line in lines if line["event"] == "attempt")
    (backed_off,) = (line for line in lines if line["event"] == "back-off")
    assert backed_off["row"] == 3
    assert backed_off["wait_s"] >= 0
    assert all({"at", "level", "event"} <= set(line) for line in lines)
    assert "attempt: row 3, attempt 1, status 503" in done.err
