"""A page of docs/recipes, and the commands of its reader against a server that behaves as the vendor documents.

Configuration, rows and request are read from the page: the first block of each of the languages yaml, csv and http.
"""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

from tests.docs.pages import DOCS, blocks
from tests.end_to_end.program import Done, batch_updater
from tests.torture.runs import start

if TYPE_CHECKING:
    from tests.recipes.vendor_server import Received, VendorServer

HERE = Path(__file__).parent
ROWS = "changes.csv"
_AS_FAST_AS_IT_GOES = {"BATCH_UPDATER_SENDING__RATE_PER_S": "1000", "BATCH_UPDATER_SENDING__BURST": "100"}


@dataclass(frozen=True)
class Recipe:
    """What a page does not say about itself."""

    name: str
    """The page is docs/recipes/NAME.md."""
    description: str
    """A file of this folder: a description in the structure of the vendor's."""
    server: Callable[[], VendorServer]
    """Makes a server with the records that the rows are about."""
    secrets: Mapping[str, str]
    """Variable that the configuration refers to -> the secret that the server accepts."""
    bad_cell: tuple[str, str]
    """Header and value of a cell that only the vendor can refuse; it is put into the last row."""
    reason: str
    """How the vendor's refusal of that row reads in the results."""
    shown: str = ""
    """The secret as requests carry it, where that is another text."""

    def __str__(self) -> str:
        return self.name

    @property
    def page(self) -> Path:
        return DOCS / "recipes" / f"{self.name}.md"

    @property
    def config(self) -> str:
        return blocks(self.page, "yaml")[0]

    @property
    def rows(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(blocks(self.page, "csv")[0])))

    @property
    def request(self) -> ShownRequest:
        """What the page says of the first row."""
        head, _, body = blocks(self.page, "http")[0].partition("\n\n")
        line, *headers = head.splitlines()
        method, _, target = line.partition(" ")
        return ShownRequest(method, target, dict(header.split(": ", 1) for header in headers), body.strip())


@dataclass(frozen=True)
class ShownRequest:
    """A request as a page shows it; `...` in a header is any text."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: str

    def require_equal(self, received: Received) -> None:
        """Assert that a request that went out is the one that is shown."""
        assert received.method == self.method
        for name, value in self.headers.items():
            pattern = ".+".join(map(re.escape, value.split("...")))
            assert re.fullmatch(pattern, received.headers.get(name, "")), (name, received.headers)
        if "json" in received.content_type:
            assert _exactly(received.body) == _exactly(self.body.encode())
        else:
            assert received.body.decode() == self.body.replace("\n", "")


def _exactly(body: bytes) -> Any:
    """Parse JSON whose numbers keep their digits, and whose members are in the order in which they are written."""
    return json.loads(body, parse_float=str, object_pairs_hook=list)


class Desk:
    """The folder of someone who follows the page, and the server that the commands there reach."""

    def __init__(self, recipe: Recipe, folder: Path, server: VendorServer) -> None:
        self.recipe = recipe
        self.folder = folder
        self.server = server
        (folder / "config.yaml").write_text(recipe.config, encoding="utf-8")
        api = yaml.safe_load(recipe.config)["api"]
        shutil.copy(HERE / recipe.description, folder / api["endpoint"].partition("#")[0])
        if "overlay" in api:
            (folder / api["overlay"]).write_text(blocks(recipe.page, "yml")[0], encoding="utf-8")
        base_url = server.url + urlsplit(api["base_url"]).path.rstrip("/")
        self.variables = {"BATCH_UPDATER_API__BASE_URL": base_url, **_AS_FAST_AS_IT_GOES, **recipe.secrets}
        self.variables |= server.variables()
        self.write(recipe.rows)

    def write(self, rows: list[dict[str, str]]) -> None:
        """Write the file of changes."""
        with (self.folder / ROWS).open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    def __call__(self, *arguments: str | Path, **variables: str) -> Done:
        """Run one command to its end."""
        return batch_updater(*arguments, cwd=self.folder, **self.variables | variables)

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start a command in a process of its own."""
        return start(self.folder, *arguments, **self.variables | variables)
