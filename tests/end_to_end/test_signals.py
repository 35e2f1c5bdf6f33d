"""Signals to the real program at any moment before it sends: it ends at once, with exit code 3 and a sentence."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.program import environment, sandbox
from tests.end_to_end.test_night import aged

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="it has no such signals"), pytest.mark.usefixtures("store"),
]  # fmt: skip

ENDS_WITHIN_S = 60
"""Far below what is waited for here, far above what ending takes on a busy machine."""
NOTHING_SENT = "batch-updater: Interrupted. Nothing was sent.\n"


def prepared(folder: Path, base_url: str, command: str = "", more: str = "") -> None:
    """Write a file of one row and a configuration; `command` prints the token, else the environment holds it."""
    (folder / "c.csv").write_text("Id,Type,OpportunityName\n1,Pre,x\n", encoding="utf-8")
    token = f"command:{command}" if command else "env:NEXUS_TOKEN"
    text = f"api: {{base_url: '{base_url}', token: '{token}', connect_timeout_s: 600, timeout_s: 600}}\n{more}"
    (folder / "config.yaml").write_text(text, encoding="utf-8")


def start(folder: Path, *arguments: str, before: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    command = [*before, sys.executable, "-m", "batch_updater", *arguments]
    return subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(process: subprocess.Popen[str], path: Path) -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def ended_by(process: subprocess.Popen[str], number: signal.Signals) -> tuple[str, str]:
    """Send one signal. Returns what the program has printed."""
    process.send_signal(number)
    try:
        return process.communicate(timeout=ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        pytest.fail(f"it still runs: {process.communicate()}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_gives_no_token_is_not_waited_for(tmp_path: Path, number: signal.Signals) -> None:
    """The first signal ends the run and the command, and leaves no folder."""
    (tmp_path / "slow.sh").write_text("echo $$ > pid.new; mv pid.new pid; exec sleep 600\n", encoding="utf-8")
    prepared(tmp_path, "http://127.0.0.1:9", "sh slow.sh")
    process = start(tmp_path, "run", "c.csv", "--yes")
    wait_for(process, tmp_path / "pid")
    _, said = ended_by(process, number)
    assert (process.returncode, NOTHING_SENT in said) == (3, True), said
    assert not list((tmp_path / "runs").iterdir())
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text(encoding="utf-8")), 0)


def test_an_interrupted_command_prints_one_json_object(tmp_path: Path) -> None:
    """A reader learns the exit code and why."""
    (tmp_path / "slow.sh").write_text("touch started; exec sleep 600\n", encoding="utf-8")
    prepared(tmp_path, "http://127.0.0.1:9", "sh slow.sh")
    process = start(tmp_path, "run", "c.csv", "--json")
    wait_for(process, tmp_path / "started")
    told, said = ended_by(process, signal.SIGTERM)
    assert json.loads(told)["error"]["message"] == "Interrupted. Nothing was sent.", said
    assert json.loads(told)["exit_code"] == process.returncode == 3


@pytest.mark.one_process("each worker runs the command as well")
def test_a_hang_up_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    """A run under nohup outlives its terminal, whatever it is doing."""
    script = "touch started; while [ ! -e go ]; do sleep 0.05; done; echo sandbox-token\n"
    (tmp_path / "token.sh").write_text(script, encoding="utf-8")
    with sandbox() as api:
        prepared(tmp_path, api.url, "sh token.sh")
        process = start(tmp_path, "run", "c.csv", "--yes", before=("nohup",))
        wait_for(process, tmp_path / "started")
        process.send_signal(signal.SIGHUP)
        (tmp_path / "go").touch()
        told, said = process.communicate(timeout=60)
    assert (process.returncode, "The row was updated." in told) == (0, True), said


@pytest.mark.one_process("its process sends by itself: a worker that is killed or stopped is tested in tests/team")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells whom a process connects to in this way")
def test_a_connection_that_does_not_come_is_not_waited_for(tmp_path: Path) -> None:
    """Nothing has gone out to a host that takes no connections: sending.drain_s is for what has."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        prepared(tmp_path, f"http://127.0.0.1:{port}", more="sending: {drain_s: 600}\n")
        before = connecting_to(port)
        process = start(tmp_path, "run", "c.csv", "--json")
        while connecting_to(port) <= before:
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        told, said = ended_by(process, signal.SIGTERM)
        for filler in fillers:
            filler.close()
    result = json.loads(told)
    assert (process.returncode, result["stopped"]) == (3, "interrupted"), said
    assert result["outcomes"]["failed"] == 1
    assert result["requests"] == 0


def connecting_to(port: int) -> int:
    """Count the sockets of this machine that wait for a connection to a port (Linux: proc(5), state SYN_SENT)."""
    with open("/proc/net/tcp", encoding="ascii") as table:  # noqa: PTH123  (no file of a disk)
        fields = [line.split() for line in table]
    return sum(line[2].endswith(f":{port:04X}") and line[3] == "02" for line in fields[1:])


@pytest.mark.one_process("its process sends by itself: a worker that is killed or stopped is tested in tests/team")
def test_a_name_server_that_does_not_answer_is_not_waited_for(tmp_path: Path) -> None:
    """The system's look-up of a name knows no time limit of ours, and continues beyond the end of the run."""
    unshare = shutil.which("unshare")
    if unshare is None or os.getuid():
        pytest.skip("a name server of its own takes a mount namespace")
    address = f"127.53.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"  # of this process, however many test at once
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((address, 53))
        silent.settimeout(ENDS_WITHIN_S)
        (tmp_path / "resolv.conf").write_text(
            f"nameserver {address}\noptions timeout:30 attempts:5\n", encoding="utf-8"
        )
        prepared(tmp_path, "https://nexus.invalid", more="sending: {drain_s: 600}\n")
        mounted = f'mount --bind "{tmp_path}/resolv.conf" /etc/resolv.conf && touch mounted && exec "$@"'
        process = start(tmp_path, "run", "c.csv", "--json", before=(unshare, "-m", "sh", "-c", mounted, "sh"))
        while not (tmp_path / "mounted").exists():
            if process.poll() is not None:
                pytest.skip("this machine gives no mount namespace")
            time.sleep(0.02)
        try:
            silent.recvfrom(512)
        except TimeoutError:
            process.kill()
            pytest.skip("this machine asks its name servers in another way")
        told, said = ended_by(process, signal.SIGTERM)
    assert (process.returncode, json.loads(told)["stopped"]) == (3, "interrupted"), said


def test_a_night_that_still_looks_at_its_inbox_ends_at_once(tmp_path: Path) -> None:
    """Nothing is begun: the files stay, and the exit code says to start it again."""
    with socket.create_server(("127.0.0.1", 0)) as health:
        url = f"http://127.0.0.1:{health.getsockname()[1]}/ping"
        prepared(tmp_path, "http://127.0.0.1:9", more=f"nightly: {{inbox: inbox, health_check: '{url}'}}\n")
        (tmp_path / "inbox").mkdir()
        (tmp_path / "c.csv").rename(tmp_path / "inbox" / "c.csv")
        process = start(tmp_path, "nightly", "--json")
        with health.accept()[0]:
            (tmp_path / "inbox" / "c.csv").touch()
    # It has begun, and watches a file that is new for ten seconds.
    told, said = ended_by(process, signal.SIGTERM)
    result = json.loads(told)
    assert (process.returncode, result["stopped"], result["files"]) == (3, "interrupted", []), said
    assert [path.name for path in (tmp_path / "inbox").iterdir() if path.suffix == ".csv"] == ["c.csv"]


def test_a_night_that_waits_for_a_token_ends_at_once(tmp_path: Path) -> None:
    """The file stays in the inbox, and the note says so."""
    (tmp_path / "slow.sh").write_text("touch started; exec sleep 600\n", encoding="utf-8")
    prepared(tmp_path, "http://127.0.0.1:9", "sh slow.sh", "nightly: {inbox: inbox}\n")
    (tmp_path / "inbox").mkdir()
    (tmp_path / "c.csv").rename(tmp_path / "inbox" / "c.csv")
    aged(tmp_path / "inbox" / "c.csv")
    process = start(tmp_path, "nightly", "--json")
    wait_for(process, tmp_path / "started")
    told, said = ended_by(process, signal.SIGTERM)
    result = json.loads(told)
    assert (process.returncode, result["stopped"]) == (3, "interrupted"), said
    assert [(file["name"], file["disposition"]) for file in result["files"]] == [("c.csv", "left")]
    assert [path.name for path in (tmp_path / "inbox").iterdir() if path.suffix == ".csv"] == ["c.csv"]


@pytest.mark.one_process("each worker runs the command as well")
def test_a_process_that_a_command_leaves_running_is_not_waited_for(tmp_path: Path) -> None:
    """What a program printed until it ended counts, though a helper of its keeps its output open."""
    script = "echo sandbox-token\nsleep 600 &\necho $! > helper\n"
    (tmp_path / "token.sh").write_text(script, encoding="utf-8")
    with sandbox() as api:
        prepared(tmp_path, api.url, "sh token.sh")
        process = start(tmp_path, "run", "c.csv", "--yes")
        try:
            told, said = process.communicate(timeout=60)
        finally:
            os.kill(int((tmp_path / "helper").read_text(encoding="utf-8")), signal.SIGKILL)
    assert (process.returncode, "The row was updated." in told) == (0, True), said
