"""Valid names that the API's answers list, and the problems of jobs with other names.

A name is never corrected, not even its case. A name that differs from a valid one only by case, surrounding blanks or
Unicode composition is left to the API: the result must not depend on which row came first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

import msgspec

from batch_updater.endpoint.description import AllowedNames, Endpoint, Field
from batch_updater.records import AllowedList, AllowedValue, Job, Problem
from batch_updater.text.characters import composed, folded, suggestion

_Key: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]
_NAMES_IN_A_REMEDY = 12
_CHARACTERS_OF_A_NAME = 100
"""Of each name in a remedy: a remedy is stored for every row."""


class _IndexedList(msgspec.Struct, frozen=True):
    """A list of valid names, ready for look-ups."""

    list: AllowedList
    folded: frozenset[str]
    ids: Mapping[str, int | str]

    @classmethod
    def of(cls, allowed: AllowedList) -> _IndexedList:
        ids = {composed(value.name): value.id for value in allowed.values if value.id is not None}
        return cls(allowed, frozenset(folded(value.name) for value in allowed.values), ids)


class AllowedValues(msgspec.Struct, frozen=True):
    """The valid names known so far, by field and by what its list depends on. Immutable."""

    endpoint: Endpoint
    _lists: Mapping[_Key, _IndexedList] = msgspec.field(default_factory=dict)

    @classmethod
    def of(cls, endpoint: Endpoint, lists: Iterable[AllowedList]) -> AllowedValues:
        """Return the valid names of these lists."""
        return cls(endpoint, {(names.field, names.depends_on): _IndexedList.of(names) for names in lists})

    @property
    def lists(self) -> tuple[AllowedList, ...]:
        """Every list, in the order in which they were learned."""
        return tuple(indexed.list for indexed in self._lists.values())

    def learn(self, job: Job, answer: object) -> AllowedValues:
        """Return the valid names with those that an error answer to this job lists.

        `answer` is any parsed JSON. An empty or missing list leaves the names as they are.
        """
        if not isinstance(answer, Mapping):
            return self
        learned = {}
        for field in self.endpoint.fields:
            if field.allowed and (values := _values(field.allowed, answer)):
                key = self.key_of(field, job)
                learned[key] = _IndexedList.of(AllowedList(field.name, key[1], values))
        return AllowedValues(self.endpoint, {**self._lists, **learned}) if learned else self

    def judge(self, job: Job) -> tuple[Problem, ...]:
        """Return a problem for each name of the job that the API certainly refuses."""
        if not self._lists:
            return ()
        return tuple(
            self._problem(field, job.row, name, names.list)
            for field, name, names in self._names_in(job)
            if folded(name) not in names.folded
        )

    def blame(self, job: Job, message: str, field_messages: Mapping[str, str]) -> tuple[Problem, ...]:
        """Return a problem for each name for which the API may have refused the job with this message, '' if none.

        These are the names that are not listed. One that is listed in another spelling counts only if the message is
        about it. `field_messages`: field name -> the part of the message about that field, which becomes the reason.
        """
        return tuple(
            self._problem(field, job.row, name, names.list, message, field_messages.get(field.name, ""))
            for field, name, names in self._names_in(job)
            if all(composed(name) != composed(value.name) for value in names.list.values)
            and (
                folded(name) not in names.folded
                or not message
                or any(word.casefold() in message.casefold() for word in (name, field.title, field.wire_name))
            )
        )

    def _names_in(self, job: Job) -> Iterator[tuple[Field, str, _IndexedList]]:
        for field in self.endpoint.fields:
            if field.allowed is not None and isinstance(name := job.values.get(field.name), str):
                names = self._lists.get(self.key_of(field, job))
                if names:
                    yield field, name, names

    def id_of(self, field: Field, job: Job) -> int | str | None:
        """Return the id of the job's name in that field; None if it is not known."""
        name, names = job.values.get(field.name), self._lists.get(self.key_of(field, job))
        return names.ids.get(composed(name)) if names and isinstance(name, str) else None

    def name_of(self, field: Field, job: Job, identity: object) -> str | None:
        """Return the name that an id represents in that field of the job; None if it is not known."""
        names = self._lists.get(self.key_of(field, job))
        if names is None:
            return None
        return next((value.name for value in names.list.values if str(value.id) == str(identity)), None)

    def key_of(self, field: Field, job: Job) -> _Key:
        """Return which list is valid for the field in this job. A field that is not sent has the API's default."""
        depends_on = field.allowed.depends_on if field.allowed else ()
        return field.name, tuple((name, self._text(name, job)) for name in depends_on)

    def _text(self, name: str, job: Job) -> str:
        value = job.values.get(name)
        if value is None and name in self.endpoint.by_name:
            value = self.endpoint.by_name[name].default
        return "" if value is None else str(value)

    def _problem(
        self, field: Field, row: int, name: str, allowed: AllowedList, message: str = "", field_message: str = ""
    ) -> Problem:
        """Return the problem of a name that is not valid. The messages may name it, or say what is wrong, already."""
        valid = [value.name for value in allowed.values]
        close, look = suggestion(name, valid)
        shown = ", ".join(
            one if len(one) <= _CHARACTERS_OF_A_NAME else f"{one[:_CHARACTERS_OF_A_NAME]} ..."
            for one in valid[:_NAMES_IN_A_REMEDY]
        )
        shown += " ..." if len(valid) > _NAMES_IN_A_REMEDY else ""
        article = "an" if field.title[:1].lower() in "aeiou" else "a"
        reason = f"{name!r} is not {article} {field.title} that {self.endpoint.api_name} accepts. {look}".rstrip()
        return Problem(
            row=row,
            field=field.name,
            code="name-not-accepted",
            value=name,
            reason=look if look and (field_message or name in message) else field_message or reason,
            remedy=f"Did you mean {close!r}?" if close else f"Valid are: {shown}.",
        )


def _values(allowed: AllowedNames, answer: Mapping[object, object]) -> tuple[AllowedValue, ...]:
    items = answer.get(allowed.list_name)
    values = []
    for item in items if isinstance(items, list) else ():
        if isinstance(item, Mapping) and isinstance(name := item.get(allowed.name_key), str) and name:
            identity = item.get(allowed.id_key) if allowed.id_key else None
            is_usable = isinstance(identity, (int, str)) and not isinstance(identity, bool)
            values.append(AllowedValue(name, identity if is_usable else None))
    return tuple(values)
