"""A document and the files beside it that its `$ref`s lead to.

They may be in the document's folder and below, links followed. Anything else is refused, and the network is never
asked: who writes a description does not decide which other files of this machine are read.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from urllib.parse import unquote, urlsplit

from batch_updater.endpoint import swagger
from batch_updater.endpoint.overlay import apply_overlay
from batch_updater.endpoint.parsing import digest_of, parse, read_content
from batch_updater.errors import EndpointError, Location
from batch_updater.text.yaml_reader import DoubledKeys


class BadReferenceError(Exception):
    """A reference that leads nowhere; its message follows `refers to ..., which`."""

    def __init__(self, what: str, remedy: str = "Correct the reference.") -> None:
        super().__init__(what)
        self.remedy = remedy


class DocumentFiles:
    """The parsed files of one description. Each is read and parsed once, when it is needed."""

    def __init__(self, path: Path, content: bytes, overlay: Path | None = None) -> None:
        """`content` is that of the document, `overlay` changes it. Raises EndpointError if they are none."""
        self.path = path
        self.digests: dict[str, str | None] = {}
        """Other file that was asked for, from the document's folder -> SHA-256; None: it cannot be read."""
        self.idle: tuple[str, ...] = ()
        """Targets of the overlay that select nothing in the document."""
        self._others: dict[str, object] = {}
        self._found: dict[str, object] = {}
        """Reference -> what it leads to, or the error."""
        root = parse(str(path), content)
        if not isinstance(root, Mapping):
            place = Location(file=str(path))
            raise EndpointError(f"{path} is not an OpenAPI document.", remedy="Name one that is.", place=place)
        if overlay is not None:
            actions = parse(str(overlay), read_content(overlay, "api.overlay"))
            root, self.idle = apply_overlay(root, actions, str(overlay))
        self.root: Mapping[str, object] = swagger.converted(root) if "swagger" in root else root
        """Of the document, in the form of OpenAPI 3."""

    def find(self, target: str) -> object:
        """Return what a reference leads to. In other files they are relative to the document's folder, too.

        Raises BadReferenceError, and EndpointError for a file that cannot be read.
        """
        if target not in self._found:
            self._found[target] = BadReferenceError("leads in a circle")  # if it is asked for once more meanwhile
            try:
                self._found[target] = self._find(target)
            except (BadReferenceError, EndpointError) as error:
                self._found[target] = error
        found = self._found[target]
        if isinstance(found, (BadReferenceError, EndpointError)):
            raise found
        return found

    def followed(self, value: object) -> object:
        """Return what a reference leads to through others, or anything else as it is. Raises what `find` does."""
        seen = set()
        while isinstance(value, Mapping) and isinstance(target := value.get("$ref"), str):
            if target in seen:
                raise BadReferenceError("leads in a circle")
            seen.add(target)
            value = self.find(target)
        return value

    def _find(self, target: str) -> object:
        name, _, fragment = self._normal(target).partition("#")
        root = self._file(name) if name else self.root
        if fragment and not fragment.startswith("/"):
            raise BadReferenceError("is not supported", "Refer to a JSON pointer: #/components/schemas/...")
        decoded = unquote(fragment)
        for pointer in (fragment, decoded) if decoded != fragment else (fragment,):
            value = root
            for part in pointer.split("/")[1:]:
                key = part.replace("~1", "/").replace("~0", "~")
                if isinstance(value, Mapping) and key not in value:
                    value = self.followed(value)
                if isinstance(value, DoubledKeys) and key in value.doubled:
                    raise BadReferenceError(f"has {key} twice")
                if isinstance(value, Mapping) and key in value:
                    value = value[key]
                elif isinstance(value, list) and key.isdecimal() and len(key) < 10 and int(key) < len(value):
                    value = value[int(key)]
                else:
                    break
            else:
                return value
        raise BadReferenceError("does not exist")

    def _file(self, name: str) -> object:
        if name not in self._others:
            path = _path_beside(self.path, name)
            self.digests[name] = None
            content = read_content(path)
            self.digests[name] = hashlib.sha256(content).hexdigest()
            self._others[name] = self._from_folder(parse(str(path), content), name)
        return self._others[name]

    def _from_folder(self, root: object, name: str) -> object:
        """Return the root of another file with references that are relative to the document's folder."""
        rest = [root]
        while rest:
            value = rest.pop()
            if isinstance(value, dict):
                if isinstance(target := value.get("$ref"), str):
                    value["$ref"] = self._absolute(target, name)
                rest += value.values()
            elif isinstance(value, list):
                rest += value
        return root

    def _absolute(self, target: str, name: str) -> str:
        file, _, fragment = target.partition("#")
        url = urlsplit(file)
        if url.scheme or url.netloc or file.startswith("/"):
            return target
        return self._normal(f"{posixpath.join(posixpath.dirname(name), file) if file else name}#{fragment}")

    def _normal(self, target: str) -> str:
        """Return a reference in the one form that leads to the same."""
        name, _, fragment = target.partition("#")
        if name and "://" not in name:
            name = posixpath.normpath(name)
        return f"#{fragment}" if unquote(name) == self.path.name else f"{name}#{fragment}"


def digest_beside(document: Path, name: str) -> str | None:
    """Return what `DocumentFiles.digests` has for a file beside a document."""
    try:
        return digest_of(_path_beside(document, name))
    except (BadReferenceError, EndpointError):
        return None


def _path_beside(document: Path, name: str) -> Path:
    """Return the path of another file; `name` is a reference from the document's folder. Raises BadReferenceError."""
    url, text, folder = urlsplit(name), unquote(name), document.parent.resolve()
    if url.netloc or len(url.scheme) > 1:
        raise BadReferenceError("is on the network", "Use a document that is bundled into one file.")
    is_elsewhere = PureWindowsPath(text).anchor or "\0" in text
    if is_elsewhere or not (folder / text).resolve().is_relative_to(folder):
        raise BadReferenceError("is outside of the document's folder", "Use a document that is bundled into one file.")
    return document.parent / text
