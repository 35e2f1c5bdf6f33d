"""What a person is shown and asked before a run, of files that are really read; nothing is sent."""

from __future__ import annotations

import io
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batch_updater.cli.preview import Consent, ask_to_send, preview_lines, reads_lines
from batch_updater.cli.text_output import Line, write_lines
from batch_updater.config.environment import Environment
from batch_updater.config.loading import config_from
from batch_updater.runs.open_run import open_run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batch_updater.runs.open_run import OpenRun

URL = "https://nexus.example.org"
WITHOUT_READING = Path(__file__).parents[2] / "samples" / "second-endpoint" / "customers.openapi.yaml"
ROWS = "Id,Type,SalesRevenue,Owner\n1,Pre,100,me\n2,Pre,#N/A,me\n3,Pre,#CLEAR,me\n"


@contextmanager
def opened(folder: Path, rows: str = ROWS, **settings: dict[str, object]) -> Iterator[OpenRun]:
    """Open a run of a CSV file; `settings` are sections of the configuration."""
    path = folder / "c.csv"
    path.write_text(rows, encoding="utf-8")
    sections = {"api": {"base_url": URL}, "results": {"folder": str(folder / "runs")}, **settings}
    with open_run(path, config_from(sections, {}), Environment({})) as run:
        yield run


def labelled(run: OpenRun, count: int, *, asking: bool = False) -> dict[str, list[str]]:
    """Return the texts of a preview by their labels."""
    texts: dict[str, list[str]] = {}
    label = ""
    for line in preview_lines(run, count, Environment({}), asking=asking):
        label = line.text[:10].strip() or label
        texts.setdefault(label, []).append(line.text[10:].strip())
    return texts


def test_the_preview_says_what_is_sent_where(tmp_path: Path) -> None:
    """File, mapping, rows, the most common problems, fields, address, duration and the first request."""
    with opened(tmp_path) as run:
        shown = labelled(run, 2)
    assert shown["File"] == [f"{tmp_path / 'c.csv'}, headers in row 1"]
    assert [line.split() for line in shown["Columns"]] == [
        ["header", "first", "value", "field"],
        ["Id", "1", "OpportunityId"],
        ["Type", "Pre", "opportunityType"],
        ["SalesRevenue", "100", "SalesRevenue"],
        ["Owner", "me", "not", "sent"],
    ]
    assert shown["Rows"] == ["3: 2 good, 1 with problems (not sent)"]
    problem, example = shown["Problems"]
    assert problem.startswith("1 x SalesRevenue: ")
    assert problem.endswith("(C3)")
    assert example.startswith("The cell shows the error #N/A")
    assert shown["Fields"] == ["SalesRevenue in 2 rows, cleared in 1 of them"]
    assert shown["To"] == [f"{URL} (nexus-opportunity)"]
    assert shown["Time"] == ["about 0.1 s at 20 requests a second"]
    request, body = shown["First"]
    assert request.startswith(f"PUT {URL}/api/v2/opportunities/1?")
    assert request.endswith("(row 2)")
    assert body == '{"SalesRevenue": 100}'


def test_one_read_is_one(tmp_path: Path) -> None:
    """Numbers and nouns agree, and a span of one length is one figure."""
    with opened(tmp_path, "Id,Type,SalesRevenue\n1,Pre,100\n", sending={"compare": True}) as run:
        (time,) = labelled(run, 1)["Time"]
        (reads,) = reads_lines(run.plan)
    assert time.startswith("about 0.1 s at 20 requests a second: 1 read, and at most 1 update")
    assert reads.text.startswith("1 record is read: about 0.1 s at 20 requests a second")


def test_records_are_read_twice_if_a_person_is_asked(tmp_path: Path) -> None:
    """Once for the question, once right before each update."""
    with opened(tmp_path, sending={"compare": True, "rate_per_s": 0.1}) as run:
        (once,), (twice,) = labelled(run, 2)["Time"], labelled(run, 2, asking=True)["Time"]
    assert once.startswith("20 s to 40 s at 0.1 requests a second: 2 reads, and at most 2 updates")
    assert twice.startswith(
        "40 s to 1 min 0 s at 0.1 requests a second: 2 reads before anything is sent, 2 right before"
    )


@pytest.mark.parametrize(
    ("typed", "consent"),
    [("y", Consent.YES), (" YES ", Consent.YES), ("c", Consent.COMPARE), ("", Consent.NO), ("sure", Consent.NO)],
)
def test_only_yes_is_consent(
    tmp_path: Path, typed: str, consent: Consent, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever else is typed sends nothing; c compares where records can be read."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{typed}\n"))
    with opened(tmp_path) as run:
        assert ask_to_send(run, None, 2) is consent
    assert capsys.readouterr().err == f"\nSend 2 updates to {URL}? [y/N], or c to compare first: "


def test_without_a_way_to_read_a_record_c_is_no(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The question does not offer it either."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("c\n"))
    api: dict[str, object] = {"base_url": URL, "endpoint": f"{WITHOUT_READING}#update-contact"}
    with opened(tmp_path, "accountId,contactId,email\nDE-0042,7,a@b.example\n", api=api) as run:
        assert ask_to_send(run, None, 1) is Consent.NO
    assert capsys.readouterr().err == f"\nSend 1 update to {URL}? [y/N] "


class Terminal(io.StringIO):
    """A terminal as far as lines are concerned."""

    def isatty(self) -> bool:
        return True


def test_lines_are_broken_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between words and indented, but for lines that are copied; in a log a line stays a line."""
    monkeypatch.setenv("COLUMNS", "60")
    command = Line("x" * 70)
    lines = [Line(f"Note: {'word ' * 12}end", 6), command]
    terminal, log = Terminal(), io.StringIO()
    write_lines(lines, terminal)
    write_lines(lines, log)
    first, second, third = terminal.getvalue().splitlines()
    assert len(first) <= 60
    assert second == "      word end"
    assert third == command.text
    assert log.getvalue().splitlines() == [line.text for line in lines]
