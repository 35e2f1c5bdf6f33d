"""What a worksheet's XML says beside its rows: merged areas, which stand behind the rows, and hidden columns."""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING

from batch_updater.loader.formats.book import (
    LAST_COLUMN,
    LAST_ROW,
    MOST_AREAS,
    Area,
    Layout,
    UnreadableError,
    column_position,
    too_many_areas,
)
from batch_updater.loader.formats.package import (
    DEEPEST,
    NAMESPACES,
    OTHER_ENCODING,
    SAVE_AGAIN,
    Feeder,
    parse,
    safe_parser,
    too_deep,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from xml.parsers import expat

_CHUNK_BYTES = 1 << 16
_MOST_BEFORE_ROWS = 1 << 20
_START_OF_ROWS = re.compile(rb"<((?:[A-Za-z_][A-Za-z0-9_.-]*:)?sheetData)>")
_REFERENCE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})(?::([A-Z]{1,3})([0-9]{1,7}))?")


def read_layout(open_part: Callable[[], AbstractContextManager[IO[bytes]]]) -> Layout:
    """Return the layout of a worksheet, without parsing its rows where that is safe: they are nearly all of it."""
    collector = _Collector()
    with open_part() as stream:
        if _parse_without_rows(stream, collector.parser):
            return collector.layout()
    collector = _Collector()
    with open_part() as stream:
        parse(stream, collector.parser)
    return collector.layout()


def _parse_without_rows(stream: IO[bytes], parser: expat.XMLParserType) -> bool:
    """Parse what stands before and after the rows. Returns False if the bytes alone cannot tell where they end.

    They can if they are UTF-8 without comments, CDATA or processing instructions: `<` is then always a tag's.
    """
    kept = b""
    while (start := _START_OF_ROWS.search(kept)) is None:
        chunk = stream.read(_CHUNK_BYTES)
        kept += chunk
        if not chunk:
            parser.Parse(kept, True)
            return True
        if len(kept) > _MOST_BEFORE_ROWS:
            return False
    head, rest, end_of_rows = kept[: start.end()], kept[start.end() :], b"</" + start[1] + b">"
    if OTHER_ENCODING.match(head) or b"<!" in head or b"<?" in head[1:]:
        return False
    feeder = Feeder(parser)
    feeder.feed(head)
    while (end := rest.find(end_of_rows)) < 0:
        if b"<!" in rest or b"<?" in rest:
            return False
        chunk = stream.read(_CHUNK_BYTES)
        if not chunk:
            return False
        rest = rest[-len(end_of_rows) :] + chunk
    if b"<!" in rest[:end] or b"<?" in rest[:end]:
        return False
    feeder.feed(rest[end:])
    feeder.feed_all(stream)
    return True


class _Collector:
    """Gathers the layout from the events of a parser."""

    def __init__(self) -> None:
        self._seen = 0
        self._depth = 0
        self._merged: list[Area] = []
        self._hidden: list[range] = []
        self._columns = {f"{namespace} col" for namespace in NAMESPACES}
        self._areas = {f"{namespace} mergeCell" for namespace in NAMESPACES}
        self.parser = safe_parser()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end

    def layout(self) -> Layout:
        return Layout(tuple(self._merged), tuple(self._hidden))

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise too_deep()
        self._seen += name in self._areas or name in self._columns
        if self._seen > MOST_AREAS:
            raise too_many_areas()
        if name in self._areas:
            self._merged.append(area_of(attributes.get("ref", "")))
        elif name in self._columns and (attributes.get("hidden") in {"1", "true"} or attributes.get("width") == "0"):
            first, last = int(attributes.get("min", "0")), int(attributes.get("max", "0"))
            if 1 <= first <= last:
                self._hidden.append(range(first - 1, min(last, LAST_COLUMN)))

    def _end(self, _: str) -> None:
        self._depth -= 1


def area_of(reference: str) -> Area:
    """Return the area of a reference such as `B2:C4` or `B2`. Raises UnreadableError if it is none."""
    found = _REFERENCE.fullmatch(reference)
    if found is not None:
        left, top, right, bottom = found[1], found[2], found[3] or found[1], found[4] or found[2]
        area = Area(int(top), int(bottom), column_position(left), column_position(right))
        if 1 <= area.first_row <= area.last_row <= LAST_ROW and area.first_column <= area.last_column < LAST_COLUMN:
            return area
    raise UnreadableError(f"has a merged area {reference[:20]!r}, which is none", SAVE_AGAIN)
