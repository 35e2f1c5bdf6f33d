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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import yaml

from tests.docs.pages import DOCS, blocks
from tests.end_to_end.program import Done, batch_updater
from tests.torture.runs import assert_no_token, start

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

    @property
    def all_secrets(self) -> tuple[str, ...]:
        """Every text that no file and no output may hold."""
        return tuple(filter(None, (*self.secrets.values(), self.shown)))

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
            # Numbers as texts, with the digits that they have on the wire.
            assert json.loads(received.body, parse_float=str) == json.loads(self.body, parse_float=str)
        else:
            assert received.body.decode() == self.body.replace("\n", "")


class Desk:
    """The folder of someone who follows the page, and the server that the commands there reach."""

    def __init__(self, recipe: Recipe, folder: Path, server: VendorServer) -> None:
        self.recipe = recipe
        self.folder = folder
        self.server = server
        self.configure(recipe.config)
        api = yaml.safe_load(recipe.config)["api"]
        shutil.copy(HERE / recipe.description, folder / api["endpoint"].partition("#")[0])
        if "overlay" in api:
            (folder / api["overlay"]).write_text(blocks(recipe.page, "yml")[0], encoding="utf-8")
        base_url = server.url + urlsplit(api["base_url"]).path.rstrip("/")
        self.variables = {"BATCH_UPDATER_API__BASE_URL": base_url, **_AS_FAST_AS_IT_GOES, **recipe.secrets}
        self.variables |= server.variables()
        self.write(recipe.rows)

    def configure(self, config: str = "", **api: object) -> None:
        """Write the configuration, the page's if none is given, with other keys in its section `api`."""
        text = config or self.recipe.config
        if api:
            sections = yaml.safe_load(text)
            text = yaml.safe_dump(sections | {"api": sections["api"] | api})
        (self.folder / "config.yaml").write_text(text, encoding="utf-8")

    def write(self, rows: Sequence[Mapping[str, str]]) -> None:
        """Write the file of changes, whose headers are those of the first row."""
        with (self.folder / ROWS).open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    def __call__(self, *arguments: str | Path, **variables: str) -> Done:
        """Run one command to its end; it may print no secret."""
        done = batch_updater(*arguments, cwd=self.folder, **self.variables | variables)
        assert not [secret for secret in self.recipe.all_secrets if secret in done.out + done.err]
        return done

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start a command in a process of its own."""
        return start(self.folder, *arguments, **self.variables | variables)


@contextmanager
def desk_of(recipe: Recipe, folder: Path) -> Iterator[Desk]:
    """Serve the vendor's API and prepare a folder; in the end, no file of it may hold a secret."""
    with recipe.server() as server:
        yield Desk(recipe, folder, server)
    for secret in recipe.all_secrets:
        assert_no_token(folder, secret)
