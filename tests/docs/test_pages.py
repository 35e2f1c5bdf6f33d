"""README and docs/: links lead somewhere, nothing is left out of the index, and the README stays short."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import DOCS, PAGES, README, ROOT, anchors, blocks, headings, links, text_of, title

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES_OF_README = 9_000


@pytest.mark.parametrize("page", [*PAGES, *sorted(set(ROOT.glob("*.md")) - {README})], ids=title)
def test_every_relative_link_leads_to_a_file_and_a_heading_in_it(page: Path) -> None:
    """Anchors are those that GitHub makes of headings."""
    for link in links(page):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), link
        assert target.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_a_page_has_one_title_and_no_heading_twice(page: Path) -> None:
    """A second heading of the same text would get another anchor."""
    assert len(headings(page, "#")) == 1
    assert len(anchors(page)) == len(headings(page))


def test_the_index_names_every_page() -> None:
    """docs/README.md links to each of the others."""
    index = DOCS / "README.md"
    named = {(DOCS / link.partition("#")[0]).resolve() for link in links(index)}
    assert set(PAGES) - named == {index}


def test_the_readme_leads_to_every_page() -> None:
    """Someone who reads only the README finds all of them; the recipes by the page that lists them."""
    named = {(ROOT / link.partition("#")[0]).resolve() for link in links(README)}
    named |= {(DOCS / link.partition("#")[0]).resolve() for link in links(DOCS / "endpoints.md")}
    assert set(PAGES) - named <= {README, DOCS / "README.md"}


def test_the_readme_has_nine_kilobytes_at_most() -> None:
    """Five minutes for operations staff, and no more."""
    assert README.stat().st_size <= MOST_BYTES_OF_README


def test_every_picture_is_shown() -> None:
    """And every page shows pictures that are there, which the links prove."""
    shown = {(page.parent / link).resolve() for page in PAGES for link in links(page)}
    assert {path.resolve() for path in (DOCS / "pictures").rglob("*.*")} <= shown


def test_every_make_target_that_a_page_names_exists() -> None:
    """In code, such as `make test`."""
    targets = set(re.findall(r"^([a-z-]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    named = {
        name
        for page in PAGES
        for name in re.findall(r"(?:`|^)make ([a-z-]+)", "\n".join([text_of(page), *blocks(page, "sh")]), re.MULTILINE)
    }
    assert {"demo", "test"} <= named <= targets


def test_the_source_distribution_holds_the_pages() -> None:
    """The links of the README lead somewhere there, too."""
    hatch = tomllib.loads(text_of(ROOT / "pyproject.toml"))["tool"]["hatch"]["build"]["targets"]["sdist"]
    assert {"docs", "samples", "*.md", "config.example.yaml"} <= set(hatch["include"])
