"""How much of published OpenAPI documents can be used: `make reach DOCS=folder`.

Prints a table in Markdown with a line for each document of a folder: its updates (PUT, PATCH, and POST to a path that
ends in a parameter), how many are accepted, how many fields those have on average (an open part, such as a map, counts
as one), how many fields are left out, and the time that reading the document takes. The vendor is the beginning of the
file's name, up to the first `-`, `_` or `.`.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, NamedTuple

from batch_updater.endpoint.document import Resolver
from batch_updater.endpoint.document_files import DocumentFiles
from batch_updater.endpoint.openapi import operations
from batch_updater.endpoint.parsing import read_content
from batch_updater.errors import EndpointError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batch_updater.endpoint.openapi import DescribedOperation

_SUFFIXES = frozenset({".json", ".yaml", ".yml"})


class DocumentReach(NamedTuple):
    """What of a document can be used."""

    name: str
    updates: Sequence[DescribedOperation]
    read_s: float

    @property
    def vendor(self) -> str:
        """Whose document it is."""
        return re.split(r"[-_.]", self.name)[0].lower()

    @property
    def accepted(self) -> list[DescribedOperation]:
        """The updates that can be used."""
        return [one for one in self.updates if one.endpoint]

    @property
    def share(self) -> float:
        """Of the updates, those that can be used."""
        return len(self.accepted) / len(self.updates) if self.updates else 1.0

    def line(self) -> str:
        """Return its line of the table."""
        endpoints = [one.endpoint for one in self.accepted if one.endpoint]
        kept = mean(len(one.fields) + len(one.opens) for one in endpoints) if endpoints else 0
        left_out = mean(len(one.left_out) for one in endpoints) if endpoints else 0
        counts = f"{len(self.updates):,} | {len(endpoints):,} | {self.share:.1%}"
        return f"| {self.name} | {counts} | {kept:.1f} | {left_out:.1f} | {self.read_s:.2f} |"


def main() -> int:
    """Print the table. Returns 1 if a document cannot be read at all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reach", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--refused", action="store_true", help="list the updates that are not accepted, and why")
    given = parser.parse_args()
    paths = sorted(path for path in given.folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    reaches, unread = [], []
    for path in paths:
        try:
            reaches.append(_reach(path))
        except EndpointError as error:
            unread.append(error.message)
    print("| document | updates | accepted | share | fields kept | left out | s to read |")
    print("| --- | --: | --: | --: | --: | --: | --: |")
    for reach in reaches:
        print(reach.line())
    by_vendor = defaultdict(list)
    for reach in reaches:
        by_vendor[reach.vendor].append(reach)
    shares = [
        sum(len(one.accepted) for one in own) / sum(len(one.updates) for one in own)
        for own in by_vendor.values()
        if any(one.updates for one in own)
    ]
    updates, accepted = (sum(len(getattr(one, name)) for one in reaches) for name in ("updates", "accepted"))
    if shares:
        print(f"\n{accepted:,} of {updates:,} updates are accepted ({accepted / updates:.1%}).")
        print(f"Mean of {len(shares)} vendors: {mean(shares):.1%}.")
    for message in unread:
        print(f"\nNot read: {message}")
    if given.refused:
        print()
        for reach in reaches:
            for one in reach.updates:
                if one.why_not:
                    print(f"- {reach.name}#{one.operation}: {one.why_not}")
    return 1 if unread else 0


def _reach(path: Path) -> DocumentReach:
    began = time.perf_counter()
    files = DocumentFiles(path, read_content(path))
    read_s = time.perf_counter() - began
    return DocumentReach(path.name, [one for one in operations(Resolver(files)) if _is_update(one)], read_s)


def _is_update(one: DescribedOperation) -> bool:
    ends_in_parameter = "{" in one.path.partition("#")[0].rstrip("/").rpartition("/")[2]
    return one.method in {"PUT", "PATCH"} or (one.method == "POST" and ends_in_parameter)


if __name__ == "__main__":
    sys.exit(main())
