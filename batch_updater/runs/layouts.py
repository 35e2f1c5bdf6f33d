"""Remembered layouts: one YAML file for each kind of file, beside the configuration, for people to read and to edit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import msgspec

from batch_updater.errors import ConfigError, Location, ResultsError
from batch_updater.files.writing import write_whole
from batch_updater.loader.header_words import squeezed
from batch_updater.loader.layouts import Layout, LayoutChoice
from batch_updater.questions import Answers

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


class _Content(Answers, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What such a file holds."""

    headers: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]


def read_layouts(folder: Path, name: str | None = None) -> LayoutChoice:
    """Return the layouts of a folder, which need not exist, and that the one called `name` is asked for.

    Raises ConfigError if a file is none.
    """
    files = sorted(folder.glob(f"*{_ENDING}")) if folder.is_dir() else []
    return LayoutChoice(tuple(map(_read, files)), name)


def _read(path: Path) -> Layout:
    from yaml import YAMLError

    from batch_updater.text.yaml_reader import read_yaml

    try:
        value = read_yaml(path.read_text(encoding="utf-8")).value()
        content = msgspec.convert(value, _Content)
        fields = {name: getattr(content, name) for name in Answers.__struct_fields__}
        return Layout(path.name.removesuffix(_ENDING), content.headers, Answers(**fields))
    except (OSError, ValueError, YAMLError, RecursionError) as error:
        why = f"{getattr(error, 'problem', None) or error}".rstrip(".")
        raise ConfigError(
            f"The layout {path} cannot be read: {why}.",
            remedy="Correct it, or delete it and answer the questions again.",
            place=Location(file=str(path)),
        ) from error


def require_name(name: str) -> str:
    """Return the name of a layout without blanks around it. Raises ValueError if no file can be called so."""
    bare = name.strip()
    if not _NAME.fullmatch(bare) or bare.endswith(".") or _RESERVED.fullmatch(bare):
        raise ValueError("a name has letters, digits, blanks, dots and dashes, such as q1-pipeline")
    return bare


def layout_file(folder: Path, name: str) -> Path:
    """Return where the layout of a name is kept."""
    return folder / f"{name}{_ENDING}"


def same_headers(folder: Path, layout: Layout) -> str | None:
    """Return the name of another layout with the same headers: files would have both. Raises ConfigError."""
    own = set(map(squeezed, layout.headers))
    others = (one for one in read_layouts(folder).layouts if one.name != layout.name)
    return next((one.name for one in others if set(map(squeezed, one.headers)) == own), None)


def write_layout(folder: Path, layout: Layout) -> Path:
    """Write a layout, in place of the one of that name. Returns its file. Raises ResultsError."""
    import yaml

    path = layout_file(folder, layout.name)
    value = {"headers": list(layout.headers), **msgspec.to_builtins(layout.answers)}

    class Dumper(yaml.SafeDumper):
        """Quotes every text that YAML 1.1 or 1.2 may read as something else."""

    def quoted(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
        style = None if _PLAIN.fullmatch(text) and text.casefold() not in _NO_TEXTS else '"'
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Dumper.add_representer(str, quoted)
    text = _HEAD + yaml.dump(value, Dumper=Dumper, allow_unicode=True, sort_keys=False, width=10_000)
    try:
        folder.mkdir(exist_ok=True)
        write_whole(path, lambda draft: draft.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise ResultsError(
            f"The layout {path} cannot be written: {error.strerror}.", remedy="See that you may write there."
        ) from error
    return path
