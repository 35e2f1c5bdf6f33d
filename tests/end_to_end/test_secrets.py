from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from batch_updater.sandbox.faults import FAULTS
from batch_updater.text.redaction import REDACTED
from tests.end_to_end.program import TOKEN, Sandbox, batch_updater, configure, sandbox
from tests.nightly.receivers import webhook
from tests.sender.server import Api
from tests.torture.runs import assert_no_token, ended, start, write_rows

if TYPE_CHECKING:
    from tests.end_to_end.program import Done
    from tests.sender.server import Answer, Seen

pytestmark = pytest.mark.usefixtures("store")

SECRET = "sandbox-secret"
SECRETS = ("sandbox-token", SECRET, "sandbox-issued-")
FAULT_NAMES = [kind.name.replace("-N", "-503" if kind.lowest else "-300") for kind in FAULTS]


def configure_oauth(folder: Path, api: Sandbox | Api, more: str = "") -> None:
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


ECHOED = (400, 403, 404, 409, 422, 500, 502, 503, 504)
"""Statuses that lead to every outcome of a refusal or a failure."""


def every_form(secret: str) -> re.Pattern[bytes]:
    """Return what finds a secret as it is, and in every form in which the sandbox repeats it."""
    percent = "".join(f"%{ord(character):02X}" for character in secret)
    escaped = "".join(rf"\\+u{ord(character):04x}" for character in secret)
    aligned = (base64.b64encode(b"." * shift + secret.encode()).decode()[4 if shift else 0 : -4] for shift in range(3))
    forms = (re.escape(secret), re.escape(secret[:-3]), re.escape(percent), escaped, *map(re.escape, aligned))
    return re.compile("|".join(forms).encode())


def assert_in_no_form(folder: Path, done: Done, secret: str = TOKEN) -> None:
    """Fail if a file of the folder (workbooks unpacked) or the output of a command holds a secret in any form."""
    pattern = every_form(secret)
    assert not pattern.search((done.out + done.err).encode())
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "token":
            assert not pattern.search(path.read_bytes()), path
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    assert not [name for name in archive.namelist() if pattern.search(archive.read(name))], path


def rows_that_are_echoed(path: Path) -> Path:
    return write_rows(
        path,
        [
            {"Id": number, "Type": "Pre", "OpportunityName": f"fault:{fault}"}
            for number, fault in enumerate(["echo-in-record", *(f"echo-authorization-{code}" for code in ECHOED)], 1)
        ],
    )


def dump_database(folder: Path) -> None:
    """Write all that a team's database has into a folder, and each file in it once more as it is."""
    if address := os.environ.get("TEAM_DATABASE"):
        dump = subprocess.run(["pg_dump", address], check=True, capture_output=True).stdout
        (folder / "dump.sql").write_bytes(dump)
        files = re.findall(rb"\\\\x([0-9a-f]+)", dump)
        assert len(files) >= 3  # the input, the workbook and the page
        for number, content in enumerate(files):
            (folder / f"dumped-{number}").write_bytes(bytes.fromhex(content.decode()))


@pytest.mark.parametrize("is_oauth", [False, True])
def test_a_service_that_repeats_the_authorization_is_quoted_without_it(tmp_path: Path, *, is_oauth: bool) -> None:
    """Whatever the outcome: not in database, log, page or workbook, nor in what is printed, then or later."""
    rows_that_are_echoed(tmp_path / "rows.csv")
    with sandbox() as api:
        if is_oauth:
            configure_oauth(tmp_path, api)
        else:
            configure(tmp_path, api.url, "sending: {rate_per_s: 500, attempts: 2, max_wait_s: 2, retry_budget: 5}\n")
        done = batch_updater("run", "rows.csv", "--json", "--verbose", cwd=tmp_path)
    assert done.outcomes == {"differs": 1, "rejected": 5, "failed": 2, "unconfirmed": 2}
    again = batch_updater("report", done.object["run"], "--json", cwd=tmp_path)
    assert again.code == done.code
    rows = batch_updater("report", done.object["run"], "--rows", cwd=tmp_path)
    told = {line["message"] for line in rows.lines if "You sent" in line["message"]}
    assert len(told) == len(ECHOED) + 1
    assert all(REDACTED in message for message in told)
    dump_database(tmp_path)
    for secret in (*SECRETS, "secret-of-the-database"):
        for printed in (done, again, rows):
            assert_in_no_form(tmp_path, printed, secret)


def test_records_that_repeat_the_authorization_are_kept_without_it(tmp_path: Path) -> None:
    """With comparison and undo: what such a record was before is not known then, and undo says so."""
    rows: list[dict[str, object]] = [{"Id": number, "Type": "Pre", "OpportunityName": "x"} for number in range(1, 31)]
    write_rows(tmp_path / "rows.csv", rows)
    with sandbox("--fault", "echo-in-record=0.5") as api:
        configure(tmp_path, api.url)
        done = batch_updater("run", "rows.csv", "--compare", "--json", cwd=tmp_path)
        assert done.outcomes.keys() == {"updated", "differs"}
        assert_in_no_form(tmp_path, done)
        undone = batch_updater("undo", done.object["run"], "--json", cwd=tmp_path)
        assert undone.object["not_possible"] > 0
        assert undone.object["rows"] > 0
        assert_in_no_form(tmp_path, undone)
        back = batch_updater("run", undone.object["undo"], "--json", cwd=tmp_path)
        assert_in_no_form(tmp_path, back)
        checked = batch_updater("check", "rows.csv", "--compare", "--json", cwd=tmp_path)
        assert_in_no_form(tmp_path, checked)


def test_a_night_sends_no_repeated_authorization(tmp_path: Path) -> None:
    """Neither the message, nor what the job prints, nor what it puts beside the files."""
    (tmp_path / "inbox").mkdir()
    rows_that_are_echoed(tmp_path / "inbox" / "rows.csv")
    os.utime(tmp_path / "inbox" / "rows.csv", (0, 0))
    with sandbox() as api, webhook() as hook:
        more = f"nightly: {{inbox: inbox, notify: ['json://me:webhook-password@{hook.place}/told'], metrics: m.prom}}\n"
        configure(tmp_path, api.url, f"sending: {{attempts: 1, max_wait_s: 2}}\n{more}")
        done = batch_updater("nightly", "--json", "--verbose", cwd=tmp_path)
    assert_in_no_form(tmp_path, done)
    (posted,) = hook.bodies()
    assert not every_form(TOKEN).search(json.dumps(posted).encode())
    assert REDACTED in json.dumps(posted)
    assert "webhook-password" not in done.out + done.err


def test_a_token_url_that_repeats_the_client_secret_is_not_quoted(tmp_path: Path) -> None:
    """It refuses the client, or gives something that is no token."""
    write_rows(tmp_path / "rows.csv", [{"Id": 1, "Type": "Pre", "OpportunityName": "x"}])
    with Api() as api:
        for answer in (repeats_the_form(400), repeats_the_form(200), repeats_the_form(503)):
            api.token_answers.extend([answer] * 2)
            configure_oauth(tmp_path, api)
            done = batch_updater("run", "rows.csv", "--json", "--verbose", cwd=tmp_path)
            assert done.code == 3
            assert_in_no_form(tmp_path, done, SECRET)
            doctor = batch_updater("doctor", cwd=tmp_path)
            assert_in_no_form(tmp_path, doctor, SECRET)


def repeats_the_form(code: int) -> Answer:
    async def answer(seen: Seen) -> web.StreamResponse:
        body = {"error": seen.body.decode(), "error_description": seen.body.decode(), "access_token": ""}
        return web.json_response(body, status=code)

    return answer


def test_arguments_of_a_command_that_gives_a_secret_are_told_nowhere(tmp_path: Path) -> None:
    """They may be secrets themselves: database, workbook, page and log name the program alone."""
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


@pytest.mark.one_process("each worker fetches it as well")
def test_a_command_that_gives_a_header_is_started_once(tmp_path: Path) -> None:
    """Though its value says whose run it is as well: it may be a code that works one time."""
    write_rows(tmp_path / "rows.csv", [{"Id": 1, "Type": "Pre", "OpportunityName": "x"}])
    give = tmp_path / "give"
    give.write_text("#!/bin/sh\necho once >> calls\necho canary-key\n", encoding="ascii")
    give.chmod(0o700)
    with sandbox() as api:
        (tmp_path / "config.yaml").write_text(
            f"api: {{base_url: '{api.url}', token: 'env:NEXUS_TOKEN', headers: {{X-Key: 'command:{give}'}}}}\n",
            encoding="utf-8",
        )
        done = batch_updater("run", "rows.csv", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert (tmp_path / "calls").read_text(encoding="ascii").splitlines() == ["once"]


@pytest.mark.one_process("its process sends by itself: a worker that is killed or stopped is tested in tests/team")
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


@pytest.mark.one_process("each worker has a log of its own")
def test_the_log_explains_every_attempt_and_holds_no_customer(tmp_path: Path) -> None:
    """One line of JSON for each attempt and decision; of those that went wrong with record and message; no cell."""
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
    assert backed_off["target"] == "OpportunityId=2&opportunityType=Pre"
    (refused,) = (line for line in lines if line["event"] == "outcome")
    assert (refused["row"], refused["why"], refused["target"]) == (4, "rejected", "OpportunityId=3&opportunityType=Pre")
    assert refused["message"].startswith("Nexus refused it (400 Bad Request): Stage '...' not found.")
    assert all({"at", "level", "event"} <= set(line) for line in lines)
    assert "attempt: row 3, attempt 1, status 503" in done.err
