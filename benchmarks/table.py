"""Tables in Markdown, and goals that are met or not."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

_HOLDS = {"at least": operator.ge, "at most": operator.le, "under": operator.lt}


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure should be, and what it is."""

    what: str
    relation: Literal["at least", "at most", "under"]
    bound: float
    measured: float
    shown_as: str
    """How both figures are shown, with their unit, as `str.format` takes it: `{:.0f} MB`."""

    @property
    def is_met(self) -> bool:
        """Whether the figure itself, not what is shown of it, is within the bound."""
        return bool(_HOLDS[self.relation](self.measured, self.bound))

    def row(self) -> tuple[str, ...]:
        """Return the cells of its line in a table."""
        wanted, measured = self.shown_as.format(self.bound), self.shown_as.format(self.measured)
        return self.what, f"{self.relation} {wanted}", measured, "yes" if self.is_met else "**no**"


@dataclass(frozen=True, slots=True)
class Table:
    """Figures under a title."""

    title: str
    headers: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    note: str = ""
    """What a reader must know beside the figures; '' if nothing."""

    def markdown(self) -> str:
        """Return it as Markdown, the first column to the left and all others to the right."""
        rule = ("---", *("---:" for _ in self.headers[1:]))
        lines = [_line(cells) for cells in (self.headers, rule, *self.rows)]
        return "\n".join([f"### {self.title}", "", *lines, *(["", self.note] if self.note else []), ""])


class Section(Protocol):
    """What one part of the benchmark found."""

    def tables(self) -> list[Table]:
        """Return its figures."""

    def goals(self) -> list[Goal]:
        """Return what they should be."""


def table_of_goals(sections: Sequence[Section]) -> Table:
    """Return one line for each goal."""
    goals = [goal.row() for section in sections for goal in section.goals()]
    return Table("Goals", ("What", "Goal", "Measured", "Met"), goals)


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"
