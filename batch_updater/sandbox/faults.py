"""Faults on demand: which there are, and which one a request meets.

A request names its fault in the header `X-Sandbox-Fault`, or in the text of one of its fields as `fault:NAME`; with
`:N` after it only the first N attempts meet it, and several follow one another: `fault:status-503:2 fault:drop-after:1`
is met by three attempts, and the fourth is answered as ever. Others meet one by chance, as the settings say; the chance
of the nth request for a target depends on the seed alone, not on what happens at the same time.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from batch_updater.sandbox import connection_faults as broken
from batch_updater.sandbox import refusals
from batch_updater.sandbox import response_faults as answered
from batch_updater.sandbox.http_exchange import Exchange

if TYPE_CHECKING:
    from aiohttp import web

    Play: TypeAlias = Callable[[Exchange, int], Awaitable[web.StreamResponse]]

_PARAMETER = "N"
_MAGIC = re.compile(r"fault:([a-z0-9-]+?)(?::([0-9]{1,6}))?(?![a-z0-9:-])")


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One fault, or a family of them."""

    name: str
    """`drop-after`; N in it is a whole number, as in `status-N`."""
    meaning: str
    applied: bool
    """Whether the update is carried out all the same."""
    play: Play
    lowest: int = 0
    """The smallest N."""
    highest: int = 600_000
    """The largest N."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault as it was named."""

    name: str
    kind: FaultKind
    number: int = 0

    async def play(self, exchange: Exchange) -> web.StreamResponse:
        """ApiResponse the request, or break off, as the fault's meaning says."""
        return await self.kind.play(exchange, self.number)


FAULTS: tuple[FaultKind, ...] = (
    FaultKind("status-N", "answers with that status and its documented body", False, answered.status, 200, 599),
    FaultKind("throttled", "429 as the gateway says it when the rate is exceeded", False, answered.throttled),
    FaultKind("quota", "429 as the gateway says it when the quota is used up", False, answered.quota),
    FaultKind("retry-after-N", "429 that asks to wait N seconds", False, answered.retry_after),
    FaultKind("retry-after-503-N", "503 that asks to wait N seconds", False, answered.unavailable),
    FaultKind("retry-after-date-N", "503 that asks to wait until N seconds from now", False, answered.until),
    FaultKind("retry-after-fraction-N", "503 that asks to wait N ms, in seconds", False, refusals.retry_after_fraction),
    FaultKind("retry-after-ms-N", "429 that asks to wait N ms in a header of Azure's", False, refusals.retry_after_ms),
    FaultKind("rate-limit-reset-N", "429 whose limit is reset in N seconds", False, refusals.rate_limit_reset),
    FaultKind("missing-token", "403 as the gateway says it of an unknown path", False, answered.missing_token),
    FaultKind("token-revoked", "401; the token is not taken any more", False, answered.token_revoked),
    FaultKind("no-lists", "400 whose lists of valid names are empty", False, answered.no_lists),
    FaultKind("hostile-message", "400 whose message tries to be a formula, a link and markup", False, answered.hostile),
    FaultKind("echo-authorization", "400 that repeats the Authorization header", False, answered.echo_refused),
    FaultKind("echo-authorization-N", "the same with that status", False, answered.echo, 300, 599),
    FaultKind("echo-in-record", "reports the Authorization header as a name", True, answered.echo_in_record),
    FaultKind("locked", "423 that says that the record is locked", False, refusals.refusal("locked")),
    FaultKind("locked-409", "409 that says so", False, refusals.refusal("locked-409")),
    FaultKind("conflict", "409 that says that the record was changed", False, refusals.refusal("conflict")),
    FaultKind("errors-by-field", "400 with problem details of ASP.NET", False, refusals.refusal("errors-by-field")),
    FaultKind("error-list", "422 with a list of errors", False, refusals.refusal("error-list")),
    FaultKind("bare-list", "400 that is a list of errors", False, refusals.refusal("bare-list")),
    FaultKind("odata-error", "400 with an error of OData", False, refusals.refusal("odata-error")),
    FaultKind("json-api-errors", "422 with errors of JSON:API", False, refusals.refusal("json-api-errors")),
    FaultKind("soap-fault", "400 with a fault of SOAP", False, refusals.refusal("soap-fault")),
    FaultKind("text-refusal", "400 with a text in Latin-1", False, refusals.refusal("text-refusal")),
    FaultKind("json-as-html", "400 with JSON, labelled text/html", False, refusals.refusal("json-as-html")),
    FaultKind("unknown-form", "400 with a reason in no known form", False, refusals.refusal("unknown-form")),
    FaultKind("nested-reason", "400 whose reason is inside another error", False, refusals.refusal("nested-reason")),
    FaultKind("translated-reason", "422 with a text by language", False, refusals.refusal("translated-reason")),
    FaultKind("no-words", "400 with a number and a flag", False, refusals.refusal("no-words")),
    FaultKind("binary-refusal", "400 with bytes that are no text", False, refusals.refusal("binary-refusal")),
    FaultKind("no-reason", "400 without a body", False, refusals.refusal("no-reason")),
    FaultKind("long-message", "400 whose message has 200,000 characters", False, answered.long_message),
    FaultKind("html-N", "a web page with that status", False, answered.web_page, 200, 599),
    FaultKind("redirect-N", "redirects to another path with that status", False, answered.redirect, 300, 399),
    FaultKind("slow-N", "applies the update and answers N milliseconds later", True, answered.slow),
    FaultKind("close", "answers and closes the connection", True, answered.close),
    FaultKind("stored-differs", "stores other values than were asked for, and reports them", True, answered.differs),
    FaultKind("other-record", "reports the next record in place of the one asked for", True, answered.other_record),
    FaultKind("other-type", "reports the record of the other type", True, answered.other_type),
    FaultKind("partial-record", "reports id and type alone", True, answered.partial_record),
    FaultKind("id-only", "reports the id alone", True, answered.id_only),
    FaultKind("no-id", "reports the record without its id", True, answered.no_id),
    FaultKind("null-id", "reports the record with null for its id", True, answered.null_id),
    FaultKind("not-saved", "200 that says success: false, and an error", False, answered.not_saved),
    FaultKind("errors-200", "200 with a list of errors and next to nothing of the record", False, answered.errors),
    FaultKind("contradiction", "200 with the record as asked, and success: false", False, answered.contradiction),
    FaultKind("record-N", "the right answer with that status", True, answered.record_with_status, 200, 299),
    FaultKind("huge-number", "reports amounts of 1e999999999", True, answered.odd_numbers("huge")),
    FaultKind("tiny-number", "reports amounts of 1e-999999999", True, answered.odd_numbers("tiny")),
    FaultKind("long-number", "reports amounts of a hundred thousand digits", True, answered.odd_numbers("long")),
    FaultKind("minus-zero", "reports amounts of -0.00", True, answered.odd_numbers("minus-zero")),
    FaultKind("array-200", "reports the record inside an array", True, answered.array),
    FaultKind("numbers-as-text", "reports numbers in quotation marks", True, answered.numbers_as_text),
    FaultKind("duplicate-keys", "reports every field twice, first with null", True, answered.duplicate_keys),
    FaultKind("nan", "reports NaN for every number, which is no JSON", True, answered.nan),
    FaultKind("accepted", "202 without a body", True, refusals.accepted),
    FaultKind("accepted-page", "202 with a web page", True, refusals.accepted_page),
    FaultKind("empty-200", "200 without a body", True, answered.empty),
    FaultKind("null-200", "200 with the body null", True, answered.null),
    FaultKind("text-200", "200 with the plain text OK", True, answered.text),
    FaultKind("deep-json", "200 with a hundred thousand arrays inside one another", True, answered.deep),
    FaultKind("latin-1", "reports a name with an umlaut in Latin-1, which is not UTF-8", True, answered.latin_1),
    FaultKind("byte-order-mark", "answers with a byte order mark before the JSON", True, answered.byte_order_mark),
    FaultKind("wrong-content-type", "the right answer, labelled text/html", True, answered.wrong_content_type),
    FaultKind("gzip-bomb", "a small answer that unpacks to 64 MiB", True, answered.gzip_bomb),
    FaultKind("huge-headers", "an answer with a header of a million bytes", True, answered.huge_headers),
    FaultKind("drop-before", "breaks the connection off without an answer", False, broken.drop_before),
    FaultKind("drop-after", "applies the update, then breaks off without an answer", True, broken.drop_after),
    FaultKind("reset-before", "as drop-before, by a TCP reset", False, broken.reset_before),
    FaultKind("reset-after", "as drop-after, by a TCP reset", True, broken.reset_after),
    FaultKind("cut-off", "applies the update, and breaks off in the middle of the answer", True, broken.cut_off),
    FaultKind("cut-off-chunked", "as cut-off, in an answer without a stated length", True, broken.cut_off_chunked),
    FaultKind("endless", "applies the update, and answers without an end", True, broken.endless),
    FaultKind("drip", "applies the update, and answers one byte at a time without an end", True, broken.drip),
    FaultKind("hang", "never answers", False, broken.hang_before),
    FaultKind("hang-after", "applies the update and never answers", True, broken.hang_after),
    FaultKind("second-answer-N", "answers, and refuses N milliseconds later unasked", True, broken.second_answer),
    FaultKind("second-record-N", "answers, and reports the next record N ms later", True, broken.second_record),
    FaultKind("interim-N", "answers after an interim answer with that status", True, broken.interim, 100, 199),
    FaultKind("not-http", "answers with bytes that are no HTTP", False, broken.not_http),
)


def find_fault(name: str) -> Fault:
    """Return the fault of that name. Raises ValueError if there is none."""
    stem, _, tail = name.rpartition("-")
    number = int(tail) if tail.isascii() and tail.isdigit() and len(tail) <= 6 else None
    for kind in FAULTS:
        if kind.name == name and not _takes_number(kind):
            return Fault(name, kind)
        if number is not None and kind.name == f"{stem}-{_PARAMETER}" and kind.lowest <= number <= kind.highest:
            return Fault(name, kind, number)
    raise ValueError(f"There is no fault {name!r}. There are: {', '.join(kind.name for kind in FAULTS)}.")


def _takes_number(kind: FaultKind) -> bool:
    return kind.name.endswith(f"-{_PARAMETER}")


class FaultChooser:
    """Decides which fault each request meets."""

    def __init__(self, seed: int, chances: Mapping[str, float]) -> None:
        """`chances`: name of a fault -> probability. Raises ValueError for unknown names."""
        self._seed = seed
        self._chances = tuple((find_fault(name), chance) for name, chance in chances.items())
        self._attempts: Counter[tuple[str, str]] = Counter()

    def reset(self) -> None:
        """Forget how many attempts there were."""
        self._attempts.clear()

    def choose(self, target: str, header: str | None, body: bytes) -> Fault | None:
        """Return the fault that a request meets; None if it is answered as ever.

        `target` is the same text for the same method and record. Raises ValueError if it names an unknown fault.
        """
        if header is None and b"fault:" not in body and not self._chances:
            return None
        text = f"fault:{header}" if header is not None else body.decode("utf-8", errors="replace")
        if script := _MAGIC.findall(text):
            return self._scripted(target, script)
        return self._by_chance(target)

    def _scripted(self, target: str, script: list[tuple[str, str]]) -> Fault | None:
        attempt = self._next_attempt(target, repr(script))
        for name, times in script:
            fault = find_fault(name)
            if not times or attempt <= int(times):
                return fault
            attempt -= int(times)
        return None

    def _by_chance(self, target: str) -> Fault | None:
        attempt = self._next_attempt(target, "")
        digest = hashlib.blake2b(f"{self._seed} {target} {attempt}".encode(), digest_size=8).digest()
        drawn = int.from_bytes(digest) / 2**64
        for fault, chance in self._chances:
            if drawn < chance:
                return fault
            drawn -= chance
        return None

    def _next_attempt(self, target: str, script: str) -> int:
        self._attempts[target, script] += 1
        return self._attempts[target, script]
