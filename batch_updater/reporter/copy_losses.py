"""What an annotated copy of a workbook would lose: openpyxl writes back only what it knows.

Everything is read from the package itself (ECMA-376 parts 1 and 2), before openpyxl opens it. Not listed is what Excel
makes again by itself: the calculation chain, the private settings of a printer's driver, the preview picture.
"""

from __future__ import annotations

import importlib.util
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn
from xml.parsers import expat

import msgspec

MOST_CELLS = 500_000
"""Of a copy with so many openpyxl keeps some 350 MB in memory, and takes 12 to 16 s of CPU."""
MACROS = "xl/vbaProject.bin"
"""The part that holds macros; openpyxl knows it by this name alone."""
_CHUNK_BYTES = 1 << 16
_ENCRYPTED = b"\xd0\xcf\x11\xe0"
_ONLY = "only .xlsx and .xlsm files can be annotated."
_PILLOW = importlib.util.find_spec("PIL") is not None
_MAIN = re.compile(r"(spreadsheetml\.(sheet|template)|ms-excel\.(sheet|template)\.macroenabled)\.main\+xml$")
_AREA = re.compile(r"\$?([A-Z]{1,3})\$?(\d+):\$?([A-Z]{1,3})\$?(\d+)")
_CONTROL = re.compile(rb"""ObjectType\s*=\s*["'](?!Note["'])""")
_CHANGED = b"x005F_"
"""openpyxl drops this from texts, where it escapes an underscore (ST_Xstring, ECMA-376 part 1, 22.9.2.19)."""

_SHAPES, _CONTROLS, _EMBEDDED = "shapes and text boxes", "buttons and other controls", "embedded objects"
_PICTURES = "cropping and effects of pictures" if _PILLOW else "pictures"
_IGNORED, _EDITABLE = "warnings of cells that were switched off", "ranges of a protected sheet that may be edited"
_LINKED = "dynamic arrays and linked data types"
_LOST_PARTS = {
    "threadedcomment|/persons/|.person+": "replies in threaded comments",
    "slicer": "slicers",
    "timeline": "timelines",
    "pivot": "the saved data and some formatting of pivot tables",
    "connections|querytable|datamashup": "data connections",
    "chartshapes": _SHAPES,
    "chartex|chart+xml": "part of the formatting of charts",
    "diagram": "SmartArt",
    "/ink/|.inkml": "ink",
    ".emf |.wmf |.svg ": "pictures in EMF, WMF or SVG",
    "sheetmetadata|richdata|rdrichvalue|rdarray": _LINKED,
    "/model/": "the data model",
    "embeddings/|oleobject": _EMBEDDED,
    "ctrlprop|controlproperties|activex": _CONTROLS,
    "customui/": "buttons of its own in the ribbon",
    "webextension|taskpane": "add-ins",
    "labelinfo|classificationlabel": "its sensitivity label",
    "digital-signature|_xmlsignatures/": "its digital signature",
    "vbaprojectsignature": "the signature of its macros",
    "revision|usernames": "the history of a shared workbook",
    "macrosheet|dialogsheet": "macro sheets and dialogs of Excel 4 and 5",
    "xmlmaps|tablesinglecells": "XML maps",
    "customxml": "custom XML data",
    "featurepropertybag": "check boxes in cells",
    "namedsheetview": "sheet views",
    "customproperty": "custom properties of sheets",
}
"""What a part's name or content type contains, in small letters -> what is lost with it; the first that fits."""
_KEPT_PARTS = (
    "[content_types]|.rels |main+xml|/worksheets/|worksheet+xml|chartsheet+xml|sharedstrings|styles.|styles+|theme|"
    "properties+xml|docprops/|comments+xml|vmldrawing|table+xml|drawing+xml|externallink|xl/vbaproject.bin |"
    "chartstyle|chartcolorstyle| image/|calcchain|printersettings|volatiledependencies"
)
_LOST_ELEMENTS = {
    "control": _CONTROLS,
    "oleObject": _EMBEDDED,
    "picture": "the picture behind a sheet",
    "legacyDrawingHF": "pictures in headers and footers",
    "customSheetView": "custom views",
    "protectedRange": _EDITABLE,
    "ignoredError": _IGNORED,
    "cellWatch": "watched cells",
    "smartTags": "smart tags",
    "webPublishItem": "settings for web pages",
    "dataConsolidate": "consolidation settings",
    "rPh": "phonetic guides",
    "fileSharing": "the recommendation to open it for reading only",
    "sp": _SHAPES,
    "cxnSp": _SHAPES,
    "grpSp": _SHAPES,
    "contentPart": "ink",
    "pic": _PICTURES,
}
"""Element of a sheet, the workbook, the shared strings or a drawing -> what is lost with it."""
_EXTENSIONS = {
    "{CCE6A557-97BC-4B89-ADB6-D9C93CAAB3DF}": "drop-down lists and validations that refer to other sheets",
    "{78C0D931-6437-407D-A8EE-F0AAD7539E65}": "conditional formats of newer versions of Excel",
    "{05C60535-1F16-4FD2-B633-F4F36F0B64E0}": "sparklines",
    "{A8765BA9-456A-4DAB-B4F3-ACF838C121DE}": "slicers",
    "{3A4CF648-6AED-40F4-86FF-DC5316D8AED3}": "slicers",
    "{7E03D99C-DC04-49D9-9315-930204A7B6E9}": "timelines",
    "{FC87AEE6-9EDD-4A0A-B7FB-166176984837}": _EDITABLE,
    "{01252117-D84E-4E92-8308-4BE1C098FCBB}": _IGNORED,
    "{F7C9EE02-42E1-4005-9D12-6889AFFD525C}": "add-ins",
    "{B025F937-C7B1-47D3-B67F-A62EFF666E3E}": "",  # of a rule: names the extension that holds the rest of it
}
"""Extension of a worksheet ([MS-XLSX] 2.3.1) -> what is lost with it."""
_NEWER = "settings that only newer versions of Excel know"


class Annotatable(msgspec.Struct, frozen=True):
    """Whether a file can be annotated, and what the copy would lose."""

    suffix: str = ".xlsx"
    refusal: str = ""
    """Why it cannot; '' if it can."""
    losses: tuple[str, ...] = ()

    @property
    def lost(self) -> str:
        """What the copy would lose, as part of a sentence: `shapes and text boxes, slicers and sparklines`."""
        *first, last = self.losses
        return f"{', '.join(first)} and {last}" if first else last

    def note(self, *, may_lose: bool) -> str:
        """Return what a person should know of the copy; '' if there is nothing. `may_lose`: they agreed to the loss."""
        if self.refusal:
            return f"There is no annotated copy: {self.refusal}"
        if not self.losses:
            return ""
        if may_lose:
            return f"The annotated copy lacks {self.lost}. The original is as it was."
        return f"There is no annotated copy, because it would lose {self.lost}. With --yes it is written anyway."


class _RefusedError(Exception):
    """Why there can be no copy, as part of a sentence."""


def examine(path: Path, *, most_cells: int = MOST_CELLS) -> Annotatable:
    """Look through a file for what an annotated copy would lose. Raises OSError."""
    with path.open("rb") as stream:
        is_encrypted = stream.read(len(_ENCRYPTED)) == _ENCRYPTED and path.suffix.lower() in {".xlsx", ".xlsm"}
    if is_encrypted:
        return Annotatable(refusal="the file is encrypted. Save it without a password.")
    try:
        with zipfile.ZipFile(path) as archive:
            examination = _Examination(archive, most_cells)
            return Annotatable(examination.suffix, losses=tuple(examination.losses()))
    except _RefusedError as refused:
        return Annotatable(refusal=str(refused))
    except zipfile.BadZipFile:
        return Annotatable(refusal=_ONLY)
    except (expat.ExpatError, zlib.error, EOFError, LookupError, RuntimeError, ValueError) as error:
        return Annotatable(refusal=f"the workbook is damaged ({error}).")


class _Examination:
    def __init__(self, archive: zipfile.ZipFile, most_cells: int) -> None:
        self._archive = archive
        self._most_cells = most_cells
        self._defaults: dict[str, str] = {}
        self._overrides: dict[str, str] = {}
        self._losses: dict[str, None] = {}
        self._cells = self._rows = self._results = 0
        self._is_formula = False
        if "[Content_Types].xml" not in archive.namelist():
            raise _RefusedError(_ONLY)
        self._scan("[Content_Types].xml", self._content_type)
        if not any(map(_MAIN.search, self._overrides.values())):
            raise _RefusedError(_ONLY)
        self.suffix = ".xlsm" if MACROS in archive.namelist() else ".xlsx"

    def losses(self) -> list[str]:
        """Return what is lost, each once."""
        for name in self._archive.namelist():
            if name.endswith("/"):
                continue
            kind = self._overrides.get(name.lower()) or self._defaults.get(name.lower().rpartition(".")[2], "")
            described = f"{name.lower()} {kind}"
            lost = next((words for parts, words in _LOST_PARTS.items() if _holds(described, parts)), None)
            if lost is not None:
                # A signed workbook without its signature says so; the relationships of a lost part go with it.
                self._lose(lost)
            elif not _holds(described, _KEPT_PARTS):
                self._lose("macros" if "vbaproject" in described else f"its part {name}")
            if kind.endswith("vmldrawing"):
                if _CONTROL.search(self._archive.read(name)):
                    self._lose(_CONTROLS)
            elif kind.endswith("worksheet+xml") or "/worksheets/sheet" in described:
                self._scan(name, self._sheet_element)
            elif kind.endswith(("pivotcacherecords+xml", "externallink+xml")):
                self._scan(name, lambda *_: self._count(1))
            elif kind.endswith(("main+xml", "drawing+xml", "sharedstrings+xml")):
                self._scan(name, self._element)
        if self._results:
            formulas = "a formula" if self._results == 1 else f"{self._results:,} formulas"
            self._lose(f"the saved results of {formulas} (open the copy in Excel and save it before you run it)")
        return list(self._losses)

    def _lose(self, words: str) -> None:
        if words:
            self._losses[words] = None

    def _scan(self, name: str, start: Callable[[str, dict[str, str]], None]) -> None:
        parser, end = expat.ParserCreate(), b""
        parser.StartElementHandler, parser.StartDoctypeDeclHandler = start, _refuse_dtd
        with self._archive.open(name) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                if _CHANGED in end + chunk:
                    raise _RefusedError(f"a text with {_CHANGED.decode()} would be changed in it.")
                end = chunk[-len(_CHANGED) :]
                parser.Parse(chunk)
        parser.Parse(b"", True)

    def _content_type(self, tag: str, attributes: Mapping[str, str]) -> None:
        kind = attributes.get("ContentType", "").lower()
        if tag.endswith("Override"):
            self._overrides[attributes.get("PartName", "").lstrip("/").lower()] = kind
        elif tag.endswith("Default"):
            self._defaults[attributes.get("Extension", "").lower()] = kind

    def _element(self, tag: str, attributes: Mapping[str, str]) -> None:
        local = tag.rpartition(":")[2]
        if local in _LOST_ELEMENTS:
            self._lose(_LOST_ELEMENTS[local])
        elif local == "workbook" and any("//purl.oclc.org/ooxml/" in value for value in attributes.values()):
            raise _RefusedError("the workbook is in Strict Open XML. Save it as Excel workbook (.xlsx).")

    def _sheet_element(self, tag: str, attributes: Mapping[str, str]) -> None:
        local = tag.rpartition(":")[2]
        if local == "c":
            self._is_formula = False
            self._count(1)
            if "cm" in attributes or "vm" in attributes:
                self._lose(_LINKED)
        elif local == "v":
            self._results += self._is_formula
        elif local == "f":
            self._is_formula = True
        elif local == "row":
            self._rows += 1  # openpyxl keeps as much for a row with a height as for a cell
            if self._rows > self._most_cells:
                self._count(self._rows)
        elif local in {"mergeCell", "hyperlink"}:  # openpyxl makes every cell of the area
            if area := _AREA.fullmatch(attributes.get("ref", "")):
                left, top, right, bottom = area.groups()
                self._count((_number(right) - _number(left) + 1) * (int(bottom) - int(top) + 1))
        elif local == "ext":
            self._lose(_EXTENSIONS.get(attributes.get("uri", "").upper(), _NEWER))
        else:
            self._element(tag, attributes)

    def _count(self, cells: int) -> None:
        self._cells += cells
        if self._cells > self._most_cells:
            raise _RefusedError(f"the workbook has more than {self._most_cells:,} cells.")


def _holds(described: str, parts: str) -> bool:
    return any(part in described for part in parts.split("|"))


def _number(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number


def _refuse_dtd(*_: object) -> NoReturn:
    raise _RefusedError("it holds a document type definition, which no spreadsheet program writes.")
