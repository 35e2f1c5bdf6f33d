"""config/yaml_limits.py: YAML of a few lines whose aliases come to billions of nodes is refused before it is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batch_updater.config.loading import load_config
from batch_updater.config.yaml_limits import exceeds_alias_limit
from batch_updater.endpoint.openapi import load_endpoint
from batch_updater.errors import ConfigError, EndpointError

if TYPE_CHECKING:
    from pathlib import Path


def bomb(kind: str) -> str:
    """Return a document in which each of nine levels holds the one before nine times."""
    lines = ["z0: &l.0 {a: 1}"]
    for level in range(1, 10):
        alias = f"*l.{level - 1}"
        inner = {
            "mappings": "{" + ", ".join(f"k{number}: {alias}" for number in range(9)) + "}",
            "lists": f"[{', '.join([alias] * 9)}]",
            "merges": f"{{<<: [{', '.join([alias] * 9)}]}}",
        }[kind]
        lines.append(f"z{level}: &l.{level} {inner}")
    return "\n".join(lines) + "\n"


KINDS = ["mappings", "lists", "merges"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_bomb_of_aliases_is_refused_wherever_it_is_read(tmp_path: Path, kind: str) -> None:
    """Both the configuration and the description of an API are refused in a sentence, at once."""
    path = tmp_path / "bomb.yaml"
    path.write_text(bomb(kind), encoding="utf-8")
    with pytest.raises(ConfigError, match="too many YAML aliases"):
        load_config(path, {})
    with pytest.raises(EndpointError, match="too many YAML aliases"):
        load_endpoint(f"{path}#x")


@pytest.mark.parametrize(
    "text", ["", "a: 1", "a: &x {b: '*'}\nc: *x\nd: {<<: *x}\n", "a: &x 1\nb: [" + "*x, " * 5000 + "]"]
)
def test_a_document_that_stays_small_is_not(text: str) -> None:
    """Aliases are welcome as long as what they mean stays readable."""
    assert not exceeds_alias_limit(text)
