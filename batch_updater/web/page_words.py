"""What people are told to do, in words of the page: sentences that the command line shows as well name its options."""

from __future__ import annotations

import re

_THERE = "on the page of the file"
_AS_SET = r"(?: \(or set [^)]*\))?"
_OPTION = rf"--[a-z][a-z-]*(?: (?!or\b|and\b|with\b|\()[^\s();]*[^\s();.])?{_AS_SET}"
_WORDS = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        # What stands for itself comes before what it is part of.
        (r"move that folder away, or add --restart", "let the person who runs the server move that folder away"),
        (r"add --restart", "close that run on its page, then send the file again"),
        (r"add --compare, or set sending\.compare", "choose “Read records first”"),
        (r"Leave out --compare and sending\.compare, or set", "Send it without reading records first, or set"),
        (r"[Ww]ith --compare\b|(?<=which )--compare\b", lambda found: _capital(found[0], "reading records first")),
        (r"run it with --override-guards, or change", "let another person approve it, or change"),
        (r"add --keep-going", "let the run go on"),
        (r"[Rr]un again without --limit", lambda found: _capital(found[0], "let the run go on")),
        (r", where --header-row or input\.header_row says it is", ", where its header row is said to be"),
        (r"Correct --header-row, or input\.header_row", f"Correct the header row {_THERE}"),
        (rf"Add --header-row (\d+){_AS_SET}", rf"Choose row \1 as the header row {_THERE}"),
        (r"Say which (?:one )?to read: --sheet [^\n]*? in the configuration", f"Choose the sheet {_THERE}"),
        (r"say by option what these columns are", f"say {_THERE} what these columns are"),
        (r"(?:Name another layout, or l|L)eave --layout out", f"Choose another layout, or none, {_THERE}"),
        (r"Name one, such as --layout [^\n]*?, or remove", f"Choose one {_THERE}, or remove"),
        (r", or give all rows the same value with --set [^\n]*?(?=\.\s|\.$|$)", ", or set input.constants"),
        (r"--set (?:\(or (input\.constants)\)|(?:or|and) (input\.constants))", r"input.constants"),
        (r",? or name another(?: place| path)? with --results| --results names another[^.]*\.", ""),
        (r"[Nn]ame another(?: place)? with --results", "See that there is space and the right to write"),
        (r"Ask for that one: --row (\d+)", r"Ask for that one: row \1"),
        (r"ask ([^:\n]*): `batch-updater report (\S+) --row (\d+)`", r"ask \1: row \3 of \2"),
        (r"run the file again with --all-rows", f"say so {_THERE}, and send it again"),
        (r"run the file again with --with-totals", f"say so {_THERE}, and send it again"),
        (
            r"run this results workbook instead, repaired where that is needed: [^\n]*",
            "repair them on the page of that run.",
        ),
        (r"batch-updater report (\S+) writes it again", r"the page of \1 writes it again"),
        (r"with `batch-updater undo`", "with “Undo this run”"),
        (r"`batch-updater team import` copies (\w+)", r"the person who runs the server can copy \1"),
        (r"(?:Look at|Check) it with `batch-updater doctor`", "Look at the page Settings"),
        (r"batch-updater worker --migrate", "Let the person who runs the server bring its tables up to date"),
        (rf"[Aa]dd {_OPTION}(?:,? (?:and|or) {_OPTION})*", lambda found: _capital(found[0], f"say so {_THERE}")),
    )
)


def in_page_words(text: str) -> str:
    """Return a message, note or remedy without options where the page has another way; anything else stays as it is."""
    if "-" not in text and "by option" not in text:
        return text
    for pattern, words in _WORDS:
        text = pattern.sub(words, text)
    return text


def _capital(found: str, words: str) -> str:
    """Return words with the capital letter that what they stand for has, if it has one."""
    return words[0].upper() + words[1:] if found[0].isupper() else words
