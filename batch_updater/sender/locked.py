"""Whether an API refused an update because the record is locked for the moment, by the words of its answer.

It then says 423 (RFC 4918, section 11.3), or 409 with a reason. A 409 has other reasons, too: another version, a
duplicate, a state that forbids the change. They do not pass by themselves, so only words that are certain count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from batch_updater.text.lazy_pattern import lazy_pattern

_PERSON = (
    "(?:users?|sessions?|person|people|someone|somebody|colleague|editor|process|transaction|client|thread|job"
    "|application|program|request|operation|instance|connection)"
)
_RECORD = "(?:record|row|item|object|entity|resource|document|file)"
_ADVERBS = "(?:(?:currently|already|still|now|temporarily|concurrently) )*"
_ANOTHER = "(?:(?:another|other|an?|the|different|some) )*"
_LASTING = lazy_pattern(
    "(?:accounts?|users?|logins?|passwords?|profile|periods?|month|quarter|year|fields?|columns?|values?|property"
    "|attribute|price|budget|stage|status) (?:[a-z0-9]+ )?(?:(?:is|are|was|has been|currently|temporarily) )*locked"
    "(?! (?:by|for) (?!(?:an? |the )?admin))|locked (?:out|account|field|period|value)|optimistic(?:ally)? lock[a-z]*"
)
"""Locks that last until a person ends them, and optimistic ones, which are no locks."""
_FOR_GOOD = lazy_pattern(
    "permanent(?:ly)?|indefinite(?:ly)?|archived?|finali[sz]ed|approv(?:al|ed)|frozen|invoiced|audit(?:ed)?|legal hold"
    "|(?:month|quarter|year|period)(?: s)? ?(?:end|close|closing|lock)(?:ed)?"
    "|(?:accounting|fiscal|financial|reporting|booking|billing|tax|sales|closed) (?:period|month|quarter|year)"
    "|(?:this|the|its|that|whose) (?:period|month|quarter|year)"
    "|(?<!being )closed"
    "|(?:is|it s|was|as|been|already|marked|stage|status|and|or) (?:won|lost)|(?:won|lost) (?:and|or|record)"
    "|(?<!be )read ?only(?! (?:because|as|since|while|for))"
)
"""States of a record that do not pass by themselves: a lock in the same answer is one of them."""
_NOT_FOR_GOOD = lazy_pattern(
    f"(?:not|never|no longer) (?:yet |been |be )?(?:{_FOR_GOOD.pattern})"
    "|(?:until|unless|once|before|when) (?:[a-z0-9]+ ){0,4}?closed"
)
_CONTENDED = lazy_pattern(
    "(?:could|can) not (?:be locked|lock)|(?:unable|failed|fail) to lock"
    "|(?:not|unable to|failed to|fail to|waiting to) (?:obtain|acquire|get|take) "
    "(?:(?:an?|the|exclusive|row|record|write|edit|update) )*lock"
    "|waiting for (?:an? |the )?lock|deadlock(?:ed)?|dead lock|lock not available"
    "|(?:is|are) not available for edit(?:ing)?"
    "|lock(?:ing)? (?:wait |request )?(?:timed out|time ?out|conflict|contention|exists)|resource busy"
)
"""An attempt to lock it has failed; so it holds for `could not be locked`, though that looks like a negation."""
_NOT_LOCKED = lazy_pattern(
    "(?:not|no|never|no longer|without|must|should|shall|needs? to|has to|have to|unless|until|before|only) "
    "(?:(?:it|is|are|be|been|being|a|an|the|any|this|record|hold|have|own|currently|yet|still|already|actually|now|longer"
    "|first) )*"
    "(?:locked|lock|checked out|in use|edited|edit|open|opened)"
)
_LOCKED = lazy_pattern(
    "locked|(?:holds?|has|have|holding|under|owns?|acquired|there is) "
    "(?:(?:an?|the|another|exclusive|write|edit|record) )*lock"
    "|lock (?:is )?(?:held|owned|taken)"
)
_IN_USE = lazy_pattern(
    f"checked out|locked by (?:another|a different) {_PERSON}"
    f"|(?:has|have) (?:(?:this|the|that|it|{_RECORD}) )+(?:currently )?open|under edit(?:ing)?"
    "|open(?:ed)? for edit(?:ing)?"
    "|(?:being|currently) (?:edited|modified|updated|changed|processed|saved)"
    f"|(?:is|are) {_ADVERBS}(?:editing|modifying)"
    f"|(?:another|other|different) {_PERSON} (?:is|are) {_ADVERBS}(?:updating|changing|processing|saving|using|working)"
    f"|(?:edit|update|change|operation|transaction) (?:[a-z]+ ){{0,4}}?(?:is )?{_ADVERBS}in progress"
    f"|(?:in use|being used|reserved|held|open|opened) (?:in|by) {_ANOTHER}{_PERSON}|in use by another$"
    f"|{_RECORD} (?:is |are )?{_ADVERBS}(?:in use|busy)(?: by [a-z0-9]+)?$"
)


def says_locked(texts: Iterable[str], record_name: str = "record") -> bool:
    """Whether one of the texts, reasons or short names of errors, says that the record is locked for the moment.

    `record_name` is what the API calls a record, such as `opportunity`.
    """
    name, clauses = record_name.casefold(), list[str]()
    for text in texts:
        apart = re.sub("(?<=[a-z])(?=[A-Z])|_", " ", text)  # `RecordLocked` and `RECORD_LOCKED` are two words
        apart = re.sub("n['\u2019]t\\b", " not", apart.replace("cannot", "can not"), flags=re.IGNORECASE)
        parts = re.split(r"[.,;:!?()\[\]\u2013\u2014|]+", apart.casefold())
        clauses += [" ".join(re.findall(r"\w+", part)).replace(name, "record") for part in parts]
    is_for_good = any(_has(_FOR_GOOD, _NOT_FOR_GOOD.sub("|", clause)) for clause in clauses)
    for clause in (_LASTING.sub("|", clause) for clause in clauses):
        positive = _NOT_LOCKED.sub("|", clause)
        if _has(_CONTENDED, clause) or _has(_IN_USE, positive) or (not is_for_good and _has(_LOCKED, positive)):
            return True
    return False


def _has(words: re.Pattern[str], clause: str) -> bool:
    """Whether a clause has these words, from the beginning of one to the end of one."""
    return any(
        not clause[: found.start()][-1:].isalnum() and not clause[found.end() : found.end() + 1].isalnum()
        for found in words.finditer(clause)
    )
