"""printable.py: what people see is one line, and all of it is seen."""

from __future__ import annotations

import io
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_updater.text.printable import command_line, print_line, printable, printable_lines

ODD = "\x00\x07\x08\t\n\r\x1b\x7f\x85\x9b\u061c\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069\ud800\udc80\udcff"
"""Characters of every kind that may not be printed as they are."""
TEXTS = st.text(st.one_of(st.sampled_from(ODD), st.characters()))


def test_what_is_odd_is_seen() -> None:
    """Each character has the escape that programmers know."""
    shown = printable("a\x1b[2J\nb\u202ec\x85\udcff")
    assert shown == r"a\x1b[2J\nb\u202ec\x85\udcff"


@pytest.mark.parametrize("text", ["Größe", "日本語", "مرحبا", "שלום", "می‌خواهم", "👩‍👩‍👧", "a\u00a0b", r"C:\x1b"])
def test_what_people_write_stays(text: str) -> None:
    """Every script stays as it is, with the joiners that it needs."""
    assert printable(text) == text


@given(TEXTS)
def test_a_printed_text_is_one_line_of_characters_that_do_nothing(text: str) -> None:
    """No control character, no line break, no mark of direction; and nothing else has changed."""
    shown = printable(text)
    assert not [one for one in shown if unicodedata.category(one) in {"Cc", "Cs", "Zl", "Zp"}]
    assert not set(ODD) & set(shown)
    assert printable(shown) == shown
    assert len(shown.splitlines()) <= 1
    stream = io.StringIO()
    print_line(text, stream)
    assert stream.getvalue() == f"{shown}\n"
    assert printable_lines(text).count("\n") == text.count("\n")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such shell")
@settings(max_examples=25)
@given(st.lists(st.text(st.one_of(st.sampled_from(ODD + "'\"\\$`!; "), st.characters(codec="utf-8"))), min_size=1))
def test_a_command_to_copy_is_what_it_says(words: list[str]) -> None:
    """A shell takes each word for what it is, and runs nothing else; what is copied is what is shown."""
    words = [word.replace("\0", "").replace("\ud800", "") for word in words]
    shown = printable(command_line(("printf", r"%s\0", *words)))
    done = subprocess.run(["bash", "-c", shown.encode()], stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"".join(word.encode("utf-8", "surrogateescape") + b"\0" for word in words)
