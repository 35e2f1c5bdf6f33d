"""YAML as configurations and descriptions are read: ruamel.yaml, which does it in Python, says what is right."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError as MarkedErrorOfRuamel
from yaml.error import MarkedYAMLError, YAMLError

from batch_updater.config.loading import load_config
from batch_updater.endpoint.reference import load_endpoint
from batch_updater.errors import ConfigError, EndpointError
from batch_updater.text.yaml_reader import TooManyAliases, read_yaml

if TYPE_CHECKING:
    from pathlib import Path

SCALARS = """
    null Null NULL nULL ~ true True TRUE tRUE false False FALSE yes Yes NO no on On off y n Y N
    0 00 010 08 -08 +7 -0 1_000 1__0 1_ -_1 _1 0o14 0o8 -0o7 0O7 0x1F 0xfg 0X1 -0x_a 0b101 0b2 + - -- 1-2 1+1
    1. .5 -.5 +.5 . .. 1.5.2 1e3 1E-3 1e 1e+ .5e1 .5e+1 1.e5 1_0.5_0 0x1e2 1e400 -1.5e-3 12e03 0.1
    .inf -.INF +.Inf .iNF inf .nan .NaN -.nan nan
    12:30 12:30:45 190:20:30.15 1:1 2024-12-31 2024-12-31T10:00:00Z 2024-1-1 2024-13-99 31.12.2024
    << <<x http://x.example:80/y #x a#b x:y a,b -a ?a 1a 0b 0o 0x e5 E 1,000 \u0661\u0662
"""


def ruamel_reads(text: str) -> object:
    yaml = YAML(typ="safe", pure=True)
    constructors = yaml.constructor.yaml_constructors
    yaml.constructor.yaml_constructors = constructors | {"tag:yaml.org,2002:timestamp": lambda _, node: node.value}
    try:
        return yaml.load(text)
    except MarkedErrorOfRuamel as error:
        return error.problem_mark.line, error.problem


def reads(text: str) -> object:
    try:
        return read_yaml(text).value()
    except MarkedYAMLError as error:
        return error.problem_mark and error.problem_mark.line, error.problem


@pytest.mark.parametrize("around", ["{}", "a: {}", "[{}, 1]", "{}: 1", "'{}'", "!!str {}"])
def test_scalars_mean_what_they_mean_in_yaml_1_2(around: str) -> None:
    """`NO`, `12:30` and dates are texts, `010` is ten, and `0o14` is twelve."""
    texts = [around.format(scalar) for scalar in SCALARS.split()]
    assert {text: repr(reads(text)) for text in texts} == {text: repr(ruamel_reads(text)) for text in texts}


def test_what_is_almost_a_number_is_text() -> None:
    """Underscores alone, and YAML 1.1's sign for a value."""
    assert reads("[=, -_, ._, 0x_, {=: 1}]") == ["=", "-_", "._", "0x_", {"=": 1}]
    assert reads("[!!int a, !!float b, !!bool c, !!timestamp d]") == ["a", "b", "c", "d"]


def test_numbers_are_as_exact_as_they_are_written() -> None:
    """As the caller wants those that are not whole; a whole one of thousands of digits is such a number, too."""
    digits = "7" * 5000
    assert read_yaml(f"[0.1, 1_0.5e-3, 3, {digits}]", Decimal).value() == [
        Decimal("0.1"), Decimal("0.0105"), 3, Decimal(digits),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing",
        "a: &x.y/1 [1]\nb: *x.y/1",
        "base: &ü {a: 1, b: 2}\nmore: {<<: *ü, b: 3, c: 4}",
        "a: &x {k: 1}\nb: &y {l: 2, k: 3}\nc: {<<: [*x, *y], m: 4}",
        "responses: {200: ok, default: no, 4.5: x, true: y, ~: z, [a, b]: w}",
        '{\n\t"a":\t[1,\t2\t],\n\t"b": {}\n}',
        r'["\/", "\x41\u00e9\_\e", "\ud800", "\ud83d\ude00"]',
        "a: |\n  x\n   y\n\nb: >-\n  x\n  y\n\n  z\nc: 'it''s\n\n  so'\nd: x\n  y",
        "a: |\n  \tx\nb: 'x\ty'",
        "%YAML 1.2\n---\na: NO",
        "? a\n: - 1\n  - b: 2",
        "[a b: c, x?y, {a:1}, {'a':1}, b:c, ]",
        "[! 12, !!str 12, !!int '12', !<tag:yaml.org,2002:int> 5, !!binary aGk=, !!set {x, y}]",
        "a: x\ufeffy\nb: \U0001f600",
        # Errors.
        "a: 1\nb:\n  c: 1\n  c: [2]",
        '{"a": 1,\n"0x10": 2,\n16: 3, 0x10: 4}',
        "a: &x {b: 1}\nc:\n  <<: *x\n  <<: {d: 1}",
        "c:\n  <<: 1",
        "{{a: 1}: 1}",
        "a: [1\nb: 2",
        "a: b: c",
        "a: 'x' y",
        "\ta: 1",
        "a:\n\tb: 1",
        "a:\tb",
        "a: b\t# c",
        "a: *b",
        "a: &",
        "a: @b",
        r'a: "\q"',
        "a: !other 1",
        "a: !!map 1",
        "a: <<",
        "a: 1\n---\nb: 2",
    ],
)
def test_a_document_means_what_it_means_in_yaml_1_2(text: str) -> None:
    """Its values, or the line and the words of its refusal."""
    assert repr(reads(text)) == repr(ruamel_reads(text))


@pytest.mark.parametrize(
    "text", ["\ud800", "a: \x07", "a: \x7f", "[" * 100_000, "[" * 300 + "]" * 300, "{[[a]]: 1}", "a: !!bool [b]"]
)
def test_what_cannot_be_read_is_refused(text: str) -> None:
    """Half characters, control characters, and lists so deep in lists that libyaml would end the process."""
    with pytest.raises((YAMLError, RecursionError)):
        read_yaml(text).value()


def test_what_merges_may_be_overridden_once() -> None:
    """A doubled key is refused beside merged ones, too."""
    assert reads("{<<: {a: 1}, a: 2}") == {"a": 2}
    assert reads("{<<: {a: 1}, a: 2,\na: 3}") == (1, 'found duplicate key "a" with value "3" (original value: "2")')
    assert reads("a: &a {b: 1, <<: *a}") == {"a": {"b": 1}}


def test_an_anchor_may_be_used_again() -> None:
    """An alias means the last one before it."""
    assert reads("[&x 1, &x 2, *x]") == [1, 2, 2]


def test_a_list_may_hold_itself() -> None:
    """Nothing is written out."""
    value = reads("a: &a [*a, 1]\nb: &b {c: *b}")
    assert isinstance(value, dict)
    assert value["a"][0] is value["a"]
    assert value["b"]["c"] is value["b"]


def test_without_libyaml_it_is_the_same(tmp_path: Path) -> None:
    """PyYAML can be installed without it."""
    program = (
        "import sys\nsys.modules['yaml._yaml'] = None\n"
        "from batch_updater.text.yaml_reader import read_yaml\n"
        "print(read_yaml('a: [NO, 010, 12:30]').value())"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert shown.stdout == "{'a': ['NO', 10, '12:30']}\n"


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


def test_a_long_chain_of_aliases_is_a_bomb() -> None:
    """Each of many lines doubles the one before: it is refused before the numbers become large ones."""
    lines = ["- &a0 [1]", *(f"- &a{level} [*a{level - 1}, *a{level - 1}]" for level in range(1, 20_000))]
    with pytest.raises(TooManyAliases):
        read_yaml("\n".join(lines))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: 1",
        "a: &x {b: '*'}\nc: *x\nd: {<<: *x}\n",
        "a: &x 1\nb: [" + "*x, " * 5000 + "]",
        "a: &x 1\nb: *x\nc: [" + "1, " * 150_000 + "]",
    ],
)
def test_a_document_that_stays_small_is_not(text: str) -> None:
    """Aliases are welcome as long as what they mean stays readable, and what is written out does not count."""
    read_yaml(text)
