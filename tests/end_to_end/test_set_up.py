"""Every command says in the same words what is wrong with the set-up, before anything is sent."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.program import TOKEN, Done, batch_updater, sandbox
from tests.end_to_end.test_night import aged
from tests.proxy import NO_HOST, answer, proxy
from tests.sender.server import Api

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.end_to_end.program import Sandbox

PASSWORD = "canary-password"
DESCRIPTION = Path(__file__).parent.parent.parent / "samples" / "second-endpoint"
ROWS = "OpportunityId,opportunityType,StageName\n501,Pre,Qualified\n502,Pre,Qualified\n"


@pytest.fixture(scope="module")
def service() -> Iterator[Sandbox]:
    with sandbox() as running:
        yield running


@pytest.fixture(autouse=True)
def _no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


def config(folder: Path, text: str) -> None:
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    (folder / "two.csv").write_text(ROWS, encoding="utf-8")


def behind_proxy(folder: Path, more: str = "") -> None:
    config(folder, f"api:\n  base_url: https://nexus.example.com\n  token: env:NEXUS_TOKEN\n{more}")


def run(folder: Path, *arguments: str, **variables: str) -> Done:
    """Run a command, or two rows; no class of Python's is in the messages, and no password."""
    done = batch_updater(*(arguments or ("run", "two.csv", "--json")), cwd=folder, **variables)
    assert PASSWORD not in done.out + done.err
    assert not re.search(r"[A-Z]\w*(Error|URL)\b|Exception|aiohttp", done.out + done.err)
    return done


@pytest.mark.parametrize(
    ("end", "held"),
    [("/api/v2/", "/api/v2"), ("/prefix/api/v3", "/api/v3"), ("/api/v2/opportunities/501", None)],
)
def test_a_base_url_with_the_path_of_the_call_sends_nothing(
    tmp_path: Path, service: Sandbox, end: str, held: str | None
) -> None:
    """`run` and `check` end with 2 and name the end and the right address, `doctor` too; no row goes anywhere."""
    config(tmp_path, f"api:\n  base_url: {service.url}{end}\n  token: env:NEXUS_TOKEN\n")
    right = f"{service.url}{'/prefix' if 'prefix' in end else ''}"
    ran, checked = run(tmp_path), run(tmp_path, "check", "two.csv", "--json")
    examined = run(tmp_path, "doctor", "--record", "501", "--json")
    assert (ran.code, checked.code, examined.code) == (2, 2, 2)
    (wrong,) = [check for check in examined.object["checks"] if check["status"] == "wrong"]
    for said in (ran.object["error"], checked.object["error"], wrong):
        assert f"api.base_url ends with {held or end}," in said["message"]
        assert said["remedy"] == f"Set api.base_url to {right}"
        assert "rights" not in said["message"] + said["remedy"]
    assert not [one for one in service.requests() if one["method"] == "PUT" or one["path"].count("/api") > 1]
    assert not list(tmp_path.glob("runs/*/*"))


def test_a_base_url_that_may_be_right_is_told_and_taken(tmp_path: Path) -> None:
    """A gateway may have the prefix `/api` as well: init, doctor, check and run name the whole address and continue."""
    with Api() as gateway:
        base_url = f"{gateway.url}/api"
        done = run(tmp_path, "init", "--base-url", base_url, "--token", "env:NEXUS_TOKEN")
        config(tmp_path, (tmp_path / "config.yaml").read_text(encoding="utf-8"))
        examined = run(tmp_path, "doctor", "--json")
        checked = run(tmp_path, "check", "two.csv")
        ran = run(tmp_path, "run", "two.csv", "--json", "--limit", "1")
        sent = {seen.request.path for seen in gateway.seen if seen.request.method == "PUT"}
    (endpoint,) = [check for check in examined.object["checks"] if check["check"] == "endpoint"]
    told = (
        done.err,
        f"{endpoint['message']} {endpoint['remedy']}",
        ran.object["notes"][0],
        " ".join(checked.out.split()),
    )
    for said in told:
        assert f"rows would be sent to {base_url}/api/v2/opportunities/{{OpportunityId}}." in said
        assert f"set api.base_url to {gateway.url}" in said
    assert (done.code, endpoint["status"], checked.code) == (0, "warning", 0)
    assert sent == {"/api/api/v2/opportunities/501"}


def test_init_says_that_an_address_holds_the_path_of_the_call(tmp_path: Path, service: Sandbox) -> None:
    """Exit 2 with the right address, and no file; an address without a scheme gets one."""
    done = run(tmp_path, "init", "--base-url", f"{service.url}/api/v2", "--token", "env:NEXUS_TOKEN")
    assert (done.code, "ends with /api/v2," in done.err, f"to {service.url}\n" in done.err) == (2, True, True)
    done = run(tmp_path, "init", "--base-url", "nexus.example.com/prefix", "--token", "env:NEXUS_TOKEN")
    assert (done.code, "write https://nexus.example.com/prefix" in done.err) == (2, True)
    assert not (tmp_path / "config.yaml").exists()


def test_another_description_has_its_own_path(tmp_path: Path) -> None:
    """What a base URL may not end with is taken from the description that is used."""
    (description,) = DESCRIPTION.glob("*.yaml")
    base_url = "https://crm.example.com/x/crm/v1/accounts/7"
    config(tmp_path, f"api: {{base_url: '{base_url}', endpoint: '{description}#update-contact'}}")
    done = run(tmp_path, "check", "two.csv", "--json")
    assert done.object["error"]["remedy"] == "Set api.base_url to https://crm.example.com/x"


@pytest.mark.parametrize(
    ("value", "shown", "words"),
    [
        ("127.0.0.1:3128", "127.0.0.1:3128", "Write http://127.0.0.1:3128"),
        (f"me:{PASSWORD}@proxy.example.com:3128", "proxy.example.com:3128", "http://USER:SECRET@proxy.example.com"),
        ("socks5h://127.0.0.1:1080", "127.0.0.1:1080", "SOCKS"),
        (f"http://me:{PASSWORD}@127.0.0.1:99999", "127.0.0.1:99999", "such as http://"),
    ],
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
def test_a_proxy_whose_address_is_none_is_a_fault_of_the_configuration(
    tmp_path: Path, variable: str, value: str, shown: str, words: str
) -> None:
    """Exit 2 with the proxy and the variable that names it; nothing is tried."""
    behind_proxy(tmp_path)
    error = run(tmp_path, **{variable: value}).object["error"]
    assert f"The proxy {shown} (the variable {variable})" in error["message"]
    assert words in error["message"] + error["remedy"]


def test_a_proxy_of_the_configuration_is_judged_when_it_is_read(tmp_path: Path) -> None:
    """`api.proxy` without a scheme or with SOCKS is named with its line, without its password."""
    behind_proxy(tmp_path, f"  proxy: me:{PASSWORD}@127.0.0.1:3128\n")
    done = run(tmp_path)
    assert "line 4: api.proxy must begin with http://; write http://USER:SECRET@127" in done.object["error"]["message"]
    behind_proxy(tmp_path, "  proxy: socks5://127.0.0.1:3128\n")
    assert "SOCKS" in run(tmp_path, "check", "two.csv", "--json").object["error"]["message"]


def ended_at_once(done: Done) -> str:
    """Return why a run has ended whose proxy let it send nothing, after one attempt."""
    counts = dict(re.findall(r"(?m)^ +1  (\w+)()$", done.out))
    assert (done.code, set(counts)) == (3, {"failed", "not_sent"}), done.out + done.err
    stopped = re.search(r"(?m)^Stopped: (.*)$", done.out)
    assert stopped
    return stopped[1]


@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        (407, {"Proxy_Authenticate": "Basic realm=x"}, "wants a login (407"),
        (407, {"Proxy_Authenticate": "NTLM"}, "wants a login of a kind that cannot be given: NTLM (407"),
        (403, {}, "refuses a connection to nexus.example.com (403"),
        (502, {}, "cannot reach nexus.example.com (502"),
        (405, {}, "refuses a connection to nexus.example.com (405"),
    ],
)
def test_what_a_proxy_answers_ends_a_run_at_once(
    tmp_path: Path, status: int, headers: dict[str, str], words: str
) -> None:
    """One CONNECT, no wait until max_wait_s, exit 3; run and doctor name proxy, variable and status."""
    behind_proxy(tmp_path)
    with proxy(*[answer(status, **headers)] * 9) as serving:
        variables = {"HTTPS_PROXY": f"http://{serving.address}"}
        message = ended_at_once(run(tmp_path, "run", "two.csv", **variables))
        assert len(serving.asked) == 1
        examined = run(tmp_path, "doctor", "--json", **variables)
    assert message.startswith(f"The proxy {serving.address} (the variable HTTPS_PROXY) {words}")
    checks = {check["check"]: check for check in examined.object["checks"]}
    assert (examined.code, message) == (2, f"{checks['answer']['message']} {checks['answer']['remedy']}")
    assert "HTTPS_PROXY" in checks["proxy"]["message"]
    assert checks["token"]["message"].startswith("not tried")


def test_a_proxy_that_refuses_its_password_is_told_without_it(tmp_path: Path) -> None:
    """With a name and password in api.proxy it is these that are wrong."""
    with proxy(answer(407)) as serving:
        behind_proxy(tmp_path, f"  proxy: http://me:{PASSWORD}@{serving.address}\n")
        message = ended_at_once(run(tmp_path, "run", "two.csv"))
    assert message.startswith(f"The proxy {serving.address} (api.proxy) does not accept the login (407")


def test_a_proxy_that_repeats_its_login_does_not_have_it_shown(tmp_path: Path) -> None:
    """What it calls a kind of login may be the password: run and doctor leave it out."""
    with proxy(*[answer(407, Proxy_Authenticate=PASSWORD[:20])] * 9) as serving:
        behind_proxy(tmp_path, f"  proxy: http://me:{PASSWORD}@{serving.address}\n")
        done, examined = run(tmp_path, "run", "two.csv"), run(tmp_path, "doctor")
    assert "wants a login of a kind that cannot be given" in done.out
    assert "wants a login of a kind that cannot be given" in " ".join(examined.out.split())
    assert PASSWORD[:20] not in done.out + done.err + examined.out + examined.err


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_cannot_be_reached_ends_a_run_at_once(tmp_path: Path, closed_port: int, scheme: str) -> None:
    """Nothing listens there, its name is not known, it closes the connection, or speaks no TLS."""
    behind_proxy(tmp_path)
    with proxy(b"") as closing:
        for address, words in (
            (f"127.0.0.1:{closed_port}", "cannot be reached (Connection refused)"),
            (f"{NO_HOST}:3128", "cannot be reached ("),
            (closing.address, "makes no connection to nexus" if scheme == "http" else "not https://"),
        ):
            message = ended_at_once(run(tmp_path, "run", "two.csv", "--restart", HTTPS_PROXY=f"{scheme}://{address}"))
            assert message.startswith(f"The proxy {address} (the variable HTTPS_PROXY) ")
            assert words in message


def test_a_proxy_for_plain_http_that_wants_a_password_rejects_no_row(tmp_path: Path) -> None:
    """Its 407 comes in the place of the API's answer: it is the proxy's all the same."""
    with proxy(answer(407), answer(407)) as serving:
        config(
            tmp_path,
            f"api:\n  base_url: http://127.0.0.1:9\n  token: env:NEXUS_TOKEN\n  proxy: http://{serving.address}\n",
        )
        message = ended_at_once(run(tmp_path, "run", "two.csv"))
        examined = run(tmp_path, "doctor", "--json")
    assert "(api.proxy) wants a login (407" in message
    assert (examined.code, "(api.proxy) wants a login (407" in examined.out) == (2, True)


def test_a_token_url_behind_a_proxy_names_it_too(tmp_path: Path) -> None:
    """Without the proxy there are no credentials: at once, by run and doctor."""
    with proxy(*[answer(407)] * 9) as serving:
        oauth = "  oauth: {token_url: 'https://login.example.com/t', client_id: me, client_secret: env:NEXUS_TOKEN}\n"
        config(tmp_path, f"api:\n  base_url: http://127.0.0.1:9\n{oauth}")
        done = run(tmp_path, "run", "two.csv", HTTPS_PROXY=f"http://{serving.address}")
        assert len(serving.asked) == 1
        examined = run(tmp_path, "doctor", "--json", HTTPS_PROXY=f"http://{serving.address}")
    words = f"The proxy {serving.address} (the variable HTTPS_PROXY) wants a login (407"
    assert (done.code, words in done.out, words in examined.out) == (3, True, True)


def test_the_night_says_the_same_of_a_proxy(tmp_path: Path) -> None:
    """An address that is none ends it with 2, one that refuses with 3; the file stays."""
    behind_proxy(tmp_path, "nightly: {inbox: in, notify_when: never}\n")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "two.csv").write_text(ROWS, encoding="utf-8")
    aged(tmp_path / "in" / "two.csv")
    done = run(tmp_path, "nightly", HTTPS_PROXY="127.0.0.1:3128")
    assert (done.code, "(the variable HTTPS_PROXY) cannot be used" in done.err) == (2, True)
    with proxy(answer(407)) as serving:
        done = run(tmp_path, "nightly", HTTPS_PROXY=f"http://{serving.address}")
    assert (done.code, "(the variable HTTPS_PROXY) wants a login (407" in done.err) == (3, True)
    assert (tmp_path / "in" / "two.csv").exists()


@pytest.mark.parametrize(
    ("kind", "token", "words"),
    [
        ("env", f'"{PASSWORD}"', "is in quotation marks"),
        ("env", f"Bearer {PASSWORD}", "the word that goes before a token (such as Bearer)"),
        ("file", f"{PASSWORD}\n{PASSWORD}", "has 2 lines"),
        ("command", "<your token>", "is a placeholder"),
    ],
)
def test_a_token_that_can_be_none_is_told_without_being_shown(
    tmp_path: Path, service: Sandbox, kind: str, token: str, words: str
) -> None:
    """Exit 2 with what is wrong with it, wherever it is kept."""
    (tmp_path / "kept").write_text(token, encoding="utf-8")
    reference = {"env": "env:KEPT", "file": "file:kept", "command": "command:cat kept"}[kind]
    config(tmp_path, f"api: {{base_url: '{service.url}', token: '{reference}'}}\n")
    done = run(tmp_path, KEPT=token)
    assert (done.code, words in done.object["error"]["message"]) == (2, True)
    assert done.object["error"]["remedy"]


def test_a_wrong_token_is_found_by_reading_a_record(tmp_path: Path, service: Sandbox) -> None:
    """Only an accepted one is ready; a record that is not there does not make a token wrong; no record: not tried."""
    config(tmp_path, f"api: {{base_url: '{service.url}', token: 'env:KEPT'}}\n")

    def examined(token: str, *record: str) -> tuple[int, str, str]:
        done = run(tmp_path, "doctor", *record, KEPT=token)
        line = re.search(r"(?m)^(\w+) +token", done.out)
        assert line
        return done.code, line[1], " ".join(done.out.split())

    code, status, said = examined(PASSWORD, "--record", "501")
    assert (code, status, "does not accept it (401" in said) == (2, "wrong", True)
    code, status, said = examined(TOKEN, "--record", "501", "pre")
    assert (code, status, "accepts it: it gave opportunity 501, Pre" in said) == (0, "ok", True)
    assert "everything is ready" in said
    code, status, said = examined(TOKEN, "--record", "999999999")
    assert (code, status, "there is no opportunity 999999999" in said) == (0, "warning", True)
    code, status, said = examined(PASSWORD)
    assert (code, status, said.endswith("token: not tried.")) == (0, "skipped", True)
    assert "everything is ready" not in said
    code, status, said = examined(PASSWORD, "--record", "x")
    assert (code, status, "whole number" in said) == (2, "wrong", True)


def test_an_api_that_looks_at_no_token_proves_nothing(tmp_path: Path) -> None:
    """A record that comes without a token as well says nothing of the token."""
    with Api() as api:
        config(tmp_path, f"api: {{base_url: '{api.url}', token: 'env:NEXUS_TOKEN'}}\n")
        done = run(tmp_path, "doctor", "--record", "501", "Pre", "--json")
        readings = [seen.authorization for seen in api.seen if seen.request.method == "GET"]
    token = next(check for check in done.object["checks"] if check["check"] == "token")
    assert (done.code, token["status"], "without a token as well" in token["message"]) == (0, "skipped", True)
    assert [authorization is None for authorization in readings] == [False, True]


def test_a_test_message_goes_to_everyone_who_is_told(tmp_path: Path) -> None:
    """`doctor --notify` sends one, says where one failed, and is wrong without an address."""
    with Api() as received, sandbox() as service:
        address = received.url.replace("http", "json")
        config(
            tmp_path, f"api: {{base_url: '{service.url}'}}\nnightly: {{notify: ['env:TELL', 'json://127.0.0.1:9/']}}\n"
        )
        done = run(tmp_path, "doctor", "--notify", "--json", TELL=address)
        (message,) = [seen for seen in received.seen if seen.request.method == "POST"]
        quiet = run(tmp_path, "doctor", "--json", TELL=address)
        assert len(received.seen) == 1
    checks = {check["check"]: check["status"] for check in done.object["checks"]}
    assert (done.code, checks["notify 1"], checks["notify 2"]) == (2, "wrong", "wrong")
    assert b"test message" in message.body
    assert quiet.code == 0


def test_a_configuration_under_another_name_is_told(tmp_path: Path) -> None:
    """As an editor of Windows saves it: config.yaml.txt is not read, and that is why no API is named."""
    config(tmp_path, "api: {base_url: 'https://nexus.example.com'}\n")
    (tmp_path / "config.yaml").rename(tmp_path / "config.yaml.txt")
    assert "but config.yaml.txt, which is not read" in run(tmp_path, "doctor", "--json").object["checks"][0]["message"]


def test_a_proxy_that_other_programs_use_is_told(tmp_path: Path) -> None:
    """With ALL_PROXY alone the way is tried without a proxy; where it fails, that may be why."""
    behind_proxy(tmp_path, "sending: {max_wait_s: 0}\n")
    for command in (("run", "two.csv"), ("doctor",)):
        done = run(tmp_path, *command, ALL_PROXY="socks5://127.0.0.1:9", HTTP_PROXY="")
        assert "The variable ALL_PROXY is not used" in " ".join(done.out.split())
