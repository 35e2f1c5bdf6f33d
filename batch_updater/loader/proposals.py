"""An unknown header -> the fields that it may be meant for: by its spelling, by its words, by its column's values.

A column that passes here is not sent, although a person may have meant it to be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from functools import cache, cached_property
from typing import NamedTuple

from batch_updater.endpoint.description import Endpoint, Field, Kind, ParameterLocation
from batch_updater.endpoint.open_columns import field_of
from batch_updater.loader.column_values import ColumnValues, KnownNames
from batch_updater.loader.header_words import (
    ID,
    IDENTIFIER_WORDS,
    identifier_spellings,
    key_words,
    loose,
    plain,
    same_word,
    spaced,
    squeezed,
    stem,
    undecorated,
    words,
)
from batch_updater.loader.open_headers import canonical, near_open_name
from batch_updater.loader.refusal import shown
from batch_updater.records import Cell
from batch_updater.text.characters import look, skeleton, suggestion

_CLOSE = 0.8
"""Similarity from which on an unknown header may be a field's name mistyped."""
_SAME_WORD = 0.7
"""The same for the words in which it differs from that name, where it shares others with it."""
_AS_CLOSE = 0.02
"""Difference of two similarities that says nothing."""
_GENERAL = frozenset(
    map(stem, {*IDENTIFIER_WORDS, "name", "type", "kind", "date", "day", "time", "text", "value", "flag"})
)
"""Words, by their stems, that the names of many fields end with, so that the word before them is the telling one."""
_SHORTEST_WORD, _SHORTEST_IN_A_COMPOUND, _SHORTEST_REST = 3, 5, 3
_VALUES_QUOTED = 3


class Proposal(NamedTuple):
    """The fields that a header may be meant for, the likeliest first, and a sentence that says why."""

    fields: tuple[str, ...]
    sentence: str


class HeaderNames:
    """All headers that are understood, and the fields that each may mean."""

    def __init__(
        self, endpoint: Endpoint, further: Mapping[str, str | None], answers: Mapping[str, str | None]
    ) -> None:
        """`further` is `input.columns`: header -> field, or None for a column that is not sent.

        `answers` say the same of single columns of one file, whose headers they name as the file spells them.
        """
        self.endpoint = endpoint
        self._answers = canonical(endpoint, answers)
        self.further = further = canonical(endpoint, further)
        self._exactly = {plain(header): name for header, name in further.items()} | dict(further)
        self._further = _grouped((squeezed(header), name) for header, name in further.items())
        spellings = [
            (spelling, field.name) for field in endpoint.fields for spelling in (spaced(field.name), *field.aliases)
        ]
        self._aliases = _grouped((loose(spelling), name) for spelling, name in spellings)
        names = [(field.name, field.name) for field in endpoint.fields]
        self._squeezed = _grouped((squeezed(spelling), name) for spelling, name in (*names, *spellings))

    def with_fields_of(self, endpoint: Endpoint) -> HeaderNames:
        """Return the same names for an endpoint with more fields."""
        return self if endpoint is self.endpoint else HeaderNames(endpoint, self.further, self._answers)

    def is_told(self, header: str, name: str) -> bool:
        """Whether a person has said what a header means, in an answer or in the configuration."""
        told = name in self._answers or plain(header) in self._exactly or squeezed(header) in self._further
        return told or header in self._exactly

    def meanings(self, header: str, name: str = "") -> tuple[str | None, ...]:
        """Return what a header may mean: fields, and None for a column that is not sent; empty if it is unknown.

        `name` is what answers call the column where others have the same header.
        """
        if (name or header) in self._answers:
            return (self._answers[name or header],)
        for text in (header, plain(header)):
            if text in self._exactly:
                return (self._exactly[text],)
        if plain(header) in self.endpoint.by_name:
            return (plain(header),)
        if found := (
            self._further.get(squeezed(header))
            or self._aliases.get(loose(header))
            or self._squeezed.get(squeezed(header))
        ):
            return found
        of_open_part = field_of(self.endpoint, plain(header))
        return (of_open_part.name,) if of_open_part else ()


def _grouped(pairs: Iterable[tuple[str, str | None]]) -> dict[str, tuple[str | None, ...]]:
    found: dict[str, tuple[str | None, ...]] = {}
    for key, name in pairs:
        found[key] = tuple(dict.fromkeys((*found.get(key, ()), name)))
    return found


class Proposals:
    """Finds out what the unknown headers of one header row may be meant for."""

    def __init__(
        self, understood: HeaderNames, fed: Collection[str], rows: Sequence[Sequence[Cell]], names: KnownNames
    ) -> None:
        """`fed` are the fields that have a column or a constant; `rows` are the first ones below the headers."""
        self._understood = understood
        self._endpoint = understood.endpoint
        self._fed = fed
        self._rows = rows
        self._names = cache(names)
        further = understood.further.items()
        self._spellings = [
            (field, spelling)
            for field in self._endpoint.fields
            for spelling in dict.fromkeys(
                (
                    field.name,
                    spaced(field.name),
                    *field.aliases,
                    *(text for text, name in further if name == field.name),
                )
            )
        ]
        self._free = [field for field in self._endpoint.fields if field.name not in fed]

    def of(self, header: str, position: int) -> Proposal | None:
        """Return what an unknown header may be meant for; None if there is no sign that it is meant for anything."""
        column = ColumnValues.of(self._rows, position)
        return self.by_header(header, column) or self._by_values(header, column)

    def by_header(self, header: str, column: ColumnValues) -> Proposal | None:
        """Return the same as far as the header itself says it."""
        if (name := near_open_name(self._endpoint, header)) and (meant := field_of(self._endpoint, name)):
            return self._proposal(header, [meant], "close to", ".")
        bare, own = undecorated(header), key_words(header)
        named = self._plausible(self._by_name(header, bare, own), column)
        fields = self._nearest_by_case(bare or header, named)
        if not fields and own:
            # It may be what the names of several fields begin with.
            names = [(field, name) for field, name in self._key_words if len(name) > len(own)]
            sharing = [field for field, name in names if _are_same(own, name[: len(own)])]
            if len(sharing) > 1:
                fields = [field for field in sharing if field.name not in self._fed and not column.contradict(field)]
        if not fields:
            ratios = self._ratios(header)
            if bare != header:  # Type (internal) is a column of its own beside Type
                ratios |= {name: ratio for name, ratio in self._ratios(bare).items() if name not in self._fed}
            close = self._plausible([field for field in self._endpoint.fields if field.name in ratios], column)
            nearest = max((ratios[field.name] for field in close), default=0.0)
            close = [field for field in close if ratios[field.name] >= nearest - _AS_CLOSE]
            fields = self._nearest_by_case(bare or header, close)
        if fields:
            fields = self._ranked(fields)
            spellings = [spelling for field, spelling in self._spellings if field.name == fields[0].name]
            characters = "" if bare.isascii() else suggestion(bare, spellings).other_characters
            return self._proposal(header, fields, "close to", ".", characters, told_apart(fields, column))
        if fields := self._by_short_form(own, column):
            return self._proposal(header, fields, "may be meant for", ", which no column feeds.")
        return self._by_words(header, column, is_identifier=own[-1:] == (ID,))

    def _by_name(self, header: str, bare: str, own: tuple[str, ...]) -> list[Field]:
        """Return the fields whose name the header is but for marks, synonyms of `id`, and letters that look alike."""
        found = self._understood.meanings(bare) if bare else ()
        titles = {bare.casefold(), header.casefold()}
        names = (
            found
            or self._identifiers.get("".join(own), ())
            or [field.name for field in self._free if field.title.casefold() in titles]
        )
        if fields := [field for field in self._free if field.name in names]:
            return fields
        # A header of ASCII alone may look so by chance: it is held against the free fields.
        alike = self._looks.get(look(bare)) or self._looks.get(squeezed(skeleton(bare)), ())
        return [field for field in (self._free if bare.isascii() else self._endpoint.fields) if field.name in alike]

    @cached_property
    def _key_words(self) -> list[tuple[Field, tuple[str, ...]]]:
        return [(field, key_words(field.name)) for field in self._endpoint.fields]

    @cached_property
    def _identifiers(self) -> dict[str, tuple[str | None, ...]]:
        """Names that end with a word for an identifier, with each such word -> fields."""
        return _grouped((key, field.name) for field, text in self._spellings for key in identifier_spellings(text))

    @cached_property
    def _looks(self) -> dict[str, tuple[str | None, ...]]:
        """What names look like, in their own case and without regard to case -> fields."""
        exact = ((look(field.name), field.name) for field in self._endpoint.fields)
        return _grouped((*((squeezed(skeleton(text)), field.name) for field, text in self._spellings), *exact))

    def _by_short_form(self, own: tuple[str, ...], column: ColumnValues) -> list[Field]:
        """Return the free fields whose name the header is in short: `Opp Id`, `Dept` for departmentName, `Id` alone."""
        is_identifier = own[-1:] == (ID,)
        # Words in front of an identifier's name say whose it is: `CRM Opp. No.` is an opportunity's too.
        names = {
            field.name
            for field, name in self._short_forms
            if _are_same(own[-len(name) :] if name[-1] == ID else own, name)
        }
        in_path = [field for field in self._endpoint.fields if field.location is ParameterLocation.PATH]
        if len(in_path) == 1 and is_identifier:  # `Id` alone, or with the record's own word, is that of the record
            record = tuple(word.casefold() for word in words(self._endpoint.record_name))
            if len(own) == 1 or _are_same(own[:-1], record):
                names.add(in_path[0].name)
        fields = [field for field in self._free if field.name in names]
        return self._plausible(fields, column) if is_identifier else [f for f in fields if not column.contradict(f)]

    @cached_property
    def _short_forms(self) -> list[tuple[Field, tuple[str, ...]]]:
        """The fields with the words of their names, whole and without general ones at the end."""
        forms = []
        for field, spelling in self._spellings:
            name = key_words(spelling)
            if len(name) > 1:
                forms.append((field, name))
            while name and name[-1] != ID and stem(name[-1]) in _GENERAL:
                name = name[:-1]
            if name and name[-1] != ID and not self._shared.issuperset(map(stem, name)):
                forms.append((field, name))
        return forms

    def _ratios(self, text: str) -> dict[str, float]:
        """Return how similar a text is to the names of fields, without regard to case; only where it is close."""
        ratios: dict[str, float] = {}
        matcher = SequenceMatcher(None, "", text.casefold())
        for field, spelling in self._spellings:
            matcher.set_seq1(spelling.casefold())
            if matcher.real_quick_ratio() < _CLOSE or matcher.quick_ratio() < _CLOSE:
                continue
            ratio = matcher.ratio()
            if ratio >= _CLOSE and not _differs_in_a_word(text, spelling):
                ratios[field.name] = max(ratio, ratios.get(field.name, ratio))
        return ratios

    def _plausible(self, fields: list[Field], column: ColumnValues) -> list[Field]:
        """Leave out the fields that the values contradict, unless they contradict all."""
        return [field for field in fields if not column.contradict(field)] or fields

    def _nearest_by_case(self, bare: str, fields: list[Field]) -> list[Field]:
        """Return the fields whose names are nearest in the case of their letters, where the header has any."""
        exact = [field for field in fields if field.name == bare]
        if exact or len(fields) < 2:
            return exact or fields
        if " " in bare or "_" in bare or bare in {bare.lower(), bare.upper()}:
            return fields
        ratios = {field.name: SequenceMatcher(None, field.name, bare).ratio() for field in fields}
        nearest = max(ratios.values())
        return [field for field in fields if ratios[field.name] > nearest - _AS_CLOSE / 2]

    def _ranked(self, fields: list[Field]) -> list[Field]:
        """Return the fields that every row needs and no column feeds first, and those that a column feeds last."""
        return sorted(fields, key=lambda field: (field.name in self._fed, not field.required))

    def _proposal(self, header: str, fields: list[Field], before: str, after: str, *more: str) -> Proposal:
        """Return the proposal of some fields, whose sentence has their names between `before` and `after`."""
        names = tuple(field.name for field in self._ranked(fields))
        sentence = f"{shown(header, quoted=True)} is not the name of a field, but {before} {' or '.join(names)}{after}"
        return Proposal(names, " ".join(filter(None, (sentence, *more))))

    @cached_property
    def _shared(self) -> frozenset[str]:
        """Words, by their stems, that tell nothing: those of several fields, and those of the record."""
        stems = [{stem(word) for word in words(field.name)} for field in self._endpoint.fields]
        count = Counter(word for found in stems for word in found)
        record = map(stem, words(self._endpoint.record_name))
        return frozenset(word for word, times in count.items() if times > 1).union(record)

    @cached_property
    def _telling(self) -> list[tuple[Field, list[tuple[str, str]]]]:
        """The free fields with the words that only their names have, and what the stems of these look like."""
        telling = []
        for field in self._free:
            own = [
                (word, skeleton(stem(word)))
                for word in words(field.name)
                if len(word) >= _SHORTEST_WORD and word.isalpha() and stem(word) not in self._shared | _GENERAL
            ]
            if own:
                telling.append((field, own))
        return telling

    def _by_words(self, header: str, column: ColumnValues, *, is_identifier: bool) -> Proposal | None:
        """Return the free fields of whose names a telling word is in the header: Region of RegionName."""
        looks = {word: skeleton(stem(word)) for word in words(header)}
        found = {}
        for field, own in self._telling:
            # The last word always tells. Others do where the values fit: List for ListPrice, but not List of owners.
            *others, (last, last_look) = own
            is_amount_id = is_identifier and field.kind is Kind.DECIMAL
            for word, seen in looks.items():
                is_long = len(last) >= _SHORTEST_IN_A_COMPOUND and len(seen) >= len(last_look) + _SHORTEST_REST
                first = next((telling for telling, its_look in others if its_look == seen), None)
                if seen == last_look or (is_long and (seen.startswith(last_look) or seen.endswith(last_look))):
                    found[field.name] = (word, last)
                elif first and column.cells and not is_amount_id and not column.contradict_kind_of(field):
                    found.setdefault(field.name, (word, first))
        if not found:
            return None
        fields = self._ranked([field for field in self._free if field.name in found])
        typed, meant = found[fields[0].name]
        characters = "" if header.isascii() else suggestion(typed, [meant]).other_characters
        return self._proposal(header, fields, "may be meant for", ", which no column feeds.", characters)

    def _by_values(self, header: str, column: ColumnValues) -> Proposal | None:
        # A header that is such a value itself is none: the file begins with its first record.
        own = ColumnValues((header,))
        dates = [field for field in self._free if field.kind is Kind.DATE]
        if len(dates) == 1 and column.are_dates and not own.are_dates:
            return self._proposal(header, dates, "holds dates, and no column feeds", ".")
        fields = []
        for field in self._free if column.cells else ():
            names: list[str] = []
            if field.kind is Kind.TEXT and field.enum:
                names = [str(value) for value in field.enum]
            elif field.allowed is not None:
                names = [
                    value.name for listed in self._names() if listed.field == field.name for value in listed.values
                ]
            if names and column.are_among(names) and not own.are_among(names):
                fields.append(field)
        if not fields:
            return None
        quoted = ", ".join(shown(cell, quoted=True) for cell in dict.fromkeys(column.cells[:_VALUES_QUOTED]))
        return self._proposal(header, fields, "holds values of", f" ({quoted}), which no column feeds.")


def told_apart(fields: Sequence[Field], column: ColumnValues) -> str:
    """Return what each of several fields is, and the first value of the column, to choose by; '' of a single field."""
    if len(fields) < 2:
        return ""
    what = ", ".join(f"{field.name} is the {field.title}" for field in fields if field.title != field.name)
    first = f"the column begins with {shown(column.cells[0], quoted=True)}" if column.cells else ""
    told = "; ".join(filter(None, (what, first)))
    return f"{told[:1].upper()}{told[1:]}." if told else ""


def _are_same(some: tuple[str, ...], others: tuple[str, ...]) -> bool:
    return len(some) == len(others) and all(map(same_word, some, others))


def _differs_in_a_word(header: str, spelling: str) -> bool:
    """Whether a header has words in common with a spelling, and the others are no misspellings of one another."""
    mine, others = [word.casefold() for word in words(header)], [word.casefold() for word in words(spelling)]
    rest = [word for word in mine if word not in others]
    wanted = [word for word in others if word not in mine]
    if len(rest) == len(mine) or not rest or not wanted:
        return False
    return SequenceMatcher(None, "".join(rest), "".join(wanted)).ratio() < _SAME_WORD
