"""notify.py: failures are reported in time and without secrets."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from batch_updater.config.environment import Environment
from batch_updater.config.schema import ReferenceKind, SecretReference
from batch_updater.nightly.night import Message
from batch_updater.nightly.notify import FAILURE, START, SUCCESS, notify, ping, run_with_timeout
from tests.nightly.receivers import webhook

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MESSAGE = Message("subject", "body", (), "warning")
NO_VARIABLES = Environment({})


@pytest.fixture
def silent() -> Iterator[str]:
    """Host and port of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(autouse=True)
def over() -> Iterator[threading.Event]:
    """End what a test has left behind: the next command in this process would end the process because of it."""
    event = threading.Event()
    yield event
    event.set()
    for thread in threading.enumerate():
        if thread.name == "attempt":
            thread.join()


def test_what_takes_too_long_is_left_behind(over: threading.Event) -> None:
    """The time limit holds whatever the work does."""

    def hangs() -> None:
        over.wait()

    assert run_with_timeout(hangs, 0.1) == "it took longer than 0.1 s"


def test_of_an_exception_only_the_kind_is_told() -> None:
    """Its text may quote an address with a password."""

    def fails() -> None:
        raise RuntimeError("https://me:canary@host")

    assert run_with_timeout(fails, 60) == "it failed in a way that was not foreseen"


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise imports it
@pytest.mark.parametrize("url", ["json://me:canary@{}/x", "canary", "canary://x"])
def test_a_dead_recipient_is_said_without_its_address(silent: str, url: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Others are told all the same; the sentence has the recipient's number and nothing secret."""
    import apprise

    apprise.Apprise.instantiate("json://127.0.0.1")  # it loads its services, which takes longer than to tell someone
    with webhook() as received:
        recipients = (url.format(silent), f"json://{received.place}/told", SecretReference(
            kind=ReferenceKind.ENVIRONMENT, location="NOT_SET"))  # fmt: skip
        first, third = notify(MESSAGE, recipients, NO_VARIABLES, limit_s=8)
    assert first.startswith("Sending the message to nightly.notify, number 1 failed: ")
    assert "nightly.notify, number 3: the environment variable NOT_SET is not set" in third
    assert [(body["title"], body["type"]) for body in received.bodies()] == [("subject", "warning")]
    assert "canary" not in first + third + "".join(capfd.readouterr())


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise imports it
def test_a_message_goes_without_what_cannot_be_attached(tmp_path: Path) -> None:
    """A workbook that is gone by now does not keep the message back."""
    with webhook() as received:
        message = Message("subject", "body", (tmp_path / "gone.xlsx",), "failure")
        assert list(notify(message, (f"json://{received.place}/told",), NO_VARIABLES)) == []
    assert [body["title"] for body in received.bodies()] == ["subject"]


def test_pings_have_the_addresses_of_healthchecks_io() -> None:
    """Start, success and failure are GETs of the address with /start, nothing and /fail."""
    with webhook() as received:
        address = f"http://{received.place}/uuid"
        reference = SecretReference(kind=ReferenceKind.ENVIRONMENT, location="PING")
        variables = Environment({"PING": address})
        assert [ping(reference, sign, variables) for sign in (START, SUCCESS, FAILURE)] == [None] * 3
    assert received.requests() == ["GET /uuid/start", "GET /uuid", "GET /uuid/fail"]


def test_a_dead_health_check_is_said_without_its_address(silent: str) -> None:
    """It costs its time limit and no more; an address that is no web address is not opened at all."""
    said = [
        ping(address, START, NO_VARIABLES, limit_s=0.3) for address in (f"http://{silent}/canary", "file:///etc/canary")
    ]
    assert all(one and one.startswith("The health check (nightly.health_check) was not told: ") for one in said)
    assert "canary" not in str(said)
    assert ping(None, START, NO_VARIABLES) is None


def test_why_a_health_check_is_not_reached_is_said_in_words(closed_port: int) -> None:
    """Not the name of an exception, and not the address, which is a secret."""
    said = ping(f"http://127.0.0.1:{closed_port}/canary", SUCCESS, NO_VARIABLES)
    assert said == "The health check (nightly.health_check) was not told: it cannot be reached (Connection refused)."


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise imports it
def test_a_service_that_takes_its_time_is_told_once(tmp_path: Path) -> None:
    """Slower than apprise would wait, with something attached: neither told again nor called dead."""
    workbook = tmp_path / "a-results.xlsx"
    workbook.write_bytes(b"PK")
    with webhook(after_s=4.5) as received:
        assert (
            list(notify(replace(MESSAGE, attachments=(workbook,)), (f"json://{received.place}/told",), NO_VARIABLES))
            == []
        )
    assert len(received.calls) == 1


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise imports it
def test_every_workbook_is_attached_to_one_message(tmp_path: Path) -> None:
    """However many there are, and however long the message is."""
    workbooks = tuple(tmp_path / f"{name}-results.xlsx" for name in "abc")
    for workbook in workbooks:
        workbook.write_bytes(b"PK")
    message = replace(MESSAGE, body="verdict " * 10_000, attachments=workbooks)
    with webhook() as received:
        assert list(notify(message, (f"json://{received.place}/told",), NO_VARIABLES)) == []
    (body,) = received.bodies()
    assert [one["filename"] for one in body["attachments"]] == [workbook.name for workbook in workbooks]


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise imports it
def test_a_message_is_as_long_as_the_service_takes_it() -> None:
    """It is cut at its end and goes as one: services refuse what is too long, and the verdict stands first."""
    with webhook() as received:
        assert (
            list(notify(replace(MESSAGE, body="verdict " * 10_000), (f"json://{received.place}/told",), NO_VARIABLES))
            == []
        )
    (body,) = received.bodies()
    assert body["message"].startswith("verdict")
    assert 10_000 < len(body["message"]) <= 32_768


def test_a_process_ends_whatever_was_left_behind() -> None:
    """Python waits at its exit for the threads of pools, as libraries have them; its exit code is not lost."""
    done = subprocess.run([sys.executable, "-c", _LEAVING], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (3, "it took longer than 0.2 s\n"), done.stderr


_LEAVING = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
from batch_updater.nightly.notify import exit_if_threads_hang, run_with_timeout

def hangs():
    with ThreadPoolExecutor() as pool:
        pool.submit(threading.Event().wait, 120).result()

exit_if_threads_hang(70)  # nothing yet
print(run_with_timeout(hangs, 0.2))
exit_if_threads_hang(3)
"""


def test_a_signal_that_ends_the_waiting_leaves_nothing_that_holds_the_process() -> None:
    """The process ends at once, although the work goes on."""
    done = subprocess.run([sys.executable, "-c", _INTERRUPTED], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (3, "")


_INTERRUPTED = """
import os, signal, threading
from concurrent.futures import ThreadPoolExecutor
from batch_updater.nightly.notify import exit_if_threads_hang, run_with_timeout

signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored in the background of a shell

def hangs():
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(threading.Event().wait, 120)
        os.kill(os.getpid(), signal.SIGINT)
        waiting.result()

try:
    run_with_timeout(hangs, 60)
except KeyboardInterrupt:
    exit_if_threads_hang(3)
"""
