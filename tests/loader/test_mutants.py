from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path

import pytest

from batch_updater.errors import InputError
from batch_updater.loader.table import open_table
from tests.loader.described import endpoint, settings
from tests.loader.staged import staged

DATA = Path(__file__).parent.parent / "data"
WORKBOOKS = (
    "cells-of-every-kind.xlsx", "merged-cells.xlsx", "cells-of-every-kind.xls", "formulas-never-calculated.xls",
    "cells-of-every-kind.xlsb", "cells-of-every-kind.ods", "saved-by-libreoffice.xlsx", "saved-by-libreoffice.xls",
    "saved-by-libreoffice.ods",
)  # fmt: skip
MUTANTS_OF_EACH = 560
"""Together more than 5,000."""


def mutant(content: bytes, chance: random.Random) -> bytes:
    """Change a few bytes: replaced, left out, doubled, or all from somewhere on."""
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        at = chance.randrange(len(changed))
        length = chance.choice((1, 1, 2, 4, 30))
        match chance.randrange(5):
            case 0 | 1:
                changed[at : at + length] = chance.randbytes(length)
            case 2:
                del changed[at : at + length]
            case 3:
                changed[at:at] = changed[at : at + length]
            case 4:
                changed[at : at + length] = chance.choice((b"\xff", b"\0", b"9", b"<", b'"')) * length
        if not changed:
            return b"\0"
    return bytes(changed)


def mutant_of_a_part(content: bytes, chance: random.Random) -> bytes:
    """Change a part of a package and pack it again, so that the damage is not found by its checksum."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as packed, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as again:
        chosen = chance.choice([entry for entry in packed.infolist() if entry.file_size])
        for entry in packed.infolist():
            part = packed.read(entry)
            again.writestr(entry.filename, mutant(part, chance) if entry is chosen else part)
    return made.getvalue()


def refusal_of(path: Path) -> InputError | None:
    """Read a file to its end."""
    try:
        table = open_table(path, endpoint(), settings(), name=path.name)
        review, rows, _ = staged(table)
    except InputError as refusal:
        return refusal
    assert len(rows) == review.rows
    return None


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", WORKBOOKS)
def test_a_changed_workbook_is_read_or_refused_in_a_sentence(tmp_path: Path, name: str) -> None:
    """Whatever bytes of a workbook are changed, it is read, or one sentence says why not; nothing else is raised."""
    content = (DATA / name).read_bytes()
    packed = content.startswith(b"PK")
    chance = random.Random(name)
    path = tmp_path / name
    refused = 0
    for number in range(MUTANTS_OF_EACH):
        changed = mutant_of_a_part(content, chance) if packed and number % 4 else mutant(content, chance)
        path.write_bytes(changed)
        refusal = refusal_of(path)
        if refusal is not None:
            refused += 1
            assert name in refusal.message
            assert refusal.remedy
    assert 0 < refused < MUTANTS_OF_EACH
