"""The doctor: every check fails once; nothing is updated, and no secret is shown."""

from __future__ import annotations

import ssl
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from socket import create_server, socket
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from msgspec.structs import replace

from batch_updater.config.environment import Environment
from batch_updater.doctor.examination import DoctorOptions, examine
from batch_updater.doctor.finding import Finding, Status, exit_code_of
from batch_updater.doctor.folders import file_system_of
from batch_updater.doctor.reach import certificate_finding, clock_finding
from batch_updater.doctor.token_trial import fields_to_name, trial_of
from batch_updater.endpoint.description import Kind, ReadOperation
from batch_updater.endpoint.reference import load_endpoint
from batch_updater.errors import UsageError
from batch_updater.runs.lock import locked
from tests.end_to_end.program import batch_updater, configure, sandbox
from tests.proxy import NO_HOST
from tests.sender.server import Api, Seen, hang, status, stored

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batch_updater.endpoint.description import Endpoint, Field
    from tests.sender.server import Answer


CERTIFICATES = Path(__file__).parent / "sender" / "certificates"
SECRET = "very-secret-indeed"
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def examined(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> dict[str, Finding]:
    """Examine a configuration; no secret may be in what is found."""
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    found = list(examine(path, Environment({"T": SECRET, **(environ or {})})))
    assert SECRET not in str(found)
    assert len({finding.check for finding in found}) == len(found)
    return {finding.check: finding for finding in found}


def api(url: str, more: str = "") -> str:
    return f"api:\n  base_url: {url}\n  token: env:T\n{more}"


async def echo(seen: Seen) -> web.StreamResponse:
    """Refuse a request, and repeat what it came with."""
    names = ("X-Api-Key", "X-Auth", "X-Scheme", "Authorization")
    said = {name: seen.request.headers.get(name) for name in names}
    said["alone"] = said["X-Scheme"].split()[-1] if said["X-Scheme"] else None
    return await status(403, {"message": str(said)})(seen)


def server(name: str = "localhost.pem") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / name, CERTIFICATES / "key.pem")
    return context


def test_a_good_set_up_is_ready_and_nothing_is_updated(tmp_path: Path) -> None:
    """Every check is ok, but for the token, for which no record was named; no update, no file is left."""
    with Api() as service:
        found = examined(tmp_path, api(service.url))
    assert {check for check, finding in found.items() if finding.status is not Status.OK} == {"token"}
    assert found["token"].message.startswith("not tried")
    assert list(found) == ["configuration", "endpoint", "results folder", "lock", "DNS", "connection", "certificate",
                           "answer", "clock", "token"]  # fmt: skip
    (seen,) = service.seen
    assert (seen.request.method, seen.authorization) == ("HEAD", None)
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_all_faults_of_the_configuration_are_told_and_the_rest_is_skipped(tmp_path: Path) -> None:
    """One finding names every fault; what depends on the configuration is reported as not checked."""
    found = examined(tmp_path, f"api: {{base_url: ftp://x, token: {SECRET}}}\nsendng: {{}}\n")
    configuration = found.pop("configuration")
    assert configuration.status is Status.WRONG
    assert configuration.whole_message.count("\n") == 2
    assert configuration.remedy
    assert {finding.status for finding in found.values()} == {Status.SKIPPED}


def test_without_an_address_the_way_there_is_skipped(tmp_path: Path) -> None:
    """A missing base_url is wrong, and no network is touched."""
    found = examined(tmp_path, "api: {token: 'env:T'}\n")
    assert found["configuration"].status is Status.WRONG
    assert {found[check].status for check in ("DNS", "connection", "answer", "certificate", "clock")} == {
        Status.SKIPPED
    }


def test_a_wrong_description_is_told(tmp_path: Path, closed_port: int) -> None:
    """Its line holds the endpoint's own message and advice."""
    found = examined(tmp_path, api(f"http://127.0.0.1:{closed_port}", "  endpoint: nexus-oportunity\n"))
    assert found["endpoint"].status is Status.WRONG
    assert "nexus-opportunity" in found["endpoint"].message + found["endpoint"].remedy


@pytest.mark.parametrize(
    ("check", "text"),
    [
        ("results folder", "results: {folder: PATH}"),
        ("inbox", "nightly: {inbox: PATH}"),
        ("done", "nightly: {inbox: in, done: PATH}"),
        ("attention", "nightly: {inbox: in, attention: PATH}"),
        ("metrics", "nightly: {metrics: PATH/x.prom}"),
    ],
)
@pytest.mark.parametrize("where", ["a-file", "a-file/below", "/proc/batch-updater/x"])
def test_a_folder_that_cannot_be_written_is_wrong(
    tmp_path: Path, closed_port: int, check: str, text: str, where: str
) -> None:
    """A file in its place, and a file system that takes nothing whatever its permission bits say."""
    (tmp_path / "a-file").touch()
    found = examined(tmp_path, api(f"http://127.0.0.1:{closed_port}") + text.replace("PATH", where))
    assert found[check].status is Status.WRONG
    assert ("does not exist" if check in {"inbox", "metrics"} else "cannot be written") in found[check].message


def test_an_inbox_and_a_folder_of_metrics_have_to_be_there(tmp_path: Path, closed_port: int) -> None:
    """Nothing makes them, so the job would end with 2 and the metrics never be written; once made, all is well."""
    text = api(f"http://127.0.0.1:{closed_port}") + "nightly: {inbox: in, metrics: figures/night.prom}"
    found = examined(tmp_path, text)
    assert found["inbox"].status is found["metrics"].status is Status.WRONG
    assert found["inbox"].remedy.startswith("Create it")
    (tmp_path / "in").mkdir()
    (tmp_path / "figures").mkdir()
    found = examined(tmp_path, text)
    assert found["inbox"].status is found["metrics"].status is Status.OK


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [("figures", Status.WRONG, "is a folder"), ("night.txt", Status.WARNING, ".prom"), ("night.prom", Status.OK, "")],
)
def test_the_file_of_metrics_is_one_that_is_read(
    tmp_path: Path, closed_port: int, name: str, status: Status, words: str
) -> None:
    """A folder in its place, and a name that node_exporter ignores, would go unnoticed."""
    (tmp_path / "figures").mkdir()
    found = examined(tmp_path, api(f"http://127.0.0.1:{closed_port}") + f"nightly: {{metrics: {name}}}")["metrics"]
    assert found.status is status
    assert words in found.message + found.remedy


def test_who_holds_the_lock_is_told(tmp_path: Path, closed_port: int) -> None:
    """A run in progress is a warning with its process and file; afterwards the lock is free again."""
    url = f"http://127.0.0.1:{closed_port}"
    program = f"""
from pathlib import Path
from batch_updater.runs.lock import locked
with locked(Path({str(tmp_path)!r}), {url!r}, "changes.xlsx"):
    print("held", flush=True)
    input()
"""
    text = api(url) + "results: {folder: .}\n"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        process.stdout.readline()
        held = examined(tmp_path, text)["lock"]
        process.communicate("\n")
    assert held.status is Status.WARNING
    assert f"process {process.pid}" in held.message
    assert "changes.xlsx" in held.message
    assert examined(tmp_path, text)["lock"].status is Status.OK
    with locked(tmp_path, url, "changes.xlsx"):
        pass


def test_a_name_that_does_not_exist_is_wrong(tmp_path: Path) -> None:
    """The name is told, and the later steps are skipped."""
    found = examined(tmp_path, api(f"https://{NO_HOST}"), {})
    assert found["DNS"].status is Status.WRONG
    assert NO_HOST in found["DNS"].message
    assert {found[check].status for check in ("connection", "certificate", "answer")} == {Status.SKIPPED}


def test_the_name_of_the_proxy_is_checked_instead(tmp_path: Path) -> None:
    """Behind a proxy its name counts; its password is not shown."""
    found = examined(tmp_path, api("https://nexus.invalid", f"  proxy: http://me:{SECRET}@{NO_HOST}:8080\n"))
    assert NO_HOST in found["DNS"].message
    assert "api.proxy" in found["DNS"].remedy


def test_a_proxy_that_refuses_is_told_without_its_password(tmp_path: Path) -> None:
    """What the proxy answers is no answer of the API."""
    with Api() as proxy:
        address = proxy.url.replace("//", f"//me:{SECRET}@")
        found = examined(tmp_path, api("https://nexus.invalid", f"  proxy: {address}\n"))
    assert found["connection"].status is Status.OK
    assert (found["answer"].status, found["answer"].message.split()[1]) == (Status.WRONG, "proxy")


def test_a_closed_port_is_wrong(tmp_path: Path, closed_port: int) -> None:
    """Nothing listens there."""
    found = examined(tmp_path, api(f"http://127.0.0.1:{closed_port}"))
    assert found["connection"].status is Status.WRONG
    assert "refused" in found["connection"].message


def test_a_port_that_does_not_answer_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue of connections that is full lets the next one wait; not for longer than the limit."""
    monkeypatch.setattr("batch_updater.doctor.reach.LIMIT_S", 0.5)
    with ExitStack() as stack:
        full = stack.enter_context(create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        found = examined(tmp_path, api(f"http://127.0.0.1:{full.getsockname()[1]}"))
    assert (found["connection"].status, "within 0.5 s" in found["connection"].message) == (Status.WRONG, True)


@pytest.mark.parametrize(
    ("certificate", "ca_file", "host", "why"),
    [
        ("localhost.pem", None, "localhost", "self-signed|self signed"),
        ("localhost.pem", "localhost.pem", "127.0.0.1", "mismatch"),
        ("expired.pem", "expired.pem", "localhost", "expired"),
    ],
)
def test_a_certificate_that_cannot_be_trusted_is_wrong(
    tmp_path: Path, certificate: str, ca_file: str | None, host: str, why: str
) -> None:
    """Self-signed, for another host, expired: told apart; no request goes out."""
    more = f"  ca_file: {CERTIFICATES / ca_file}\n" if ca_file else ""
    with Api(tls=server(certificate)) as service:
        found = examined(tmp_path, api(service.url.replace("localhost", host), more))
    assert found["certificate"].status is Status.WRONG
    assert any(part in found["certificate"].message for part in why.split("|"))
    assert found["answer"].status is Status.SKIPPED
    assert service.seen == []


def test_a_certificate_that_is_trusted_says_for_how_long(tmp_path: Path) -> None:
    """With api.ca_file the service is trusted by that file; its days are counted."""
    with Api(tls=server()) as service:
        found = examined(tmp_path, api(service.url, f"  ca_file: {CERTIFICATES / 'localhost.pem'}\n"))
    assert found["certificate"].status is Status.OK
    assert "more days" in found["certificate"].message
    assert found["answer"].status is Status.OK


def test_a_ca_file_without_certificates_is_wrong(tmp_path: Path) -> None:
    """It is named, before anything is sent."""
    (tmp_path / "ca.pem").write_text("no certificate", encoding="ascii")
    with Api(tls=server()) as service:
        found = examined(tmp_path, api(service.url, "  ca_file: ca.pem\n"))
    assert found["certificate"].status is Status.WRONG
    assert "ca.pem" in found["certificate"].message


def test_a_server_that_speaks_no_tls_is_wrong(tmp_path: Path) -> None:
    """Https to a port of plain http is told as what it is."""
    with Api() as service:
        found = examined(tmp_path, api(service.url.replace("http:", "https:")))
    assert found["certificate"].status is Status.WRONG
    assert "TLS" in found["certificate"].message


def test_a_certificate_that_ends_soon_is_a_warning() -> None:
    """Under 14 days a person has to act."""
    assert certificate_finding(NOW, NOW + timedelta(days=14)).status is Status.OK
    soon = certificate_finding(NOW, NOW + timedelta(days=13, hours=23))
    assert (soon.status, "13 more days" in soon.message) == (Status.WARNING, True)


@pytest.mark.parametrize(
    ("off", "kind", "words"),
    [
        (timedelta(seconds=100), Status.OK, "agrees"),
        (timedelta(minutes=5), Status.WARNING, "5 minutes ahead"),
        (timedelta(hours=-3), Status.WARNING, "3 hours behind"),
    ],
)
def test_the_clock_is_compared_with_the_answer(off: timedelta, kind: Status, words: str) -> None:
    """Off by more than three minutes is a warning that says in which direction."""
    found = clock_finding(NOW, format_datetime(NOW - off, usegmt=True))
    assert (found.status, words in found.message) == (kind, True)


def test_a_year_that_cannot_be_is_wrong() -> None:
    """A machine that has lost its time says so even without an answer."""
    assert clock_finding(NOW.replace(year=1970), None).status is Status.WRONG
    assert clock_finding(NOW, None).status is Status.OK
    assert clock_finding(NOW, "yesterday").status is Status.OK


def test_a_server_with_another_time_is_told(tmp_path: Path) -> None:
    """The `Date` that really arrives is what counts."""

    async def late(_: web.Request) -> web.StreamResponse:
        return web.Response(headers={"Date": format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)})

    class Late(Api):
        _elsewhere = staticmethod(late)  # type: ignore[assignment]

    with Late() as service:
        found = examined(tmp_path, api(service.url))
    assert found["clock"].status is Status.WARNING
    assert "ahead" in found["clock"].message


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    """It is an answer like any other."""
    with Api() as elsewhere:

        class Redirecting(Api):
            async def _elsewhere(self, request: web.Request) -> web.StreamResponse:
                await super()._elsewhere(request)
                return web.Response(status=302, headers={"ParameterLocation": elsewhere.url})

        with Redirecting() as service:
            found = examined(tmp_path, api(service.url))
    assert "302" in found["answer"].message
    assert (len(service.seen), elsewhere.seen) == (1, [])


def test_a_service_that_fails_is_a_warning_and_a_silent_one_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer of 503 may pass; no answer in time ends the check."""

    class Failing(Api):
        async def _elsewhere(self, _: web.Request) -> web.StreamResponse:
            return web.Response(status=503)

    class Silent(Api):
        async def _elsewhere(self, request: web.Request) -> web.StreamResponse:
            return await hang(Seen(request, "", b"", 0))

    with Failing() as failing, Silent() as silent:
        assert examined(tmp_path, api(failing.url))["answer"].status is Status.WARNING
        monkeypatch.setattr("batch_updater.doctor.reach.LIMIT_S", 3.0)
        found = examined(tmp_path, api(silent.url))
    assert (found["answer"].status, "3 s" in found["answer"].message) == (Status.WRONG, True)


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("env:NOWHERE", "NOWHERE is not set"),
        ("file:nowhere", "nowhere cannot be read"),
        ("command:false", "exit code 1"),
        ("command:echo two words", "contains a blank"),
    ],
)
def test_a_token_that_cannot_be_had_is_wrong(tmp_path: Path, closed_port: int, reference: str, words: str) -> None:
    """Where it should have been is told, never what is there."""
    text = f"api: {{base_url: 'http://127.0.0.1:{closed_port}', token: '{reference}'}}\n"
    found = examined(tmp_path, text)
    assert found["token"].status is Status.WRONG
    assert words in found["token"].message


def test_no_token_at_all_is_a_warning(tmp_path: Path, closed_port: int) -> None:
    """There may be APIs without."""
    found = examined(tmp_path, f"api: {{base_url: 'http://127.0.0.1:{closed_port}'}}\n")
    assert found["token"].status is Status.WARNING


def oauth(service: Api, **changes: str) -> str:
    keys = {"token_url": f"{service.url}/oauth/token", "client_id": "me", "client_secret": "env:T", **changes}
    section = "".join(f"    {key}: {value}\n" for key, value in keys.items())
    return f"api:\n  base_url: {service.url}\n  oauth:\n{section}"


def test_a_token_is_asked_for_where_oauth_gives_one(tmp_path: Path) -> None:
    """The client's secret goes to the token URL, once; the token goes nowhere."""
    with Api() as service:
        found = examined(tmp_path, oauth(service))
    assert "gives one to client me" in found["token"].message
    assert "token-1" not in str(found)
    (asked,) = service.token_requests
    assert SECRET.encode() in asked.body
    assert [seen.authorization for seen in service.seen] == [None]


@pytest.mark.parametrize(("code", "words"), [(401, "refuses"), (503, "answers 503"), (200, "without a token")])
def test_a_token_url_that_gives_none_is_wrong(tmp_path: Path, code: int, words: str) -> None:
    """Refused, out of order, no token: one request, and what came of it."""
    with Api(token_answers=[status(code, {"error": SECRET})]) as service:
        found = examined(tmp_path, oauth(service))
    assert (found["token"].status, words in found["token"].message) == (Status.WRONG, True)
    assert len(service.token_requests) == 1


def test_a_token_url_with_an_unknown_name_is_wrong(tmp_path: Path) -> None:
    """It is looked up like the API's."""
    with Api() as service:
        found = examined(tmp_path, oauth(service, token_url=f"https://{NO_HOST}/t"))
    assert (found["token"].status, NO_HOST in found["token"].message) == (Status.WRONG, True)


def test_every_other_reference_is_tried(tmp_path: Path, closed_port: int) -> None:
    """Headers, targets of notifications and the health check: fetched, not used, not shown."""
    more = "  headers: {X-Key: 'env:NOWHERE', X-Tenant: 'seven'}\n"
    nightly = "nightly: {inbox: in, notify: ['env:NOWHERE', 'env:TARGET'], health_check: 'env:NOWHERE'}\n"
    environ = {"TARGET": f"json://me:{SECRET}@127.0.0.1:9/x"}
    found = examined(tmp_path, api(f"http://127.0.0.1:{closed_port}", more) + nightly, environ)
    for check in ("headers", "notify 1", "health check"):
        assert found[check].status is Status.WRONG, check
        assert "NOWHERE" in found[check].message
    assert found["notify 2"].status is Status.OK


def test_an_address_that_apprise_does_not_take_is_wrong(
    tmp_path: Path, closed_port: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """Where apprise is installed it judges the address; its log, which quotes addresses, is not shown."""
    pytest.importorskip("apprise")
    text = api(f"http://127.0.0.1:{closed_port}") + "nightly: {notify: ['env:TARGET']}\n"
    found = examined(tmp_path, text, {"TARGET": f"nosuchservice://{SECRET}"})
    assert found["notify 1"].status is Status.WRONG
    assert SECRET not in "".join(capfd.readouterr())


def test_the_file_system_of_a_folder_is_told_from_the_mounts(tmp_path: Path) -> None:
    """The deepest mount counts, and of several in one place the last; names may hold blanks."""
    here = tmp_path / "a share"
    mounts = "\n".join([
        "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw",
        f"22 21 0:40 / {tmp_path} rw - tmpfs tmpfs rw",
        f"23 22 0:41 / {str(here).replace(' ', chr(92) + '040')} rw - nfs4 files:/export rw",
    ])  # fmt: skip
    assert file_system_of(here / "runs", mounts) == "nfs4"
    assert file_system_of(tmp_path, mounts) == "tmpfs"
    assert file_system_of(tmp_path, mounts + f"\n24 22 0:9 / {tmp_path} rw - cifs //x/y rw") == "cifs"
    assert file_system_of(tmp_path, "") is None


@pytest.mark.parametrize(
    ("statuses", "code"), [([Status.OK, Status.WARNING, Status.SKIPPED], 0), ([Status.WARNING, Status.WRONG], 2)]
)
def test_only_what_is_wrong_counts(statuses: list[Status], code: int) -> None:
    """Warnings are allowed."""
    assert exit_code_of([Finding("x", kind, "") for kind in statuses]) == code


def test_the_command_reports_a_line_each_or_one_object(tmp_path: Path) -> None:
    """`doctor` against the sandbox: exit 0 and 2, lines of at most 80 columns, --json with every check."""
    with sandbox() as service:
        configure(tmp_path, service.url)
        good = batch_updater("doctor", "--record", "501", cwd=tmp_path, COLUMNS="80")
        bad = batch_updater("doctor", "--json", cwd=tmp_path, NEXUS_TOKEN="")
        assert not [request for request in service.requests() if request["method"] == "PUT"]
    assert (good.code, bad.code) == (0, 2)
    # A path stays in one piece.
    assert all(len(line) < 80 for line in good.out.splitlines() if str(tmp_path) not in line)
    assert "everything is ready" in good.out
    wrong = [check for check in bad.object["checks"] if check["status"] == "wrong"]
    assert [check["check"] for check in wrong] == ["token"]
    assert wrong[0]["remedy"]
    assert bad.object["exit_code"] == 2


@pytest.mark.parametrize("kept", ["literally", "by reference"])
@pytest.mark.parametrize(
    ("address", "status"),
    [("hc-ping.com/canary", Status.WRONG), ("https://me:canary@host/x", Status.WRONG),
     ("https://[canary/x", Status.WRONG),
     ("https://hc-ping.com/canary", Status.OK)],
)  # fmt: skip
def test_the_address_of_the_health_check_is_looked_at(
    tmp_path: Path, closed_port: int, address: str, status: Status, kept: str
) -> None:
    """One without https://, or with a password that is not sent, is never reached; it is not shown."""
    (tmp_path / "check").write_text(address, encoding="ascii")
    value = address if kept == "literally" else f"file:{tmp_path / 'check'}"
    found = examined(tmp_path, api(f"http://127.0.0.1:{closed_port}") + f"nightly: {{health_check: '{value}'}}")
    assert found["health check"].status is status
    assert "canary" not in found["health check"].message


def test_a_nightly_job_that_tells_no_one_is_a_warning(tmp_path: Path, closed_port: int) -> None:
    """No one would learn of what it left in attention."""
    (tmp_path / "in").mkdir()
    found = examined(tmp_path, api(f"http://127.0.0.1:{closed_port}") + "nightly: {inbox: in}")
    assert found["notify"].status is Status.WARNING


def test_a_record_is_named_by_what_has_no_constant() -> None:
    """Path parameters in their order, then those of the query; what a constant gives is not asked for."""
    described = Path(__file__).parent.parent / "samples" / "second-endpoint" / "customers.openapi.yaml"
    endpoint = replace(
        load_endpoint(f"{described}#update-contact"), sample_read=ReadOperation("/a/{accountId}/{contactId}", ())
    )
    assert [field.name for field in fields_to_name(endpoint, {})] == ["accountId", "contactId"]
    assert [field.name for field in fields_to_name(endpoint, {"accountId": "7"})] == ["contactId"]
    account = endpoint.field("accountId")
    typed = "1001" if account.kind is Kind.INTEGER else "A-1"
    assert dict(trial_of(endpoint, {}, (typed, "7")).job.values) == {"accountId": typed, "contactId": "7"}
    assert dict(trial_of(endpoint, {"accountId": typed}, ("7",)).job.values) == {"accountId": typed, "contactId": "7"}
    for wrong_number in ((), ("1",), ("1", "2", "3")):
        with pytest.raises(UsageError, match="accountId contactId"):
            trial_of(endpoint, {}, wrong_number)
    with pytest.raises(UsageError):
        trial_of(endpoint, {}, ("..", "7"))


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (status(401, "No."), Status.WRONG, "does not accept it (401 Unauthorized): No"),
        (status(403, {"message": "Forbidden"}), Status.WRONG, "does not let it read opportunity 5"),
        (status(503), Status.SKIPPED, "answered 503"),
        (status(404), Status.WARNING, "there is no opportunity 5"),
        (status(200, []), Status.WARNING, "there is no opportunity 5"),
        (status(200, "<html><title>Welcome</title></html>"), Status.WARNING, "but not with the record"),
        (status(302, ParameterLocation="https://elsewhere.example"), Status.WARNING, "answered 302"),
        (stored, Status.OK, "it gave opportunity 5"),
        (echo, Status.WRONG, "'X-Scheme': '[redacted]'"),
    ],
)
def test_what_reading_a_record_tells_of_the_token(tmp_path: Path, answer: Answer, kind: Status, words: str) -> None:
    """Without a token this API answers 401, so that whatever else comes with one has accepted it."""

    async def guarded(seen: Seen) -> web.StreamResponse:
        return await (answer(seen) if seen.authorization else status(401)(seen))

    with Api(readings={"5": [guarded, guarded]}) as service:
        path = tmp_path / "config.yaml"
        headers = "{X-Api-Key: key-written-out-1, X-Auth: Token written, X-Scheme: 'env:S'}"
        path.write_text(api(service.url, f"  headers: {headers}\n"), encoding="utf-8")
        environ = {"T": SECRET, "S": "Bearer kept1"}
        found = {one.check: one for one in examine(path, Environment(environ), DoctorOptions(("5",)))}
    assert (found["token"].status, words in found["token"].message) == (kind, True), found["token"]
    for secret in (SECRET, "written", "kept1"):
        assert secret not in str(found)
    assert {seen.request.method for seen in service.seen} == {"HEAD", "GET"}


def test_a_person_is_asked_for_a_record(tmp_path: Path) -> None:
    """What is typed names it; nothing leaves the token untried."""
    with Api() as service:
        path = tmp_path / "config.yaml"
        path.write_text(api(service.url), encoding="utf-8")
        asked: list[str] = []

        def ask(_: Endpoint, fields: Sequence[Field]) -> list[str]:
            asked.extend(field.name for field in fields)
            return []

        found = {one.check: one for one in examine(path, Environment({"T": SECRET}), DoctorOptions(ask_record=ask))}
    assert asked == ["OpportunityId"]
    assert "no record was named" in found["token"].message
