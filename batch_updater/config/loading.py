"""config.yaml and environment variables -> `Config`; all problems are found and reported together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias, cast, get_args, get_origin

import msgspec
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from yaml.error import MarkedYAMLError, YAMLError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from batch_updater.config.schema import Config, SecretReference
from batch_updater.config.yaml_slips import silent_slip, slip_behind, slip_in
from batch_updater.errors import ConfigError, Location
from batch_updater.files.reading import read_regular_text
from batch_updater.text.spelling import nearest
from batch_updater.text.yaml_reader import TooManyAliases, YamlDocument, read_yaml

PREFIX = "BATCH_UPDATER_"
_LARGEST_BYTES = 1_000_000
_Path: TypeAlias = tuple[str, ...]
_SECTIONS = {name: cast("type[BaseModel]", field.annotation) for name, field in Config.model_fields.items()}
_ANY = "*"
"""In place of a key that may be any name, such as that of a field."""


def _keys(model: type[BaseModel], path: _Path) -> Iterator[_Path]:
    """Yield the path of every key of a section, those of the sections within it last."""
    yield from ((*path, key) for key in model.model_fields)
    for key, field in model.model_fields.items():
        for kind in (field.annotation, *get_args(field.annotation)):
            if kind is not SecretReference and isinstance(kind, type) and issubclass(kind, BaseModel):
                within = (*path, key) if get_origin(field.annotation) is not dict else (*path, key, _ANY)
                yield from _keys(kind, within)


_KEYS: tuple[_Path, ...] = tuple(key for section, model in _SECTIONS.items() for key in _keys(model, (section,)))
_NAMES = (*_SECTIONS, *dict.fromkeys(path[-1] for path in _KEYS))
"""Of all sections and keys."""


class _Source(msgspec.Struct, frozen=True):
    """What a file or the environment says, and where."""

    values: Mapping[str, object]
    locations: Mapping[_Path, str]
    """Path of a key -> `config.yaml, line 7` or the name of a variable."""
    problems: tuple[str, ...] = ()


def load_config(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Read the configuration: environment before file before default.

    `path` None: the environment alone. Raises ConfigError with every problem, one a line.
    """
    source = _read_file(path) if path else _Source({}, {})
    return _config(source, environ, path.resolve().parent if path else Path.cwd(), path)


def config_from(values: Mapping[str, object], environ: Mapping[str, str]) -> Config:
    """Return a configuration of nested mappings, as a config.yaml holds them. Raises ConfigError."""
    return _config(_Source(values, {}), environ, Path.cwd(), None)


def _config(source: _Source, environ: Mapping[str, str], folder: Path, path: Path | None) -> Config:
    variables = _read_environment(environ)
    values = _merged(source.values, variables.values)
    locations = {**source.locations, **variables.locations}
    problems = [*source.problems, *variables.problems]
    for section in Config.model_fields:
        if values.get(section) is None:
            values[section] = {}
    config = None
    try:
        config = Config.model_validate(values, context={"folder": folder, "places": locations})
    except ValidationError as error:
        problems.extend(_in_words(detail, locations) for detail in error.errors(include_url=False, include_input=False))
    if problems or config is None:
        raise ConfigError(
            tuple(dict.fromkeys(problems)),
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


def _read_file(path: Path) -> _Source:
    """Read a configuration file. Raises ConfigError for what is not YAML with sections."""

    def refused(why: str, remedy: str) -> ConfigError:
        return ConfigError(why, remedy=remedy, place=Location(file=str(path)))

    try:
        text = read_regular_text(path, _LARGEST_BYTES)
    except OSError as error:
        why = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise refused(f"The configuration {path} {why}.", "Check --config.") from error
    except UnicodeDecodeError as error:
        raise refused(f"{path} is not text in UTF-8.", "Save it as UTF-8.") from error
    try:
        document = read_yaml(text)
        if document.root is None:
            return _Source({}, {})
        if isinstance(document.root, MappingNode):
            return _source(document, document.root, text, str(path))
        slip, error_of_yaml = slip_in(text.splitlines(), _NAMES), None
        what, remedy = f"{path} has no sections such as `api:`.", "See config.example.yaml."
    except TooManyAliases as error:
        raise refused(f"{path} uses too many YAML aliases.", "Write the values out.") from error
    except (YAMLError, RecursionError) as error:
        slip, error_of_yaml = slip_behind(error, text, _NAMES), error
        mark, problem = (error.problem_mark, error.problem) if isinstance(error, MarkedYAMLError) else (None, None)
        line = f", line {mark.line + 1}" if mark else ""
        what = f"{path}{line} is not valid YAML: {problem or 'it cannot be read'}."
        remedy = "Check the indentation, the colons and the quotes there."
    if slip:
        what, remedy = f"{path}, line {slip.line}: {slip.what}.", slip.remedy
    raise refused(what, remedy) from error_of_yaml


def _source(document: YamlDocument, root: MappingNode, text: str, file: str) -> _Source:
    locations: dict[_Path, str] = {}
    problems: list[str] = []
    for key, value in root.value:
        if not isinstance(key, ScalarNode) or key.value not in _SECTIONS or isinstance(value, MappingNode):
            continue
        # A slip has made a text or a list of the section.
        first, last = value.start_mark.line, value.end_mark.line
        if isinstance(value, SequenceNode):
            what = f"the keys of {key.value} are written as a list"
            problems.append(f"{file}, line {first + 1}: {what}. Write them without a dash in front.")
        elif slip := slip_in(text.splitlines()[first : last + 1], _NAMES, first + 1):
            problems.append(f"{file}, line {slip.line}: {slip.what}. {slip.remedy}")
    problems += _walk(root, (), file, locations)
    if problems:  # a doubled key cannot be constructed
        return _Source({}, locations, tuple(problems))
    return _Source(cast("Mapping[str, object]", document.value()), locations)


def _walk(node: Node, path: _Path, file: str, locations: dict[_Path, str]) -> Iterator[str]:
    """Note the line of every key; yield a sentence for each doubled key, and for each text that was meant otherwise."""
    for child in node.value if isinstance(node, SequenceNode) else ():
        yield from _walk(child, path, file, locations)
    if slip := silent_slip(node):
        yield f"{file}, line {node.start_mark.line + 1}: {slip[0]}. {slip[1]}"
    if not isinstance(node, MappingNode):
        return
    for key, value in node.value:
        child_path = (*path, key.value if isinstance(key, ScalarNode) else "?")
        location = f"{file}, line {key.start_mark.line + 1}"
        if not isinstance(key, ScalarNode):
            yield f"{location}: a list or a section cannot be a key. Remove the question mark or the brackets there."
        elif child_path in locations:
            yield f"{location}: {'.'.join(child_path)} appears a second time. Remove one of the two."
        locations[child_path] = location
        yield from _walk(key, (), file, locations)
        yield from _walk(value, child_path, file, locations)


def _read_environment(environ: Mapping[str, str]) -> _Source:
    values: dict[str, object] = {}
    locations: dict[_Path, str] = {}
    problems: list[str] = []
    paths = {PREFIX + "__".join(path).upper(): path for path in _KEYS if _ANY not in path}
    for name in sorted(name for name in environ if name.upper().startswith(PREFIX)):
        path = paths.get(name)
        if path is None:
            close = nearest(name, paths, cutoff=0.8)
            problems.append(f"The variable {name} is not known." + (f" Did you mean {close}?" if close else ""))
            continue
        locations[path] = f"the variable {name}"
        value: object = environ[name]
        try:
            # As YAML would read it: 5 is a number, [a, b] a list. An address or a reference stays text.
            if re.match(r"\s*[\[{\"']|\s*[-+0-9.]+\s*$|\s*(true|false|null|~)?\s*$", environ[name]):
                value = read_yaml(environ[name]).value()
        except (YAMLError, RecursionError) as error:
            slip = slip_behind(error, environ[name], ())
            why = f"{slip.what}. {slip.remedy}" if slip else "it is not a value that can be read. Put it in quotes."
            problems.append(f"The variable {name}: {why}")
            continue
        section = values
        for key in path[:-1]:
            inner = section.get(key)
            if not isinstance(inner, dict):  # none yet, or another variable has set all of it
                inner = section[key] = {}
            section = inner
        section[path[-1]] = value
    return _Source(values, locations, tuple(problems))


def _in_words(detail: ErrorDetails, locations: Mapping[_Path, str]) -> str:
    """Say in plain words what pydantic found; never the value, which may be a secret."""
    # A union's branches and a dictionary's keys show up in the location; people know the key by its dotted name.
    key = tuple(
        part
        for part in map(str, detail["loc"])
        if part not in ("str", "SecretReference", "[key]") and "function-" not in part
    )
    around = (locations.get(key[:length]) for length in range(len(key), 0, -1))
    name, place = ".".join(key), next(filter(None, around), "the configuration")
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
    "path_type": "must be text; put it in quotes",
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
    name, within = ".".join(key), key[:-1]
    siblings = [
        path[-1]
        for path in _KEYS
        if len(path) == len(key) and all(one in (_ANY, other) for one, other in zip(path, within, strict=False))
    ]
    homes = _homes(key[-1])
    if close := None if homes else nearest(key[-1], siblings if within else _SECTIONS):
        return f"{name} is not a key. Did you mean {close}?"
    if not homes and (close := nearest(key[-1], [path[-1] for path in _KEYS], cutoff=0.8)):
        name, homes = close, _homes(close)
    if not homes:
        return f"{name} is not a key."
    where = " or ".join(" in ".join(f"{section}:" for section in reversed(home)) for home in homes)
    return f"{name} belongs under {where}, indented by {2 * len(homes[0])} blanks."


def _homes(name: str) -> list[_Path]:
    """Return the sections in which a key of that name may be, those that are the least deep."""
    homes = [path[:-1] for path in _KEYS if path[-1] == name and _ANY not in path]
    return [home for home in homes if len(home) == min(map(len, homes))]
