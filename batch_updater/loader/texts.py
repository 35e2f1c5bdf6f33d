"""Cells of text -> the text that is sent: what cannot be meant is refused, what is probably not meant is noted."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from batch_updater.endpoint.description import Field, ParameterLocation
from batch_updater.loader.clear_marker import ClearMarker, Nearness
from batch_updater.loader.findings import CellNote
from batch_updater.loader.mojibake import meant_by
from batch_updater.loader.numbers import text_without_residue
from batch_updater.loader.refusal import ValueProblem, shown
from batch_updater.text.characters import composed, look_alike_in, named, unseen_in, without_unseen
from batch_updater.text.lazy_pattern import lazy_pattern

POINT_ZERO: Final = "number-made-of-text"
"""Code of the problem of an identifier that ends in `.0`; other cells of its column may show that it is meant."""
_CONTROL = lazy_pattern(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_REPLACEMENT = "\ufffd"
_LATIN = "A-Za-z\u00c0\u00c1\u00c6-\u017f"
"""Letters of the languages of Europe, without those with which letters begin that were read in another encoding."""
_ORDINARY = re.compile(rf"[{_LATIN}](?:[ -$'-;=-\[\]-~{_LATIN}]++|&(?= ))*+(?<! )|[0-9]+(?:[/_-][0-9A-Za-z]+)*")
"""What nearly every text is: without % < \\ and &entities;, without a blank at its end, no number but a whole one.

Nothing in it can be wrong, unless it is near the clear marker or one of `_NOTHING`."""
_NOTHING: Final = frozenset(
    (
        r"\n", "null", "(null)", "<null>", "[null]", "{null}", "none", "<none>", "(none)", "nan", "<nan>", "nat",
        "<na>", "n/a", "n.a.", "k.a.", "nil", "undefined", "[object object]", "#null", "#empty", "#blank", "(blank)",
        "<blank>", "[blank]", "(empty)", "<empty>", "[empty]", "(leer)", "(vide)", "(vac\u00edo)", "(en blanco)",
        "(vuoto)", "(vazio)", "-", "--", "---", "\u2013", "\u2014", "?", "??", "???",
    )
)  # fmt: skip
"""What databases, programs and people write for no value, in small letters."""
_POINT_ZERO = lazy_pattern(r"([-+]?[0-9]+(?:,[0-9]{3})*)[.,](0+)")
_DIGITS_OF_A_GROUP = 3
_FEWEST_DIGITS = 3
"""Of a number that ends in `.0` in a field that is no identifier; 2.0 is more likely a version."""
_SHORTENED = lazy_pattern(r"-?[0-9](?:(?:[.,][0-9]+)?[eE]\+|[.,][0-9]+[eE]-?)[0-9]+")
"""As Excel (1.23E+11), or a program (Java's 1.23E11), shows a number of many digits."""
_MARKUP = lazy_pattern(
    r"&(?:[A-Za-z][A-Za-z0-9]{1,30}|#[0-9]{1,7}|#x[0-9A-F]{1,6});"
    r"|<!--|</?(?:br|div|em|font|h[1-6]|hr|img|li|ol|pre|script|small|span|strong|style|sub|sup|table|tbody|td|th|tr|ul)"
    r"(?:\s[^<>]*)?/?>|<(?:(?-i:[abipu])|/[abipu]|[abipu]\s[^<>=]*=[^<>]*)>"
    r"|\\(?:u[0-9A-F]{4}|x[0-9A-F]{2})|=\?[A-Z0-9-]+\?[QB]\?|(?<=[A-Za-z])%20(?=[A-Za-z0-9])|%C3%[89AB][0-9A-F]",
    re.IGNORECASE,
)
"""Entities and tags of HTML, and letters as programs escape them.

A capital in angle brackets is a tag only where another one closes it: the name A<B>C holds none.
"""
_LOOKED_AT = 2_000
"""Characters at the beginning of a text that are searched for what is probably not meant."""
NEAR_CLEAR_MARKER: Final = "near-clear-marker"
"""Code of what looks like the clear marker and is written otherwise."""
_APOSTROPHES = "'\u2018\u2019\u201b\u2032\uff07\u02bc\u00b4`"
_APOSTROPHE_FOR_EXCEL = lazy_pattern(
    rf"[{_APOSTROPHES}]+\s*(?=[=+@\t\r\d-])(?!\d\ds\b)(?!\d+[ \u00a0]+[^\W\d_])"
    rf"(?!\d[^{_APOSTROPHES}]*(?:\s[^{_APOSTROPHES}]*[{_APOSTROPHES}](?!\w)|[{_APOSTROPHES}]\s+\w))"
    "(?!(?<=\u2018)[^\u2018\u2019]*\u2019$)"
)
"""An apostrophe that makes a text of what is behind it.

In the '90s and a '68 Corvette, and around '24 hours' and \u20182026\u2019, it belongs to the text.
"""
_APOSTROPHE_OF_NAME = lazy_pattern(
    rf"[{_APOSTROPHES}]+\s*(\d+)[ \u00a0]+[^\W\d_](?![^{_APOSTROPHES}]*[{_APOSTROPHES}](?!\w))"
)
"""An apostrophe before a number and a word: most likely of a year, if there are two digits."""
_ODD_BLANK = lazy_pattern(r"[^\S ]")
_ODD_SIGN = lazy_pattern("[\u2010-\u2015\u2212\ufe58\ufe63\uff01-\uff5e]")
"""Dashes and full-width characters: word processors and keyboards of East Asia write them for those of ASCII."""

_AS_IT_IS = "It is sent as it is."
_INVISIBLE: Final = "invisible-character"
_FOR_NOTHING: Final = "word-for-nothing"
_IS_FOR_NOTHING = "is usually written where there is no value"


class TextReader:
    """Reads the texts of one column for a field of free text."""

    def __init__(self, field: Field, noted: list[CellNote], marker: ClearMarker, *, has_fractions: bool) -> None:
        """Add notes to `noted`. `has_fractions`: the column holds numbers such as 4711.5, so 4711.0 is one, too."""
        self._field = field
        self._noted = noted
        self._marker = marker
        self._has_fractions = has_fractions
        self._firsts = _unusual_firsts(marker)

    def is_plain(self, text: str) -> bool:
        """Whether a text is sent as it is: it is no marker, no error (`Err:502`) and nothing that could be wrong."""
        return _ORDINARY.fullmatch(text) is not None and text[0] not in self._firsts

    def read(self, text: str) -> str:
        """Return the text that is sent for one that is neither blank nor the clear marker. Raises ValueProblem."""
        if _ORDINARY.fullmatch(text) and text.lower() not in _NOTHING and self._marker.nearness(text) is Nearness.NONE:
            return text
        bare, is_identifier = text.strip(), self._field.is_identifier
        nearness = self._marker.nearness(bare)
        if nearness is Nearness.NEAR_MISS:
            raise _near_miss(self._field, bare, self._marker.text)
        if nearness is Nearness.WORD:
            emptied = f"If the field is to be emptied, type {self._marker.text}."
            self._note(bare, NEAR_CLEAR_MARKER, f"is sent as it is. {emptied}")
        as_written(self._field, text)
        begin = bare[:_LOOKED_AT]
        if bare[0] in _APOSTROPHES if is_identifier else _APOSTROPHE_FOR_EXCEL.match(begin):
            raise _apostrophe(bare)
        if (found := _APOSTROPHE_OF_NAME.match(begin)) and len(found[1]) != len("68"):
            self._note(bare, "apostrophe-in-front", "begins with an apostrophe, which is sent with it.")
        if bare[-1].isdigit():
            self._look_for_numbers(bare)
        if not text.isascii():
            self._look_at_characters(text)
        if bare.lower() in _NOTHING:
            instead = _instead_of_a_value(self._field, self._marker.text)
            self._note(bare, _FOR_NOTHING, f"{_IS_FOR_NOTHING}. {_AS_IT_IS} {instead}")
        elif found := _MARKUP.search(bare, 0, _LOOKED_AT):
            written = f"holds {shown(found[0], quoted=True)}, as web pages and programs write it."
            self._note(bare, "markup", f"{written} {_AS_IT_IS}")
        if bare != text:
            self._note(text, "blanks-around", "has blanks around it, which are sent with it.")
        if is_identifier and (odd := _ODD_BLANK.search(bare)):
            self._note(text, "odd-blank", f"holds {named(odd[0])} where a blank seems to be.")
        if is_identifier and (odd := _ODD_SIGN.search(bare)):
            self._note(text, "odd-sign", f"holds {named(odd[0])}, which looks like another sign.")
        return composed(text)

    def _note(self, text: str, code: str, what: str) -> None:
        self._noted.append(CellNote(self._field.name, code, f"{shown(text, quoted=True)} {what}"))

    def _doubt(self, text: str, code: str, what: str, remedy: str, *, is_refused: bool) -> None:
        """Refuse a text that is probably not meant, or note that it is sent."""
        if is_refused:
            raise ValueProblem.of(text, code, what, remedy)
        self._note(text, code, f"{what}. {_AS_IT_IS}")

    def _look_for_numbers(self, bare: str) -> None:
        is_identifier = self._field.is_identifier
        if _SHORTENED.fullmatch(bare):
            what = "is in scientific notation: Excel may have left out digits"
            self._doubt(bare, "may-be-damaged", what, "Type it in full, from its source.", is_refused=is_identifier)
        elif found := _POINT_ZERO.fullmatch(bare):
            whole = found[1].replace(",", "")
            digits = len(whole.lstrip("+-"))
            is_group = len(found[2]) == _DIGITS_OF_A_GROUP and digits <= _DIGITS_OF_A_GROUP
            meant = f"{whole} or {whole}{found[2]}" if is_group else whole
            what = f"is probably {meant}: a program has made a number of it"
            remedy = f"Type {meant}; or export the column as text, which keeps it."
            if is_identifier or digits >= _FEWEST_DIGITS:
                is_refused = is_identifier and not self._has_fractions
                self._doubt(bare, POINT_ZERO, what, remedy, is_refused=is_refused)
        elif (number := text_without_residue(bare)) is not None:
            what = f"is probably {number:f} as a program has calculated it"
            remedy = f"Type {number:f}, or what is meant, from its source."
            self._doubt(bare, "calculated", what, remedy, is_refused=is_identifier)

    def _look_at_characters(self, text: str) -> None:
        unseen = unseen_in(text)
        if unseen is not None and (self._field.is_identifier or not without_unseen(text).strip()):
            raise _invisible(text, unseen)
        if _REPLACEMENT in text:
            raise _lost_letter(text)
        if (repaired := meant_by(text)) is not None:
            meant = f"is probably {shown(repaired, quoted=True)}, read in another encoding than it was written in."
            self._note(text, "read-in-another-encoding", f"{meant} {_AS_IT_IS}")
        elif unseen is not None:
            self._note(text, _INVISIBLE, f"holds {named(unseen)}, which cannot be seen. It is sent with it.")
        elif other := look_alike_in(text):
            self._note(text, "other-script", f"holds {named(other)} among Latin letters.")


def plain_texts(marker: ClearMarker) -> Callable[[Sequence[str]], bool]:
    """Return what says whether `TextReader.is_plain` holds for all of some texts, many times as fast."""
    firsts = re.escape("".join(sorted(_unusual_firsts(marker))))
    plain_lines = re.compile(rf"(?:(?![{firsts}])(?:{_ORDINARY.pattern})\n)++")

    def are_plain(texts: Sequence[str]) -> bool:
        lines = "\n".join((*texts, ""))
        # A line break within a text would make two lines of it.
        return lines.count("\n") == len(texts) and plain_lines.fullmatch(lines) is not None

    return are_plain


def _unusual_firsts(marker: ClearMarker) -> set[str]:
    """Return the characters with which texts may begin that are not meant: markers, errors, words for nothing."""
    return marker.firsts | {first for word in _NOTHING for first in (word[0], word[0].upper())} | {"E"}


def as_written(field: Field, text: str) -> str:
    """Return a text as it is. Raises ValueProblem if it cannot be sent, or be a part of a record's address."""
    # Nearly every text is printable, which is told faster than that it has no control character.
    is_printable = text.isprintable()
    if not is_printable and (found := _CONTROL.search(text)):
        what = f"holds the character U+{ord(found[0]):04X}, which cannot be seen or sent"
        raise ValueProblem.of(text, "control-character", what, "Type the text again.")
    if field.location is ParameterLocation.PATH and (text in {".", ".."} or not is_printable):
        if (unseen := unseen_in(text)) is not None:
            raise _invisible(text, unseen)
        odd = next((character for character in text if not character.isprintable()), None)
        what = "cannot name a record" + (f": it holds {named(odd)}" if odd else "")
        raise ValueProblem.of(text, "not-an-identifier", what, "Type the record's own name.")
    return text


def refuse_for_cause(field: Field, text: str, marker: ClearMarker) -> None:
    """Raise ValueProblem if something in a text is the likely reason why it is no value of its field."""
    bare = text.strip()
    # No exception is held in a variable: it would hold this frame, which would hold it.
    if marker.nearness(bare) is not Nearness.NONE:
        raise _near_miss(field, bare, marker.text) from None
    if bare[0] in _APOSTROPHES:
        raise _apostrophe(bare) from None
    if _REPLACEMENT in text:
        raise _lost_letter(text) from None
    if (unseen := unseen_in(text)) is not None:
        raise _invisible(text, unseen) from None
    if bare.lower() in _NOTHING:
        remedy = _instead_of_a_value(field, marker.text)
        raise ValueProblem.of(bare, _FOR_NOTHING, _IS_FOR_NOTHING, remedy) from None


def _near_miss(field: Field, text: str, marker: str) -> ValueProblem:
    what = f"looks like {marker}, which empties a field, but is written otherwise"
    remedy = (
        f"Did you mean {marker}?" if field.can_be_cleared else f"The {field.title} cannot be emptied: type a value."
    )
    return ValueProblem.of(text, NEAR_CLEAR_MARKER, what, remedy)


def _instead_of_a_value(field: Field, marker: str) -> str:
    emptied = f", or type {marker} to empty it" if field.can_be_cleared else ""
    return f"Leave the cell blank to keep the field as it is{emptied}."


def _apostrophe(bare: str) -> ValueProblem:
    meant = bare.lstrip(_APOSTROPHES).removesuffix(bare[0]).strip()
    remedy = f"Take it away: {shown(meant, quoted=True)} is probably meant." if meant else "Type a value."
    what = "begins with an apostrophe, which was probably put there for Excel"
    return ValueProblem.of(bare, "apostrophe-in-front", what, remedy)


def _lost_letter(text: str) -> ValueProblem:
    what = f"holds {named(_REPLACEMENT)}, the mark of a program that has lost a letter"
    return ValueProblem.of(text, "replacement-character", what, "Type the text again, from its source.")


def _invisible(text: str, unseen: str) -> ValueProblem:
    what = f"holds {named(unseen)}, which cannot be seen"
    if without_unseen(text).strip():
        return ValueProblem.of(text, _INVISIBLE, what, "Type the text again.")
    return ValueProblem(_INVISIBLE, f"The cell looks blank but {what}.", "Delete what it holds, or type a value.")
