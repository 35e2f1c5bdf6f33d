"""runs/folder.py: what a run's folder and workbook are called after their input."""

from __future__ import annotations

import os
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batch_updater.runs.folder import safe_stem


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("東京.csv", "東京"), ("Änderungen 2026.xlsx", "Änderungen_2026"), ("Квартал №4.csv", "Квартал_4"),
        ("हिन्दी परिवर्तन.csv", "हिन्दी_परिवर्तन"),
        ("การเปลี่ยนแปลง.ods", "การเปลี่ยนแปลง"), ("عملاء ٢٠٢٦.csv", "عملاء_٢٠٢٦"),
        ("עסקאות.csv", "עסקאות"), ("한국어 변경.csv", "한국어_변경"),
        ("a.b__c-d.csv", "a.b__c-d"), ("price (1).csv", "price_1"),
        ("می\u200cروم.csv", "میروم"), ("\u202egpj.csv", "gpj"), ("😀 smile.csv", "smile"), ("😀.csv", "input"),
        ("... .csv", "input"), ("\u0301x.csv", "x"), ("CON.2024.csv", "CON_2024"), ("com1.x.csv", "com1_x"),
        ("con.csv", "con"), ("\udcff.csv", "input"),
    ],
)  # fmt: skip
def test_letters_and_digits_of_every_script_stay(name: str, stem: str) -> None:
    """What no file system minds stays; all else becomes `_`, or goes where it cannot be seen."""
    assert safe_stem(name) == stem


@pytest.mark.parametrize("name", ["Änderungen", "Việt Nam", "한국어", "が"])
def test_a_name_whose_accents_stand_apart_is_the_same(name: str) -> None:
    """As macOS gives names (NFD)."""
    assert safe_stem(f"{unicodedata.normalize('NFD', name)}.csv") == safe_stem(f"{name}.csv")


@given(st.text(st.characters(exclude_characters="/\0"), max_size=100))
@example("क्षि" * 50)
@example("𠀀" * 100)
@example("x" + "\u0301" * 100)
@example("con." * 30)
def test_every_name_gives_one_that_every_file_system_takes(name: str) -> None:
    """In 255 bytes with all that is put around it, without marks that lost their letter; a name of ours stays."""
    stem = safe_stem(f"{name}.csv")
    assert safe_stem(f"{stem}.csv") == stem
    longest = f"{stem}-results-20261231-235959 (99).xlsx"
    assert len(os.fsencode(longest)) <= 255
    assert unicodedata.category(stem[0])[0] != "M"
    assert not set(stem) & set('\\/:*?"<>| \t\n\u200b\u202e')
    assert not stem.endswith(".")
