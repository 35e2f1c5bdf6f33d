from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from batch_updater.errors import BatchUpdaterError, InputError
from batch_updater.loader.formats.opening import open_source
from batch_updater.loader.table import open_table
from tests.loader.described import endpoint, judged, settings, workbook

if TYPE_CHECKING:
    from pathlib import Path


def fault(path: Path) -> InputError:
    with pytest.raises(InputError) as raised:
        open_source(path, settings(), name="the file")
    assert raised.value.message.startswith("the file ")
    assert raised.value.remedy
    return raised.value


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"%PDF-1.7", "PDF"), (b"\x89PNG\r\n\x1a\n", "picture"), (b"\xff\xd8\xff\xe0", "picture"),
        (b"<!DOCTYPE html><table>", "web page"), (b"\xef\xbb\xbf <?xml version='1.0'?>", "an XML file"),
        (b"PK\x03\x04 and then nothing", "damaged"), (b"\x1f\x8b\x08", "compressed"), (b"{\\rtf1", "RTF"),
        (b"\x00\x01\x02\x03", "nothing that is known"), (b"II*\0\x08\0", "picture"), (b"RIFF\0\0\0\0WEBP", "picture"),
        ("\ufeff<html><table>".encode("utf-16-le"), "web page"), (b"\0\0\0\x18ftypheic", "picture"),
        (b"MIME-Version: 1.0\nContent-Type: multipart/related", "web page"),
    ],
)  # fmt: skip
def test_a_file_of_another_kind_is_named_for_what_it_is(tmp_path: Path, content: bytes, said: str) -> None:
    """What a file is is decided by its content; what cannot be read is refused in one sentence."""
    path = tmp_path / "changes.xlsx"
    path.write_bytes(content)
    assert said in fault(path).message


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """A file that does not exist is reported so."""
    assert "cannot be read" in fault(tmp_path / "none.xlsx").message


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"a.txt": "x"}, "a zip file that holds no workbook"),
        ({"Index/Document.iwa": "x"}, "Apple's Numbers"),
        ({"_rels/.rels": "<R/>", "_RELS/.rels": "<R/>"}, "two parts of the same name"),
        ({"mimetype": "x", "content.xml": "<a/>"}, "OpenDocument"),
        ({"_rels/.rels": '<R xmlns="x"><Relationship Id="1" Type="x/officeDocument" Target="xl/workbook.bin"/></R>'},
         "is a binary Excel workbook (.xlsb)"),
        ({"_rels/.rels": '<R xmlns="x"><Relationship Id="1" Type="x/officeDocument" Target="word/document.xml"/></R>',
          "word/document.xml": "<document/>"}, "an Office file, but no workbook"),
        ({"_rels/.rels": "<R>"}, "the XML inside it is broken"),
        ({"_rels/.rels": '<!DOCTYPE a [<!ENTITY b "c">]><R>&b;</R>'}, "document type definition"),
    ],
)  # fmt: skip
def test_a_zip_file_that_is_no_workbook_is_named_for_what_it_is(
    tmp_path: Path, parts: dict[str, str], said: str
) -> None:
    """Other Office files, other formats in a zip file and hostile XML are told apart."""
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    assert said in fault(path).message


def test_a_workbook_that_unpacks_to_too_much_is_refused_unread(tmp_path: Path) -> None:
    """A small file that would fill the memory is refused before anything of it is unpacked."""
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b" " * (2 << 20))
    with pytest.raises(InputError, match="unpacks to more than 1 MB"):
        open_source(path, settings(max_unpacked_mb=1), name="a.xlsx")


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    """A workbook whose end is missing is damaged, wherever it was cut."""
    path = workbook(tmp_path / "a.xlsx", {"S": [["itemId", "label"], [1, "a"]]})
    content = path.read_bytes()
    for length in (len(content) - 1, len(content) // 2, 100, 4):
        path.write_bytes(content[:length])
        assert "damaged" in fault(path).message


@hypothesis_settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=20),
    part=st.sampled_from(
        ["xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/styles.xml", "xl/workbook.xml", None]
    ),
)
def test_any_damage_ends_in_a_sentence(tmp_path: Path, changes: list[tuple[int, int]], part: str | None) -> None:
    """Changed bytes, of the file or inside one of its parts, are either harmless or refused; nothing else is raised."""
    path = workbook(tmp_path / "a.xlsx", {"S": [["itemId", "label", "dueDay"], [1, "a", 1.5], [2, "b", "x"]]})
    if part is None:
        path.write_bytes(_changed(path.read_bytes(), changes))
    else:
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        parts[part] = _changed(parts.get(part, b"<sst/>"), changes)
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in parts.items():
                archive.writestr(name, content)
    try:
        rows = judged(open_table(path, endpoint(), settings(), name="a.xlsx"))
    except BatchUpdaterError as error:
        assert error.message.isprintable() or "\n" in error.message  # noqa: PT017  (harmless damage is allowed too)
    else:
        assert len(rows) <= 4


def _changed(content: bytes, changes: list[tuple[int, int]]) -> bytes:
    changed = bytearray(content)
    for position, byte in changes:
        changed[position % len(changed)] = byte
    return bytes(changed)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_only_the_compression_of_workbooks_is_taken(tmp_path: Path, method: int) -> None:
    """Other methods may ask for any amount of memory, and no spreadsheet program uses them."""
    path = workbook(tmp_path / "a.xlsx", {"S": [["itemId"]]})
    with zipfile.ZipFile(path) as packed, zipfile.ZipFile(tmp_path / "b.xlsx", "w", method) as again:
        for entry in packed.namelist():
            again.writestr(entry, packed.read(entry))
    assert "is compressed in a way" in fault(tmp_path / "b.xlsx").message


def test_a_protected_entry_is_called_so(tmp_path: Path) -> None:
    """A zip file with a password is not damaged."""
    path = workbook(tmp_path / "a.xlsx", {"S": [["itemId"]]})
    content = path.read_bytes()
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(signature)
        while at >= 0:
            content = content[: at + offset] + b"\x01" + content[at + offset + 1 :]
            at = content.find(signature, at + 1)
    path.write_bytes(content)
    assert "is protected by a password" in fault(path).message


def test_a_list_of_parts_without_end_is_refused(tmp_path: Path) -> None:
    """What a zip file's list takes in memory is many times its size in the file."""
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as packed:
        for number in range(40_000):
            packed.writestr(f"{number:0200d}", b"")
    assert "unreasonable number of files" in fault(tmp_path / "a.xlsx").message


@pytest.mark.parametrize(("name", "program"), [("~$a.xlsx", "Excel"), (".~lock.a.xlsx#", "LibreOffice")])
def test_the_note_beside_an_open_file_is_no_workbook(tmp_path: Path, name: str, program: str) -> None:
    """Named by mistake, it is refused with the file to name."""
    (tmp_path / name).write_text(",me,here,;")
    with pytest.raises(InputError, match=f"the note that {program} keeps"):
        open_source(tmp_path / name, settings(), name=name)
