"""What the fields of an endpoint are called: names that are unique, and short ones beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from batch_updater.endpoint.description import Field, OpenColumns


def distinct(fields: Iterable[Field]) -> tuple[Field, ...]:
    """Return fields with names that are unique: the second of two gets its location as a prefix, such as `body.id`."""
    taken: set[str] = set()
    named = []
    for field in fields:
        name = field.name
        while name in taken:
            name = f"{field.location}.{name}"
        taken.add(name)
        if name != field.name:
            title = name if field.title == field.name else field.title
            field = msgspec.structs.replace(field, name=name, title=title)  # noqa: PLW2901
        named.append(field)
    return tuple(named)


def with_short_names(
    fields: Sequence[Field], opens: Sequence[OpenColumns]
) -> tuple[tuple[Field, ...], tuple[OpenColumns, ...]]:
    """Return them with the last part of a name as an alias, where no other has the same."""
    lasts = Counter(_last(name) for name in [*(one.name for one in fields), *(one.name for one in opens)])
    lasts.update({alias.casefold() for field in fields for alias in field.aliases})

    def short(name: str) -> tuple[str, ...]:
        return (name.rpartition(".")[2],) if "." in name and lasts[_last(name)] == 1 else ()

    return (
        tuple(
            msgspec.structs.replace(one, aliases=(*one.aliases, *short(one.name))) if "." in one.name else one
            for one in fields
        ),
        tuple(msgspec.structs.replace(one, aliases=short(one.name)) for one in opens),
    )


def _last(name: str) -> str:
    return name.rpartition(".")[2].casefold()
