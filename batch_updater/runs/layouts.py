"""Remembered layouts: one YAML file for each kind of file, beside the configuration, for people to read and to edit.

Those of a team are in its database, as the same YAML.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import msgspec

from batch_updater.errors import ResultsError, UsageError
from batch_updater.files.writing import write_whole
from batch_updater.loader.header_words import squeezed
from batch_updater.loader.layouts import DamagedLayout, Layout, LayoutChoice
from batch_updater.questions import OF_COLUMNS, Answers
from batch_updater.runs.team_folders import team_of
from batch_updater.text.spelling import nearest
from batch_updater.text.typed_values import typed

_ENDING = ".yaml"
_NAME = re.compile(r"[^\W_][\w .-]{0,79}")
"""What a layout may be called: its name is that of a file, on Windows too."""
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.() -]*(?<! )")
_NO_TEXTS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_HEAD = """\
# How files with these headers are read. batch-updater writes this file and reads it; you may edit it.
# columns: header: field, or null for a column that is not sent.
"""
_PUT = """
    INSERT INTO layouts (name, content) VALUES (%(name)s, %(content)s)
    ON CONFLICT (name) DO UPDATE SET content = excluded.content, changed_at = clock_timestamp()"""
_RENAME = """
    UPDATE layouts SET name = %(new)s, changed_at = clock_timestamp() WHERE name = %(name)s
    AND NOT EXISTS (SELECT FROM layouts WHERE name = %(new)s AND name <> %(name)s)"""


class _Content(Answers, frozen=True, kw_only=True):
    """What such a file holds."""

    headers: Annotated[tuple[Annotated[str, msgspec.Meta(pattern=r"\S")], ...], msgspec.Meta(min_length=1)]
    two_digit_years: Mapping[str, Annotated[int, msgspec.Meta(ge=1900, le=2100)]] = {}
    clear_marker: Mapping[str, Annotated[str, msgspec.Meta(min_length=1)]] = {}


_EXPECTED = {
    "headers": "a list with at least one header, each of them text: in quotes if it looks like a number or a date",
    "sheet": "the name of a sheet; put it in quotes",
    "columns": "the name of a field, or null for a column that is not sent",
    "date_order": "DMY, MDY or none",
    "two_digit_years": "a year from 1900 to 2100, the first of a hundred",
    "decimal": '".", "," or none',
    "clear_marker": "a text with at least one character; put it in quotes",
    "hidden_rows": "send or leave out",
    "rows_below": "leave out or judge",
}
"""Every key -> its values; of a key about columns, those of each header."""


def read_layouts(folder: Path, name: str | None = None) -> LayoutChoice:
    """Return the layouts of a folder, which need not exist, and that the one called `name` is asked for.

    Raises ResultsError if a team's database cannot be used.
    """
    if team := team_of(folder):
        with team.session() as connection:
            found = connection.execute("SELECT name, content FROM layouts ORDER BY name").fetchall()
        every = [_parsed(str(one), "", str(content).encode()) for one, content in found]
    else:
        every = list(map(_read, sorted(folder.glob(f"*{_ENDING}")) if folder.is_dir() else []))
    return LayoutChoice(
        tuple(one for one in every if isinstance(one, Layout)),
        name,
        tuple(one for one in every if isinstance(one, DamagedLayout)),
    )


def _read(path: Path) -> Layout | DamagedLayout:
    name = path.name.removesuffix(_ENDING)
    try:
        content = path.read_bytes()
    except OSError as error:
        why = f"The layout {path} cannot be read: {error.strerror or error}."
        return DamagedLayout(name, str(path), why, "")
    return _parsed(name, str(path), content)


def _parsed(name: str, file: str, content: bytes) -> Layout | DamagedLayout:
    from yaml import YAMLError

    from batch_updater.config.yaml_slips import slip_behind
    from batch_updater.text.yaml_reader import read_yaml

    text, faults = content.decode(errors="replace"), []
    try:
        value = read_yaml(StringIO(content.decode(), newline=None).read()).value()
        if not (faults := list(_faults(value))):
            known = typed(value, _Content)
            fields = {field: getattr(known, field) for field in Answers.__struct_fields__}
            return Layout(name, known.headers, Answers(**fields), file)
    except UnicodeDecodeError:
        faults = ["it is not text in UTF-8"]
    except (YAMLError, RecursionError) as error:
        mark, slip = getattr(error, "problem_mark", None), slip_behind(error, text, _EXPECTED)
        line = slip.line if slip else mark.line + 1 if mark else 0
        what = slip.what if slip else getattr(error, "problem", None) or "it is not valid YAML"
        faults = [f"line {line}: {what}" if line else what]
    return DamagedLayout(name, file, f"The layout {file or repr(name)} cannot be read: {'; '.join(faults)}.", text)


def _faults(value: object) -> Iterator[str]:
    """Yield what is wrong with what a file holds, key by key."""
    if not isinstance(value, dict):
        yield "it has no keys such as headers:"
        return
    for key in [key for key in value if key not in _EXPECTED]:
        close = nearest(str(key), _EXPECTED)
        yield f"{key} is no key of a layout{f' (did you mean {close}?)' if close else ''}"
    headers: Any = value.get("headers")
    if not _is_one(headers, _kinds()["headers"]):
        yield f"headers must be {_EXPECTED['headers']}"
        return
    if doubled := [header for header, count in Counter(headers).items() if count > 1]:
        yield f"headers has {doubled[0]!r} twice"
    yield from _answer_faults(value, headers)


def answers_of(value: object) -> Answers:
    """Return the answers that a program gives under the keys of a layout, or as `Answers` hold them.

    Raises ValueError, which says key by key what is wrong.
    """
    if not isinstance(value, Mapping):
        raise ValueError("they are no mapping")  # noqa: TRY004  (as for all else that is wrong with them)
    keys, faults = [key for key in _EXPECTED if key != "headers"], []
    for key in value.keys() - {*keys, "header_row"}:
        close = nearest(str(key), keys)
        faults.append(f"{key} is none of its keys{f' (did you mean {close}?)' if close else ''}")
    if not _is_one(value.get("header_row"), int | None):
        faults.append("header_row must be a number")
    if faults := [*sorted(faults), *_answer_faults(value, None)]:
        raise ValueError("; ".join(faults))
    return typed(value, Answers)


def _answer_faults(value: Mapping[str, object], headers: Collection[str] | None) -> Iterator[str]:
    """Yield what is wrong with the values under the known keys; `headers`: those that there are, if that is known."""
    kinds = _kinds()
    for key in [key for key in _EXPECTED if key in value]:
        answer, expected = value[key], _EXPECTED[key]
        if key not in {"columns", *OF_COLUMNS}:
            if not _is_one(answer, kinds[key]):
                yield f"{key} must be {expected}"
        elif not isinstance(answer, Mapping):
            yield f"{key} must be a list of `header: value` pairs"
        else:
            for header, one in answer.items():
                if headers is not None and header not in headers:
                    close = nearest(str(header), headers)
                    meant = f" (did you mean {close!r}?)" if close else ""
                    yield f"{key} names {header!r}, which is none of its headers{meant}"
                elif not _is_one({header: one}, kinds[key]):
                    yield f"{key} of {header!r} must be {expected}"


def _kinds() -> dict[str, Any]:
    return get_type_hints(_Content, include_extras=True)


def _is_one(value: object, kind: Any) -> bool:
    try:
        typed(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def require_name(name: str) -> str:
    """Return the name of a layout without blanks around it. Raises ValueError if no file can be called so."""
    bare = name.strip()
    if not _NAME.fullmatch(bare) or bare.endswith(".") or _RESERVED.fullmatch(bare):
        raise ValueError("a name has letters, digits, blanks, dots and dashes, such as q1-pipeline")
    return bare


def place_of(folder: Path, name: str) -> Path | str:
    """Return where the layout of a name is kept: its file, or the words for one of a team."""
    return f"the team's layout {name!r}" if team_of(folder) else _file(folder, name)


def is_taken(folder: Path, name: str) -> bool:
    """Whether there is a layout of that name, be it damaged or not."""
    return name in layout_names(folder) if team_of(folder) else _file(folder, name).exists()


def layout_names(folder: Path) -> list[str]:
    """Return the names of the layouts that there are, be they damaged or not. Raises ResultsError."""
    if team := team_of(folder):
        with team.session() as connection:
            return [str(name) for (name,) in connection.execute("SELECT name FROM layouts ORDER BY name")]
    return sorted(path.name.removesuffix(_ENDING) for path in folder.glob(f"*{_ENDING}"))


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}{_ENDING}"


def layout_text(folder: Path, name: str) -> str:
    """Return what the file of a layout holds. Raises ResultsError if it cannot be read."""
    path = _file(folder, name)
    with _changing(path, "read"):
        return path.read_bytes().decode(errors="replace")


def same_headers(folder: Path, layout: Layout) -> str | None:
    """Return the name of another layout with the same headers: files would have both."""
    own = set(map(squeezed, layout.headers))
    others = (one for one in read_layouts(folder).layouts if one.name != layout.name)
    return next((one.name for one in others if set(map(squeezed, one.headers)) == own), None)


def write_layout(folder: Path, layout: Layout) -> Path | str:
    """Write a layout, in place of the one of that name. Returns where it is, as `place_of`. Raises ResultsError."""
    path, text = _file(folder, layout.name), _as_yaml(layout)
    if team := team_of(folder):
        with team.session() as connection:
            connection.execute(_PUT, {"name": layout.name, "content": text})
        return place_of(folder, layout.name)
    try:
        folder.mkdir(exist_ok=True)
        write_whole(path, lambda draft: draft.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise ResultsError(
            f"The layout {path} cannot be written: {error.strerror}.", remedy="See that you may write there."
        ) from error
    return path


def _as_yaml(layout: Layout) -> str:
    import yaml

    value = {"headers": list(layout.headers), **msgspec.to_builtins(layout.answers)}

    class Dumper(yaml.SafeDumper):
        """Quotes every text that YAML 1.1 or 1.2 may read as something else."""

    def quoted(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
        style = None if _PLAIN.fullmatch(text) and text.casefold() not in _NO_TEXTS else '"'
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Dumper.add_representer(str, quoted)
    return _HEAD + yaml.dump(value, Dumper=Dumper, allow_unicode=True, sort_keys=False, width=10_000)


def rename_layout(folder: Path, name: str, new_name: str) -> str:
    """Give a layout another name, which it returns. Raises UsageError if there is none, or another of the new name."""
    _require(folder, name)
    try:
        bare = require_name(new_name)
    except ValueError as error:
        raise UsageError(f"{new_name!r} is no name of a layout.", remedy=f"{error}.".capitalize()) from error
    doubled = UsageError(f"There is a layout {bare!r} already.", remedy="Choose another name, or delete that one.")
    if team := team_of(folder):
        with team.session() as connection:
            if not connection.execute(_RENAME, {"name": name, "new": bare}).rowcount:
                raise doubled
        return bare
    path, target = _file(folder, name), _file(folder, bare)
    with _changing(path, "renamed"):
        # Where case does not matter, a name in another case is that of the same file.
        if target.exists() and not target.samefile(path):
            raise doubled
        path.rename(target)
    return bare


def delete_layout(folder: Path, name: str) -> None:
    """Delete a layout: files with its headers are asked about again. Raises UsageError if there is none."""
    _require(folder, name)
    if team := team_of(folder):
        with team.session() as connection:
            connection.execute("DELETE FROM layouts WHERE name = %(name)s", {"name": name})
        return
    path = _file(folder, name)
    with _changing(path, "deleted"):
        path.unlink()


def _require(folder: Path, name: str) -> None:
    """Raise UsageError unless there is a layout of that name, whatever is asked for."""
    if name not in layout_names(folder):
        raise UsageError(f"There is no layout {name!r}.", remedy="It may have been renamed or deleted meanwhile.")


@contextmanager
def _changing(path: Path, refused: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ResultsError(
            f"The layout {path.name} cannot be {refused}: {error.strerror}.", remedy="See that you may write there."
        ) from error
