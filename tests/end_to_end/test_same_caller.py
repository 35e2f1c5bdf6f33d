"""Whose rows are done: a run is resumed, and a file called applied, only for the tenant and account that it was for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.inside import Inside
from tests.end_to_end.program import sandbox
from tests.end_to_end.test_night import by_name, opportunities, prepared
from tests.torture.runs import assert_no_token, numbered, write_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.end_to_end.program import Sandbox

pytestmark = pytest.mark.usefixtures("store")

SECRET = "tenant-with-a-secret-name"


@pytest.fixture(scope="module")
def api() -> Iterator[Sandbox]:
    with sandbox() as running:
        yield running


@pytest.fixture
def program(tmp_path: Path) -> Inside:
    return Inside(tmp_path)


def configure(folder: Path, api: Sandbox, headers: str = "{}", kept_at: str = "env:NEXUS_TOKEN") -> None:
    (folder / "config.yaml").write_text(
        f"api: {{base_url: '{api.url}', token: '{kept_at}', headers: {headers}}}\nsending: {{rate_per_s: 5000}}\n",
        encoding="utf-8",
    )


def test_rows_done_for_one_tenant_are_not_done_for_another(tmp_path: Path, api: Sandbox, program: Inside) -> None:
    """Every row is sent for the second one, and the sentence names the header; the first one's run waits for it."""
    numbered(tmp_path / "rows.csv", 6)
    configure(tmp_path, api, f"{{X-Tenant: {SECRET}}}")
    first = program("run", "rows.csv", "--json", "--limit", "2")
    configure(tmp_path, api, "{X-Tenant: '8'}")
    second = program("run", "rows.csv", "--json")
    assert (second.code, second.object["requests"]) == (0, 6)
    assert (
        f"The unfinished run {Path(first.object['run']).name} is not resumed, because this has changed since: the "
        "headers that are sent (X-Tenant)."
    ) in second.err
    (tmp_path / "token").write_text(SECRET, encoding="ascii")
    configure(tmp_path, api, "{x-tenant: 'file:token'}")
    third = program("run", "rows.csv", "--json")
    assert (third.code, third.object["run"], third.object["requests"]) == (0, first.object["run"], 4)
    (tmp_path / "config.yaml").unlink()
    assert_no_token(tmp_path, SECRET)


def test_a_token_that_was_moved_goes_on_with_the_run_and_another_one_does_not(
    tmp_path: Path, api: Sandbox, program: Inside
) -> None:
    """The same token from a file is the same account's; another one from elsewhere is another account's."""
    numbered(tmp_path / "rows.csv", 4)
    configure(tmp_path, api)
    first = program("run", "rows.csv", "--json", "--limit", "1")
    (tmp_path / "token").write_text("sandbox-token\n", encoding="ascii")
    configure(tmp_path, api, kept_at="file:token")
    second = program("run", "rows.csv", "--json", "--limit", "2")
    assert (second.object["run"], second.object["requests"]) == (first.object["run"], 1)
    configure(tmp_path, api, kept_at="env:OTHER")
    third = program("run", "rows.csv", "--json", OTHER="of-another-account")
    assert "because this has changed since: the account (api.token)." in third.err
    assert third.object["run"] != first.object["run"]


def test_only_what_sends_needs_the_value_of_a_header(tmp_path: Path, api: Sandbox, program: Inside) -> None:
    """Looking at past runs, writing their workbooks and checking need no secret; a run refuses as it does to send."""
    numbered(tmp_path / "rows.csv", 3)
    configure(tmp_path, api, "{X-Tenant: 'env:TENANT'}")
    folder = program("run", "rows.csv", "--json", TENANT="7").object["run"]
    for command in (["runs"], ["report", folder], ["check", "rows.csv"]):
        assert program(*command, NEXUS_TOKEN=None).code == 0
    refused = program("run", "rows.csv", "--json", NEXUS_TOKEN=None)
    assert refused.code == 2
    assert "api.headers.X-Tenant: the environment variable TENANT is not set" in refused.object["error"]["message"]
    assert len(list((tmp_path / "runs").glob("2*"))) == 1


def test_by_night_a_file_is_applied_once_for_each_tenant(tmp_path: Path, api: Sandbox, program: Inside) -> None:
    """The same file for another one is no repeat; for the same one it is."""
    inbox = prepared(tmp_path, api.url)
    config = (tmp_path / "config.yaml").read_text(encoding="utf-8")
    for tenant, became in (("7", "done"), ("8", "done"), ("7", "attention")):
        (tmp_path / "config.yaml").write_text(
            config.replace("api: {", f"api: {{headers: {{X-Tenant: '{tenant}'}}, "), encoding="utf-8"
        )
        opportunities(inbox / "a.csv", (1, "Pre", "a"))
        ended = program("nightly", "--json")
        assert by_name(ended) == {"a.csv": became}, ended.err


@pytest.mark.parametrize("tenant", ["7", "8"])
def test_a_run_is_undone_for_the_tenant_for_which_it_was_sent(
    tmp_path: Path, api: Sandbox, program: Inside, tenant: str
) -> None:
    """For another one nothing is sent, and the message says what has changed."""
    write_rows(tmp_path / "rows.csv", [{"Id": n, "Type": "Pre", "OpportunityName": f"of {tenant}"} for n in (1, 2)])
    configure(tmp_path, api, "{X-Tenant: '7'}")
    first = Path(program("run", "rows.csv", "--json", "--compare").object["run"])
    undo = program("undo", first, "--json").object["undo"]
    configure(tmp_path, api, f"{{X-Tenant: '{tenant}'}}")
    second = program("run", undo, "--json")
    if tenant == "8":
        assert second.code == 2
        assert "this has changed since: the headers that are sent (X-Tenant)." in second.object["error"]["message"]
        return
    assert (second.code, second.outcomes) == (0, {"updated": 2})
    told = {one["run"]: one["undone_by"] for one in program("runs", "--json").object["runs"]}
    assert told[str(first)] == Path(second.object["run"]).name
