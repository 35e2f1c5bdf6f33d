"""Valid names learned from the API's answers, and jobs judged by them.

A name is never corrected for the user, not even its case, and a name that differs from a valid one in nothing but
case, surrounding blanks and Unicode composition is left to the API to judge: the result may not depend on which row
came first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import TYPE_CHECKING, TypeAlias

from batch_updater.records import AllowedList, AllowedValue, Problem
from batch_updater.text.characters import composed, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from batch_updater.endpoint.description import AllowedNames, Endpoint, Field
    from batch_updater.records import Job

_Key: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]
_NAMES_IN_A_REMEDY = 12
_CHARACTERS_OF_A_NAME = 100
"""Of one that is listed in a remedy, which is kept for every row."""


def _folded(name: str) -> str:
    return composed(name).strip().casefold()


@dataclass(frozen=True)
class _Known:
    """One list, indexed."""

    list: AllowedList
    folded: frozenset[str]
    ids: Mapping[str, int | str]
    """By the composed name."""


def _known(allowed: AllowedList) -> _Known:
    ids = {composed(value.name): value.id for value in allowed.values if value.id is not None}
    return _Known(allowed, frozenset(_folded(value.name) for value in allowed.values), ids)


@dataclass(frozen=True)
class AllowedValues:
    """The valid names known so far, keyed by field and by what the list depends on. Immutable."""

    endpoint: Endpoint
    _lists: Mapping[_Key, _Known] = dataclass_field(default_factory=dict)

    @classmethod
    def of(cls, endpoint: Endpoint, lists: Iterable[AllowedList]) -> AllowedValues:
        """Return what is known if these lists are."""
        return cls(endpoint, {(names.field, names.depends_on): _known(names) for names in lists})

    @property
    def lists(self) -> tuple[AllowedList, ...]:
        """Every list, in the order in which they were learned."""
        return tuple(known.list for known in self._lists.values())

    def learn(self, job: Job, answer: object) -> AllowedValues:
        """Return what is known after this error answer to this job; an empty or missing list teaches nothing.

        `answer` is the parsed JSON, whatever it is.
        """
        if not isinstance(answer, Mapping):
            return self
        learned = {}
        for described in self.endpoint.fields:
            if described.allowed and (values := _values(described.allowed, answer)):
                key = self.key_of(described, job)
                learned[key] = _known(AllowedList(described.name, key[1], values))
        return AllowedValues(self.endpoint, {**self._lists, **learned}) if learned else self

    def judge(self, job: Job) -> tuple[Problem, ...]:
        """Return a problem for each name of the job that the API is known not to accept."""
        if not self._lists:
            return ()
        return tuple(
            self._problem(described, job.row, name, known)
            for described, name, known in self._names_in(job)
            if _folded(name) not in known.folded
        )

    def blame(self, job: Job, said: str, said_of: Mapping[str, str]) -> tuple[Problem, ...]:
        """Return a problem for each name for which the API may have refused the job, in these words: '' if in none.

        That is a name that is not listed. One that is listed in other letters counts only if the words are about it.
        `said_of`: field name -> those of the words that are about that field; they are then the reason.
        """
        return tuple(
            self._problem(described, job.row, name, known, said, said_of.get(described.name, ""))
            for described, name, known in self._names_in(job)
            if all(composed(name) != composed(value.name) for value in known.list.values)
            and (_folded(name) not in known.folded or not said or _is_about(said, described, name))
        )

    def _names_in(self, job: Job) -> Iterator[tuple[Field, str, _Known]]:
        for described in self.endpoint.fields:
            if described.allowed is not None and isinstance(name := job.values.get(described.name), str):
                known = self._lists.get(self.key_of(described, job))
                if known:
                    yield described, name, known

    def id_of(self, described: Field, job: Job) -> int | str | None:
        """Return the id that stands for the job's name in that field; None if it is not known."""
        name, known = job.values.get(described.name), self._lists.get(self.key_of(described, job))
        return known.ids.get(composed(name)) if known and isinstance(name, str) else None

    def name_of(self, described: Field, job: Job, identity: object) -> str | None:
        """Return the name that an id stands for in that field of the job; None if it is not known."""
        known = self._lists.get(self.key_of(described, job))
        if known is None:
            return None
        return next((value.name for value in known.list.values if str(value.id) == str(identity)), None)

    def key_of(self, described: Field, job: Job) -> _Key:
        """Which list holds for the field in this job; a field that is not sent counts as the API's default."""
        depends_on = described.allowed.depends_on if described.allowed else ()
        return described.name, tuple((name, self._text(name, job)) for name in depends_on)

    def _text(self, name: str, job: Job) -> str:
        value = job.values.get(name)
        if value is None and name in self.endpoint.by_name:
            value = self.endpoint.by_name[name].default
        return "" if value is None else str(value)

    def _problem(self, described: Field, row: int, name: str, known: _Known, said: str = "", told: str = "") -> Problem:
        """Return the problem of a name that is not valid.

        `said`: words that may name it already; `told`: those that say already what is wrong with the field.
        """
        valid = [value.name for value in known.list.values]
        close, look = suggestion(name, valid)
        shown = ", ".join(_short(one) for one in valid[:_NAMES_IN_A_REMEDY])
        shown += " ..." if len(valid) > _NAMES_IN_A_REMEDY else ""
        article = "an" if described.title[:1].lower() in "aeiou" else "a"
        reason = f"{name!r} is not {article} {described.title} that {self.endpoint.api_name} accepts. {look}".rstrip()
        return Problem(
            row=row,
            field=described.name,
            code="name-not-accepted",
            value=name,
            reason=look if look and (told or name in said) else told or reason,
            remedy=f"Did you mean {close!r}?" if close else f"Valid are: {shown}.",
        )


def _is_about(said: str, described: Field, name: str) -> bool:
    words = said.casefold()
    return any(word.casefold() in words for word in (name, described.title, described.wire_name))


def _short(name: str) -> str:
    return name if len(name) <= _CHARACTERS_OF_A_NAME else f"{name[:_CHARACTERS_OF_A_NAME]} ..."


def _values(allowed: AllowedNames, answer: Mapping[object, object]) -> tuple[AllowedValue, ...]:
    listed = answer.get(allowed.list_name)
    if not isinstance(listed, list):
        return ()
    values = []
    for item in listed:
        if isinstance(item, Mapping) and isinstance(name := item.get(allowed.name_key), str) and name:
            identity = item.get(allowed.id_key) if allowed.id_key else None
            usable = isinstance(identity, (int, str)) and not isinstance(identity, bool)
            values.append(AllowedValue(name, identity if usable else None))
    return tuple(values)
