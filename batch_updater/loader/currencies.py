"""Which currency an amount or a header names, where that can be told."""

from __future__ import annotations

import re
from typing import Final

from batch_updater.endpoint.description import Field
from batch_updater.loader.findings import CellNote
from batch_updater.text.lazy_pattern import lazy_pattern

_CODES = (
    "AED ARS AUD BGN BHD BRL CAD CHF CLP CNY COP CZK DKK EGP EUR GBP HKD HUF IDR ILS INR ISK JOD JPY KES KRW KWD KZT "
    "MAD MXN MYR NGN NOK NZD OMR PEN PHP PKR PLN QAR RON RSD RUB SAR SEK SGD THB TND TRY TWD UAH USD UYU VND ZAR"
)
"""Codes of ISO 4217 that are read around an amount."""
_NAMED: Final = {
    "$": "USD AUD CAD NZD SGD HKD TWD MXN ARS CLP COP UYU", "\u20ac": "EUR", "\u00a3": "GBP EGP", "\u00a5": "JPY CNY",
    "\u20b9": "INR", "\u20bd": "RUB", "\u20a9": "KRW", "\u20ba": "TRY", "\u20aa": "ILS", "\u20ab": "VND",
    "\u0e3f": "THB", "\u20b1": "PHP",
    "US$": "USD", "U$": "USD", "A$": "AUD", "AU$": "AUD", "C$": "CAD", "CA$": "CAD", "NZ$": "NZD", "S$": "SGD",
    "HK$": "HKD", "NT$": "TWD", "MX$": "MXN", "R$": "BRL",
    "euro": "EUR", "euros": "EUR", "dollar": "USD AUD CAD NZD SGD HKD TWD", "dollars": "USD AUD CAD NZD SGD HKD TWD",
    "pound": "GBP EGP", "pounds": "GBP EGP", "sterling": "GBP", "yen": "JPY", "yuan": "CNY", "rmb": "CNY",
    "franken": "CHF", "rupees": "INR PKR", "rubles": "RUB", "zloty": "PLN", "kroner": "DKK NOK", "kronor": "SEK",
    "eur": "EUR", "usd": "USD", "gbp": "GBP", "chf": "CHF", "jpy": "JPY",
    **{code: code for code in _CODES.split()},
}  # fmt: skip
"""Sign, code or word -> the codes that it may stand for. Codes that are words in small letters count in capitals."""
_NAMED_IN_FORMATS: Final = {
    "kr": "DKK NOK SEK ISK", "z\u0142": "PLN", "k\u010d": "CZK", "ft": "HUF", "lei": "RON", "rs": "INR PKR",
    "rp": "IDR", "rm": "MYR", "tl": "TRY", "\u0440": "RUB", "\u0440\u0443\u0431": "RUB", "\u0433\u0440\u043d": "UAH",
    "fr": "CHF", "sfr": "CHF",
}  # fmt: skip
"""Abbreviation, in small letters, that a format may have beside its digits -> the same. Elsewhere they are words."""
_SIGN = "[A-Z]{0,3}[$\u20ac\u00a3\u00a5\u20b9\u20bd\u20a9\u20ba\u20aa\u20ab\u0e3f\u20b1]"
AROUND_AN_AMOUNT: Final = rf"(?:{_SIGN}|(?:{_CODES.replace(' ', '|')}))"
"""Pattern of what may name a currency in front of an amount or behind it."""
FRANCS: Final = lazy_pattern(r"(?<![^\W\d_])s?fr(?:\.|(?![^\W_]))", re.IGNORECASE)
"""What is written for CHF in Switzerland."""
_IN_AN_AMOUNT = lazy_pattern(rf"{AROUND_AN_AMOUNT}|(?i:{FRANCS.pattern})")
_IN_A_HEADER = lazy_pattern(rf"{_SIGN}|(?<![^\W_])[^\W\d_]+(?![^\W_])")


def currency_sign(amount: str) -> str:
    """Return the sign or code in an amount; '' if there is none."""
    found = _IN_AN_AMOUNT.search(amount)
    return found[0] if found else ""


def currency_beside(digits: str) -> str:
    """Return the sign, code or word of a currency in what a format shows beside its digits; '' if there is none."""
    word = digits.strip().removesuffix(".")
    return currency_sign(digits) or (word if word.casefold() in _NAMED_IN_FORMATS else "")


def currency_in_header(header: str) -> tuple[str, frozenset[str]]:
    """Return what names the currency in a header, and which ones it may be; '' and none if it names none, or several.

    `header` may be any text that says what an amount is, such as `Umsatz (EUR)` or `amount_usd`.
    """
    named = [(word, known) for word in _IN_A_HEADER.findall(header) if (known := _currencies(word))]
    left = frozenset.intersection(*(known for _, known in named)) if named else frozenset()
    return (named[0][0], left) if left else ("", frozenset())


def _currencies(word: str) -> frozenset[str]:
    # An unknown country before a sign leaves what the sign may be. Thousands and millions are written as kEUR and MEUR.
    bare = word[1:] if word[:1] in "kKTM" and word[1:] in _NAMED else word
    known = _NAMED.get(bare) or _NAMED.get(word[-1:]) or _NAMED.get(word.casefold()) or ""
    return frozenset(known.split())


class CurrencyWatch:
    """Notes the amounts of a column that are in another currency than the column, or than those before them."""

    def __init__(self, field: Field, header: str, noted: list[CellNote]) -> None:
        self._field = field.name
        self._noted = noted
        sign, currencies = currency_in_header(header)
        if not sign:
            sign, currencies = currency_in_header(f"{field.name} {field.title} {field.description}")
        self._is_of_column = bool(sign)
        self._sign, self._currencies = sign, currencies

    def see(self, sign: str, what: str) -> None:
        """Take note of an amount with the sign of a currency; `what` says so: `'$5' names $`."""
        currencies = _currencies(sign) or frozenset(
            _NAMED_IN_FORMATS.get(sign.casefold().removesuffix("."), "").split()
        )
        if not self._sign:
            self._sign, self._currencies = sign, currencies
        elif left := currencies & self._currencies:
            if left < self._currencies and not self._is_of_column:
                self._sign, self._currencies = sign, left  # `US$` says more than `$`
        elif currencies:
            where = "its column is in" if self._is_of_column else "another cell of the column has"
            sentence = f"{what}, but {where} {self._sign}. The number alone is sent."
            self._noted.append(CellNote(self._field, "other-currency", sentence))
