"""samples/schedule/: what is installed for the night parses, says what its page says, and is hardened."""

from __future__ import annotations

import configparser
import re
import shlex
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from batch_updater.config.loading import load_config
from tests.end_to_end.program import environment, sandbox
from tests.end_to_end.test_night import opportunities, prepared

SCHEDULE = Path(__file__).parent.parent / "samples" / "schedule"
COMMAND = "batch-updater nightly --config /etc/batch-updater/config.yaml"
TASK = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
MOST_EXPOSURE = 2.0
PAGE = (SCHEDULE.parent.parent / "docs" / "guide" / "scheduling.md").read_text(encoding="utf-8")


def text_of(name: str) -> str:
    return (SCHEDULE / name).read_text(encoding="utf-8")


SERVICES = ("batch-updater.service", "batch-updater-web.service")


def installed(folder: Path) -> Path:
    """Put the units into a folder, with a program that is there: `verify` looks for it."""
    for name in SERVICES:
        service = text_of(name).replace("/usr/local/bin/batch-updater", "/bin/true")
        (folder / name).write_text(service, encoding="utf-8")
    (folder / "batch-updater.timer").write_text(text_of("batch-updater.timer"), encoding="utf-8")
    return folder


@pytest.mark.debian
def test_systemd_finds_no_fault_in_the_units(tmp_path: Path) -> None:
    """`systemd-analyze verify` says nothing at all."""
    units = [installed(tmp_path) / name for name in (*SERVICES, "batch-updater.timer")]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.debian
@pytest.mark.parametrize("name", SERVICES)
def test_the_service_is_hardened(tmp_path: Path, name: str) -> None:
    """`systemd-analyze security` gives an exposure of 2 at most, of 10."""
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", name]
    done = subprocess.run(
        [*command[:-1], installed(tmp_path) / command[-1]], capture_output=True, text=True, check=True
    )
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found
    assert float(found[1]) <= MOST_EXPOSURE


def test_the_service_treats_every_exit_code_as_the_page_says() -> None:
    """1 is no failure, 3 is tried again, 2, 4 and 70 are not; it runs the command and stops no run too early."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]  # systemd's names have case
    unit.read_string(text_of("batch-updater.service"))
    service = unit["Service"]
    assert service["ExecStart"] == f"/usr/local/bin/{COMMAND}"
    assert service["SuccessExitStatus"] == "1"
    assert (service["Restart"], service["RestartPreventExitStatus"]) == ("on-failure", "2 4 70")
    drain_s = load_config(SCHEDULE / "nightly.config.yaml", {}).sending.drain_s
    assert int(service["TimeoutStopSec"]) > drain_s + 60


def test_the_page_is_served_for_a_team_with_the_set_up_of_the_job() -> None:
    """As the same user, with the same token and folders, as hardened; with 2 and 4 it is not started again."""
    units = []
    for name in SERVICES:
        unit = configparser.ConfigParser(strict=False, interpolation=None)
        unit.optionxform = str  # type: ignore[assignment, method-assign]  # as above
        unit.read_string(text_of(name))
        units.append(dict(unit["Service"]))
    job, page = units
    own = {"Type", "ExecStart", "Environment", "LoadCredential", "SuccessExitStatus", "TimeoutStartSec", "UMask",
           "Restart", "RestartPreventExitStatus", "RestartSec"}  # fmt: skip
    assert {name: value for name, value in job.items() if name not in own} == {
        name: value for name, value in page.items() if name not in own
    }
    assert page["ExecStart"] == f"/usr/local/bin/{COMMAND.replace('nightly', 'serve')}"
    assert (page["Restart"], page["RestartPreventExitStatus"]) == ("on-failure", "2 4")
    text = text_of("batch-updater-web.service")
    for line in ("LoadCredential=nexus-token:", "Environment=BATCH_UPDATER_API__TOKEN="):
        (of_job,), (of_page,) = (
            [one for one in whole.splitlines() if one.startswith(line)]
            for whole in (text_of("batch-updater.service"), text)
        )
        assert of_job == of_page
    environ = dict(re.findall(r"(?m)^Environment=(BATCH_UPDATER_\w+)=(.+)$", text))
    environ["BATCH_UPDATER_API__TOKEN"] = "file:/run/credentials/token"
    assert load_config(SCHEDULE / "nightly.config.yaml", environ).web.auth == "proxy"


@pytest.mark.parametrize("name", ["batch-updater.service", "batch-updater.cron"])
def test_secrets_are_given_by_reference(name: str) -> None:
    """The variables that they set are such that the configuration takes, and the sample configuration with it."""
    found = re.findall(r'(?m)^(?:Environment=)?"?(BATCH_UPDATER_\w+)=([^"\n]+)"?$', text_of(name))
    environ = {variable: value.replace("%d", "/run/credentials/batch-updater.service") for variable, value in found}
    config = load_config(SCHEDULE / "nightly.config.yaml", environ)
    assert str(config.api.token) == environ["BATCH_UPDATER_API__TOKEN"]
    assert [f"['{target}']" for target in config.nightly.notify] == [environ["BATCH_UPDATER_NIGHTLY__NOTIFY"]]


def test_a_command_is_run_as_the_service_runs_the_job(tmp_path: Path) -> None:
    """User, folder, mask and secrets are those of the unit; what is typed reaches the program word for word."""
    program = tmp_path / "systemd-run"
    program.write_text('#!/bin/sh\nfor word in "$@"; do echo "$word"; done\n', encoding="ascii")
    program.chmod(0o700)
    done = subprocess.run(
        ["/bin/sh", SCHEDULE / "batch-updater-as-job", "run", "/srv/a b.csv", "--yes"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    words = done.stdout.splitlines()
    *program_and_command, config = COMMAND.replace("nightly", "run").split()
    assert words[-6:] == [
        f"/usr/local/bin/{program_and_command[0]}",
        *program_and_command[1:],
        config,
        "/srv/a b.csv",
        "--yes",
    ]
    service = text_of("batch-updater.service").splitlines()
    for setting in [word for word in words if re.match(r"(User|Group|UMask|WorkingDirectory|LoadCredential)=", word)]:
        assert setting in service
    unit = words[words.index("--unit") + 1]
    environ = dict(word.split("=", 1) for word in words if word.startswith("BATCH_UPDATER_"))
    given = {variable: value.replace(f"/run/credentials/{unit}.service", "%d") for variable, value in environ.items()}
    assert all(f"{variable}={value}" in text_of("batch-updater.service") for variable, value in given.items())
    assert len(given) == 2


def test_everything_that_the_job_writes_is_where_the_service_may_write() -> None:
    """ProtectSystem=strict leaves one folder."""
    config = load_config(SCHEDULE / "nightly.config.yaml", {})
    nightly = config.nightly
    found = re.search(r"(?m)^ReadWritePaths=(.*)$", text_of("batch-updater.service"))
    assert found
    for path in (config.results.folder, nightly.inbox, nightly.done, nightly.attention, nightly.metrics):
        assert path
        assert path.is_relative_to(found[1])


def test_the_cron_line_runs_the_command_and_tells_of_trouble() -> None:
    """Five fields, a user and one shell command without a bare %, which cron would take for a line's end."""
    lines = [line for line in text_of("batch-updater.cron").splitlines() if line and not line.startswith("#")]
    settings, (job,) = [line for line in lines if re.match(r"[A-Z_]+=", line)], lines[-1:]
    assert {line.partition("=")[0] for line in settings} >= {"PATH", "MAILTO", "BATCH_UPDATER_API__TOKEN"}
    *times, user, command = job.split(" ", 6)
    assert all(re.fullmatch(r"[\d*]+", time) for time in times)
    assert (user, "%" in command) == ("batch-updater", False)
    assert command.startswith(COMMAND)


@pytest.mark.parametrize(("code", "told"), [(0, False), (1, False), (2, True), (3, True), (4, True), (70, True)])
def test_the_cron_line_says_what_needs_a_person(tmp_path: Path, code: int, told: bool) -> None:
    """The line itself, run by sh with a program that ends so: 0 and 1 print nothing, any other code is named."""
    program = tmp_path / "batch-updater"
    program.write_text(f"#!/bin/sh\necho noise\nexit {code}\n", encoding="ascii")
    program.chmod(0o700)
    command = text_of("batch-updater.cron").splitlines()[-1].split(" ", 6)[6]
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(["/bin/sh", "-c", command], env=environ, capture_output=True, text=True, check=False)
    assert done.stdout == ""
    assert done.stderr == (f"batch-updater ended with exit code {code}\n" if told else "")


def test_the_cron_line_is_quiet_with_the_program_itself_unless_there_is_trouble(tmp_path: Path) -> None:
    """Good files and one that needs a person print nothing; without a token the reason comes before the exit code."""
    program = tmp_path / "batch-updater"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m batch_updater "$@"\n', encoding="utf-8")
    program.chmod(0o700)
    line = text_of("batch-updater.cron").splitlines()[-1].split(" ", 6)[6]
    command = line.replace("/etc/batch-updater/config.yaml", "config.yaml")
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        for cell, variables, ends in (
            ("1", {}, ""), ("x", {}, ""), ("1", {"NEXUS_TOKEN": ""}, "batch-updater ended with exit code 3\n"),
        ):  # fmt: skip
            opportunities(inbox / "a.csv", (cell, "Pre", f"a{variables}"))
            environ = environment(**variables, PATH=f"{tmp_path}:/usr/bin:/bin")
            done = subprocess.run(
                ["/bin/sh", "-c", command], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
            )
            assert done.stdout == ""
            assert bool(done.stderr) == bool(ends)
            assert done.stderr.endswith(ends)
            assert "NEXUS_TOKEN is not set" in done.stderr or not ends


def test_the_windows_task_is_one_of_the_task_schema() -> None:
    """Its sections have the schema's order; one instance at a time, a time limit, tried again after a failure."""
    root = ET.fromstring((SCHEDULE / "windows-task.xml").read_bytes())  # noqa: S314  (our own)
    assert (root.tag, root.get("version")) == (f"{TASK}Task", "1.2")
    sections = [element.tag.removeprefix(TASK) for element in root]
    assert sections == ["RegistrationInfo", "Triggers", "Principals", "Settings", "Actions"]
    settings = {element.tag.removeprefix(TASK): element for element in root.iterfind(f"{TASK}Settings/*")}
    assert settings["MultipleInstancesPolicy"].text == "IgnoreNew"
    assert re.fullmatch(r"PT\d+H", settings["ExecutionTimeLimit"].text or "")
    assert [child.tag.removeprefix(TASK) for child in settings["RestartOnFailure"]] == ["Interval", "Count"]
    principal, actions = root.find(f"{TASK}Principals/{TASK}Principal"), root.find(f"{TASK}Actions")
    assert principal is not None
    assert actions is not None
    assert actions.get("Context") == principal.get("id")
    arguments = root.findtext(f"{TASK}Actions/{TASK}Exec/{TASK}Arguments")
    assert shlex.split(arguments or "", posix=False)[:2] == ["nightly", "--config"]


def test_the_windows_task_says_what_is_not_known() -> None:
    """It is untested there, in the file and on the page."""
    assert "Untested on Windows" in text_of("windows-task.xml")
    assert re.search(r"Untested on\s+Windows", PAGE)


@pytest.mark.parametrize("name", sorted(path.name for path in SCHEDULE.iterdir()))
def test_the_page_explains_every_file(name: str) -> None:
    """Each has its place there."""
    assert f"samples/schedule/{name}" in PAGE
