"""config.yaml and environment variables -> `Config`; all faults are found and reported together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from batch_updater.config.schema import Config, OAuthSettings
from batch_updater.config.yaml_limits import exceeds_alias_limit
from batch_updater.config.yaml_slips import silent_slip, slip_behind, slip_in
from batch_updater.errors import ConfigError, Location
from batch_updater.files.reading import read_regular_text
from batch_updater.text.spelling import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel
    from pydantic_core import ErrorDetails
    from ruamel.yaml.nodes import Node

PREFIX = "BATCH_UPDATER_"
_LARGEST_BYTES = 1_000_000
_Path: TypeAlias = tuple[str, ...]


@dataclass(frozen=True)
class _Given:
    """What a file or the environment says, and where each key stands."""

    values: Mapping[str, object]
    places: Mapping[_Path, str]
    """Path of a key -> `config.yaml, line 7` or the name of a variable."""
    faults: tuple[str, ...] = ()


def load_config(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Read the configuration: environment before file before default.

    `path` None: the environment alone. Raises ConfigError with every fault, one a line.
    """
    given = _read_file(path) if path else _Given({}, {})
    folder = path.resolve().parent if path else Path.cwd()
    return _config(given, environ, folder, path)


def config_from(values: Mapping[str, object], environ: Mapping[str, str]) -> Config:
    """Make a configuration of nested mappings, as a config.yaml holds them. Raises ConfigError."""
    return _config(_Given(values, {}), environ, Path.cwd(), None)


def _config(given: _Given, environ: Mapping[str, str], folder: Path, path: Path | None) -> Config:
    variables = _read_environment(environ)
    values = _merged(given.values, variables.values)
    places = {**given.places, **variables.places}
    faults = [*given.faults, *variables.faults]
    for section in Config.model_fields:
        if values.get(section) is None:
            values[section] = {}
    config = None
    try:
        config = Config.model_validate(values, context={"folder": folder})
    except ValidationError as error:
        faults.extend(_in_words(detail, places) for detail in error.errors(include_url=False, include_input=False))
    if faults or config is None:
        raise ConfigError(
            tuple(dict.fromkeys(faults)),
            remedy="Correct the configuration; config.example.yaml explains every key.",
            place=Location(file=str(path) if path else None),
        )
    return config


def _merged(low: Mapping[str, object], high: Mapping[str, object]) -> dict[str, object]:
    """Return both, key by key; where both have a value, the high one's."""
    merged = dict(low)
    for key, value in high.items():
        below = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(below, Mapping)
        merged[key] = _merged(below, value) if both else value  # type: ignore[arg-type]  # both are mappings here
    return merged


def _read_file(path: Path) -> _Given:
    place = Location(file=str(path))
    try:
        text = read_regular_text(path, _LARGEST_BYTES)
    except OSError as error:
        why = "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise ConfigError(f"The configuration {path} {why}.", remedy="Check --config.", place=place) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not text in UTF-8.", remedy="Save it as UTF-8.", place=place) from error
    try:
        if exceeds_alias_limit(text):
            raise ConfigError(f"{path} uses too many YAML aliases.", remedy="Write the values out.", place=place)
        return _parse(text, path)
    except (YAMLError, RecursionError) as error:
        slip = slip_behind(error, text, _every_name()) if isinstance(error, YAMLError) else None
        if slip:
            raise ConfigError(f"{path}, line {slip.line}: {slip.what}.", remedy=slip.remedy, place=place) from error
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        line = f", line {mark.line + 1}" if mark else ""
        what = error.problem if isinstance(error, MarkedYAMLError) else "it cannot be read"
        raise ConfigError(
            f"{path}{line} is not valid YAML: {what}.",
            remedy="Check the indentation, the colons and the quotes there.",
            place=place,
        ) from error


def _parse(text: str, path: Path) -> _Given:
    yaml = YAML(typ="safe", pure=True)
    root = yaml.compose(text)
    if root is None:
        return _Given({}, {})
    if not isinstance(root, MappingNode):
        if slip := slip_in(text.splitlines(), _every_name()):
            place = Location(file=str(path))
            raise ConfigError(f"{path}, line {slip.line}: {slip.what}.", remedy=slip.remedy, place=place)
        raise ConfigError(
            f"{path} holds no sections such as `api:`.",
            remedy="See config.example.yaml.",
            place=Location(file=str(path)),
        )
    places: dict[_Path, str] = {}
    faults = [*_no_sections(root, text.splitlines(), str(path)), *_walked(root, (), str(path), places)]
    if faults:  # a doubled key cannot be constructed
        return _Given({}, places, tuple(faults))
    # Dates such as 2024-12-31 are text to us, wherever they may stand.
    # `add_constructor` would change every reader of YAML in the process.
    constructors = yaml.constructor.yaml_constructors
    yaml.constructor.yaml_constructors = constructors | {"tag:yaml.org,2002:timestamp": lambda _, node: node.value}
    return _Given(yaml.load(text), places)


def _no_sections(root: MappingNode, lines: list[str], file: str) -> Iterator[str]:
    """Yield a sentence for each section that holds a text or a list because of a slip, in place of keys."""
    for key, value in root.value:
        if key.value not in Config.model_fields or isinstance(value, MappingNode):
            continue
        first, last = value.start_mark.line, value.end_mark.line
        if isinstance(value, SequenceNode):
            what = f"the keys of {key.value} are written as a list"
            yield f"{file}, line {first + 1}: {what}. Write them without a dash in front."
        elif slip := slip_in(lines[first : last + 1], _every_name(), first + 1):
            yield f"{file}, line {slip.line}: {slip.what}. {slip.remedy}"


def _walked(node: Node, path: _Path, file: str, places: dict[_Path, str]) -> Iterator[str]:
    """Note the line of every key; yield a sentence for each that stands twice, and for what was meant otherwise."""
    for child in node.value if isinstance(node, SequenceNode) else ():
        yield from _walked(child, path, file, places)
    if slip := silent_slip(node):
        yield f"{file}, line {node.start_mark.line + 1}: {slip[0]}. {slip[1]}"
    if not isinstance(node, MappingNode):
        return
    for key, value in node.value:
        name = key.value if isinstance(key, ScalarNode) else "?"
        place = f"{file}, line {key.start_mark.line + 1}"
        if (*path, name) in places:
            yield f"{place}: {'.'.join((*path, name))} stands there a second time. Remove one of the two."
        places[*path, name] = place
        yield from _walked(key, (), file, places)
        yield from _walked(value, (*path, name), file, places)


def _read_environment(environ: Mapping[str, str]) -> _Given:
    values: dict[str, object] = {}
    places: dict[_Path, str] = {}
    faults: list[str] = []
    known = {_variable(path): path for path in _settable()}
    for name in sorted(environ):
        if not name.upper().startswith(PREFIX):
            continue
        path = known.get(name)
        if path is None:
            close = nearest(name, known, cutoff=0.8)
            faults.append(f"The variable {name} is not known." + (f" Did you mean {close}?" if close else ""))
            continue
        places[path] = f"the variable {name}"
        try:
            _put(values, path, _scalar(environ[name]))
        except YAMLError as error:
            slip = slip_behind(error, environ[name], ())
            said = f"{slip.what}. {slip.remedy}" if slip else "it is not a value that can be read. Put it in quotes."
            faults.append(f"The variable {name}: {said}")
    return _Given(values, places, tuple(faults))


def _settable() -> Iterator[_Path]:
    """Yield the path of every key that a variable may set."""
    for section, field in Config.model_fields.items():
        model: type[BaseModel] = field.annotation  # type: ignore[assignment]  # every section is a model
        for key in model.model_fields:
            yield section, key
    for key in OAuthSettings.model_fields:
        yield "api", "oauth", key


def _variable(path: _Path) -> str:
    return PREFIX + "__".join(path).upper()


def _scalar(text: str) -> object:
    """Read a variable's text as YAML would: 5 is a number, [a, b] a list. An address or a reference stays text."""
    if re.match(r"\s*[\[{\"']|\s*[-+0-9.]+\s*$|\s*(true|false|null|~)?\s*$", text):
        return YAML(typ="safe", pure=True).load(text)
    return text


def _put(values: dict[str, object], path: _Path, value: object) -> None:
    for name in path[:-1]:
        inner = values.setdefault(name, {})
        if not isinstance(inner, dict):  # BATCH_UPDATER_API__OAUTH was set as a whole, too
            inner = values[name] = {}
        values = inner
    values[path[-1]] = value


def _at(key: _Path, places: Mapping[_Path, str]) -> str:
    """Say where a key stands, or the nearest key around it."""
    for length in range(len(key), 0, -1):
        if place := places.get(key[:length]):
            return place
    return "the configuration"


def _in_words(detail: ErrorDetails, places: Mapping[_Path, str]) -> str:
    """Say in plain words what pydantic found; never the value, which may be a secret."""
    location = tuple(str(part) for part in detail["loc"])
    # A union's branches and a dictionary's keys show up in the location; people know the key by its dotted name.
    key = tuple(
        part for part in location if part not in ("str", "SecretReference", "[key]") and "function-" not in part
    )
    name, place = ".".join(key), _at(key, places)
    match detail["type"]:
        case "extra_forbidden":
            return f"{place}: {_unknown(key)}"
        case "missing":
            return f"{place}: {name} is missing."
        case "value_error":
            return f"{place}: {name} {detail['ctx']['error']}."
        case "greater_than" | "greater_than_equal" as limit:
            than = "more than" if limit == "greater_than" else "at least"
            bound = detail["ctx"].get("gt", detail["ctx"].get("ge"))
            return f"{place}: {name} must be {than} {bound:g}."
        case "literal_error" | "enum":
            return f"{place}: {name} must be {detail['ctx']['expected']}."
    return f"{place}: {name} {_EXPECTED.get(detail['type'], 'has a value that does not fit')}."


_EXPECTED = {
    "model_type": "must be a section with keys of its own",
    "dict_type": "must be a list of `name: value` pairs",
    "string_type": "must be text; put it in quotes",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "tuple_type": "must be a list: [first, second], or lines that begin with a dash and a blank",
    "finite_number": "must be a finite number",
    "string_too_short": "must not be empty",
}


def _unknown(key: _Path) -> str:
    """Say of a key that is not known there what it may be."""
    name = ".".join(key)
    homes = [path[:-1] for path in _settable() if path[-1] == key[-1]]
    if close := None if homes else nearest(key[-1], _siblings(key)):
        return f"{name} is not a key. Did you mean {close}?"
    if not homes and (close := nearest(key[-1], [path[-1] for path in _settable()], cutoff=0.8)):
        name, homes = close, [path[:-1] for path in _settable() if path[-1] == close]
    if not homes:
        return f"{name} is not a key."
    where = " or ".join(" in ".join(f"{section}:" for section in reversed(home)) for home in homes)
    return f"{name} belongs under {where}, indented by {2 * len(homes[0])} blanks."


def _every_name() -> list[str]:
    """Return the names of all sections and keys."""
    return [*Config.model_fields, *(path[-1] for path in _settable())]


def _siblings(key: _Path) -> list[str]:
    """Return the keys that could have stood there."""
    if len(key) == 1:
        return list(Config.model_fields)
    return [path[-1] for path in _settable() if path[:-1] == key[:-1]]
