"""What a worksheet's XML says beside its rows: hidden columns, and merged areas, which come after the rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import IO

from batch_updater.loader.formats.book import (
    LAST_COLUMN,
    LAST_ROW,
    MOST_AREAS,
    SAVE_AGAIN,
    Area,
    Layout,
    UnreadableError,
    column_position,
    too_many_areas,
)
from batch_updater.loader.formats.long_part import LongPart
from batch_updater.loader.formats.office_book import NAMESPACES
from batch_updater.loader.formats.safe_xml import safe_parser

_DATA, _COLUMNS, _AREAS = (
    {f"{namespace} {name}" for namespace in NAMESPACES} for name in ("sheetData", "col", "mergeCell")
)
_REFERENCE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})(?::([A-Z]{1,3})([0-9]{1,7}))?")


def layout_of(stream: IO[bytes]) -> Layout:
    """Return the layout of a worksheet. Its rows, which are nearly all of it, are not parsed where that is safe."""
    merged: list[Area] = []
    hidden: list[range] = []
    in_data = False
    seen = 0

    def start(name: str, attributes: Mapping[str, str]) -> None:
        nonlocal in_data, seen
        in_data = in_data or name in _DATA
        seen += name in _AREAS or name in _COLUMNS
        if seen > MOST_AREAS:
            raise too_many_areas()
        if name in _AREAS:
            merged.append(area_of(attributes.get("ref", "")))
        elif name in _COLUMNS and (attributes.get("hidden") in {"1", "true"} or attributes.get("width") == "0"):
            first, last = int(attributes.get("min", "0")), int(attributes.get("max", "0"))
            if 1 <= first <= last:
                hidden.append(range(first - 1, min(last, LAST_COLUMN)))

    for _ in LongPart(safe_parser(start), "sheetData", "row", is_open=lambda: in_data).elements(stream):
        pass
    return Layout(tuple(merged), tuple(hidden))


def area_of(reference: str) -> Area:
    """Return the area of a reference such as `B2:C4` or `B2`. Raises UnreadableError if it is none."""
    found = _REFERENCE.fullmatch(reference)
    if found is not None:
        left, top, right, bottom = found[1], found[2], found[3] or found[1], found[4] or found[2]
        area = Area(int(top), int(bottom), column_position(left), column_position(right))
        if 1 <= area.first_row <= area.last_row <= LAST_ROW and area.first_column <= area.last_column < LAST_COLUMN:
            return area
    raise UnreadableError(f"has a merged area {reference[:20]!r}, which is none", SAVE_AGAIN)
