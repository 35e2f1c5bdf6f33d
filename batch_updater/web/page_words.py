"""What messages say about options of the command line, in the words of the page."""

from __future__ import annotations

import re

_COLUMNS = "“Columns and questions”"
_ORDER = r"--date-order (?:DMY or --date-order MDY|DMY|MDY) \(or set input\.date_order\)"
_CENTURY = r"--two-digit-years \(or set input\.two_digit_years\) with the first year of the hundred \([^)]*\)"
_WORDS = (
    (rf"\badd {_ORDER}(?: and {_CENTURY})?", f"say so under {_COLUMNS}"),
    (rf"\badd {_CENTURY}", f"say so under {_COLUMNS}"),
    (r"\badd --decimal [.,] \(or set input\.decimal\)", f"say so under {_COLUMNS}"),
    (r"\badd --visible-only\.", f"say so under {_COLUMNS}."),
    (r", or give all rows the same value with --set \S+?(?=\.?(?:\s|$))", ""),
    (r"\bAdd --header-row (\d+) \(or set input\.header_row to \d+\)", r"Give \1 as the “Header row”"),
    (r"\badd --compare, or set sending\.compare\.", "press “Read records first”."),
    (r"\bWith --compare\b", "With “Read records first”"),
    (r"\b([Nn])ame the spreadsheet\b", lambda found: f"{'C' if found[1] == 'N' else 'c'}hoose the spreadsheet"),
)
_PATTERNS = tuple((re.compile(pattern), words) for pattern, words in _WORDS)


def in_words_of_the_page(text: str) -> str:
    """Return a message of ours that names no option where the page has a place for it; others stay as they are."""
    for pattern, words in _PATTERNS:
        text = pattern.sub(words, text)
    return text
