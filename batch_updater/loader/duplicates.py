"""Which rows update the same record: found among a million rows in bounded memory."""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections import Counter
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from batch_updater.endpoint.description import ParameterLocation
from batch_updater.endpoint.request import written

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from batch_updater.endpoint.description import Endpoint, Field
    from batch_updater.records import Value

_DIGEST_BYTES = 16
_ROW_AND_SHAPE = struct.Struct(">II")
_RECORD_BYTES = _DIGEST_BYTES + _ROW_AND_SHAPE.size
_BUCKETS = 64
_MOST_PARTS = 256


class Targets:
    """Names the record that a row updates."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.record_name = endpoint.record_name
        selecting = [field for field in endpoint.fields if field.selects_record]
        selecting.sort(key=lambda field: field.location is not ParameterLocation.PATH)
        self._fields = tuple((field, f"{quote(field.name, safe='')}=") for field in selecting)
        self._parts: dict[str, str] = {}
        """Texts that were met -> how they stand in a target; types repeat down a column."""

    @property
    def first_field(self) -> Field | None:
        """The field to name when the same record occurs twice."""
        return self._fields[0][0] if self._fields else None

    def of(self, values: Mapping[str, Value]) -> str | None:
        """Return the target in the form of a query; None if the row does not say which record it is about.

        A field that is not sent counts as what the API takes for it, if the description says what that is.
        """
        parts = []
        for field, prefix in self._fields:
            value = values.get(field.name)
            if type(value) is int:
                parts.append(prefix + str(value))
                continue
            text = value if type(value) is str else field.default if value is None else written(field, value)
            if text is not None:
                parts.append(prefix + (self._parts.get(text) or self._part(text)))
            elif field.required:
                return None
        return "&".join(parts)

    def _part(self, text: str) -> str:
        part = quote(text, safe="")
        if len(self._parts) < _MOST_PARTS:
            self._parts[text] = part
        return part


class Sighting(NamedTuple):
    """One row that names a target which another row names too."""

    row: int
    shape: int
    """What `TargetIndex.add` was given."""


class TargetIndex:
    """The digests of all targets. 24 bytes a row while rows are added, afterwards only for those that occur twice."""

    def __init__(self) -> None:
        self._buckets = [bytearray() for _ in range(_BUCKETS)]
        self._has_doubled = True

    def add(self, target: str, row: int, shape: int) -> None:
        """Note that a row, the rows in ascending order, names a target; `shape` is handed back by `groups`."""
        digest = _digest(target)
        self._buckets[digest[0] % _BUCKETS] += digest + _ROW_AND_SHAPE.pack(row, shape)

    def keep_doubled(self) -> None:
        """Forget the targets that occur once and sort the others. Nothing may be added afterwards."""
        for number, bucket in enumerate(self._buckets):
            records = bytes(bucket)
            digests = [records[at : at + _DIGEST_BYTES] for at in range(0, len(records), _RECORD_BYTES)]
            doubled: list[bytes] = []
            if len(set(digests)) < len(digests):
                counts = Counter(digests)
                doubled = sorted(record for record in _records(bucket) if counts[record[:_DIGEST_BYTES]] > 1)
            self._buckets[number] = bytearray(b"".join(doubled))
        self._has_doubled = any(self._buckets)

    def groups(self) -> Iterator[tuple[Sighting, ...]]:
        """Yield the rows of each target that occurs more than once, in file order."""
        for bucket in self._buckets:
            group: list[bytes] = []
            for record in _records(bucket):
                if group and record[:_DIGEST_BYTES] != group[0][:_DIGEST_BYTES]:
                    yield tuple(map(_sighting, group))
                    group = []
                group.append(record)
            if group:
                yield tuple(map(_sighting, group))

    def others(self, target: str, row: int, most: int) -> tuple[int, ...]:
        """Return the first so many other rows of a target; none if it occurs once."""
        if not self._has_doubled:
            return ()
        digest = _digest(target)
        bucket = self._buckets[digest[0] % _BUCKETS]
        view = _Records(bucket)
        others: list[int] = []
        for index in range(bisect_left(view, digest), len(view)):
            record = view[index]
            if record[:_DIGEST_BYTES] != digest or len(others) == most:
                break
            if (number := _sighting(record).row) != row:
                others.append(number)
        return tuple(others)


class _Records:
    """A bucket as the sequence of its records."""

    def __init__(self, bucket: bytearray) -> None:
        self._bucket = bucket

    def __len__(self) -> int:
        return len(self._bucket) // _RECORD_BYTES

    def __getitem__(self, index: int) -> bytes:
        return bytes(self._bucket[index * _RECORD_BYTES : (index + 1) * _RECORD_BYTES])


def _records(bucket: bytearray) -> Iterator[bytes]:
    return (bytes(bucket[start : start + _RECORD_BYTES]) for start in range(0, len(bucket), _RECORD_BYTES))


def _sighting(record: bytes) -> Sighting:
    return Sighting(*_ROW_AND_SHAPE.unpack_from(record, _DIGEST_BYTES))


def _digest(target: str) -> bytes:
    return blake2b(target.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()
