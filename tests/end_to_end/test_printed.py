"""Whatever a file, a sheet, a header, a cell or a command line holds: what a command prints is lines of plain text."""

from __future__ import annotations

import csv
import json
import os
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from batch_updater.nightly.dispositions import Disposition
from batch_updater.nightly.night import compose
from batch_updater.text.printable import printable, printable_lines
from tests.end_to_end.program import batch_updater
from tests.nightly.made import file, night

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are texts without such characters")

ODD = "\x01\x07\x08\t\n\r\x1b\x7f\x85\x9b\u061c\u200f\u2028\u202e\u2066"
FORGED = "a.csv\nb.csv: All rows were updated.\x1b[2K\u202e"


def printed(folder: Path, *arguments: str) -> str:
    """Run a command. Returns all that it prints, which must be plain lines."""
    done = batch_updater(*arguments, cwd=folder)
    assert done.code in {0, 1, 2, 3}
    text = done.err + done.out
    assert text == printable_lines(text), arguments
    return text


def write_csv(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("Id", "Type", "OpportunityName", text), (text, text, "x", text)])


@settings(max_examples=4, phases=[Phase.explicit, Phase.generate])
@example(FORGED)
@given(st.text(st.one_of(st.sampled_from(ODD), st.characters(codec="utf-8", exclude_characters="\0/")), min_size=1))
def test_every_command_prints_plain_lines(text: str) -> None:
    """Names of files, headers, cells, options and keys: none can move the cursor or begin a line of its own."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "config.yaml").write_text("api: {base_url: 'http://127.0.0.1:9'}\n", encoding="utf-8")
        name = f"x{text.encode()[:60].decode('utf-8', 'ignore')}.csv"
        write_csv(place / name, text)
        for command in (
            ("check", name), ("run", name, "--yes"), ("runs",), ("run", name, "--sheet", text, "--yes"),
            ("run", name, "--set", f"{text}=1"), ("run", name, f"--{text}"), ("run", f"{name}.missing"),
            ("report", text), ("undo", text), ("template", f"{name}.xlsx"), ("init", f"{name}.yaml", "--token", text),
            ("init", f"{name}.yaml", "--yes", "--base-url", "https://x"), ("doctor", "--config", f"{name}.yaml"),
        ):  # fmt: skip
            printed(place, *command)
        for run in (path for path in (place / "runs").iterdir() if (path / "report.html").exists()):
            assert "Results: " in printed(place, "report", str(run))
        told = json.loads(printed(place, "check", name, "--json"))
        # A header that may be meant for a field is refused.
        assert (told["error"]["file"] if "error" in told else told["input"]) == name


def test_a_night_prints_a_line_for_each_file(tmp_path: Path) -> None:
    """The name of one file cannot forge what becomes of another, on the terminal or in the note beside it."""
    (tmp_path / "inbox").mkdir()
    configuration = "api: {base_url: 'http://127.0.0.1:9'}\nnightly: {inbox: inbox}\n"
    (tmp_path / "config.yaml").write_text(configuration, encoding="utf-8")
    for name, header in ((f"{FORGED}.csv", "Id"), ("plain.csv", FORGED)):
        (tmp_path / "inbox" / name).write_text(f'Type,"{header}"\nPre,1\n', encoding="utf-8", newline="")
        os.utime(tmp_path / "inbox" / name, (1, 1))
    said = printed(tmp_path, "nightly").splitlines()
    assert len(said) == 2 + len(["the verdict"])
    assert not [line for line in said if line.startswith("b.csv")]
    for note in (tmp_path / "attention").glob("*/*.txt"):
        text = note.read_text(encoding="utf-8")
        assert text == printable_lines(text)
        assert not [line for line in text.splitlines() if line.startswith("b.csv")]


def test_a_faulty_configuration_is_told_in_as_many_lines_as_it_has_faults(tmp_path: Path) -> None:
    """A key that holds a line break is one fault on one line, for check and doctor."""
    (tmp_path / "config.yaml").write_text(f"{json.dumps(FORGED)}: 1\nsending: {{rate_per_s: -1}}\n", encoding="utf-8")
    said = printed(tmp_path, "check", "c.csv").splitlines()
    assert len(said) == len(["one fault", "the other", "what to do"])
    assert not [line for line in printed(tmp_path, "doctor").splitlines() if line.startswith("b.csv")]


def test_no_name_begins_a_line_of_the_message_of_a_night() -> None:
    """Its subject is one line, and its body has the lines that it has for a harmless name."""
    files = (file(Disposition.ATTENTION, name, invalid=1) for name in (FORGED, "a.csv"))
    hostile, harmless = (compose(night(one), None) for one in files)
    assert hostile.body.count("\n") == harmless.body.count("\n")
    assert hostile.body == printable_lines(hostile.body)
    assert hostile.subject == printable(hostile.subject)
    assert printable(FORGED) in hostile.body
