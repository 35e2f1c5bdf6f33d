"""Whether a 404 says that the record is missing, and not that there is no such address: by the words of its answer.

Gateways, frameworks and wrong addresses answer 404, too: with a web page, nothing at all, or `no such route`.
"""

from __future__ import annotations

import re
from http import HTTPStatus

from batch_updater.endpoint.description import Endpoint
from batch_updater.records import Job
from batch_updater.sender.answer import Answer
from batch_updater.sender.bodies import WEB_PAGE
from batch_updater.sender.reasons import error_codes

_ADDRESS = re.compile(r"\S*/\S*")
"""It holds the record's id, and often the name of records, whatever is missing."""
_OF_ADDRESS = re.compile(
    r"\b(?:routes?|routing|endpoints?|urls?|uris?|paths?|pages?|handlers?|methods?|actions?|controllers?"
    r"|static resource|can ?not (?:put|get)|api version)\b"
)
_OF_RECORD = r"record|object|entity|item|row|entry|document|id|identifier"
_SHORTEST_WORD = 4
"""Letters of a value that is looked for in a text; a number may have fewer digits."""


def says_record_missing(answer: Answer, endpoint: Endpoint, job: Job) -> bool:
    """Whether a 404 has a reason that names the record of the job: by its id, or as what the API calls a record."""
    if answer.status != HTTPStatus.NOT_FOUND:
        return False
    texts = (*(reason.text for reason in answer.explanation.reasons), *error_codes(answer.body))
    return any(_names_record(text, endpoint, job) for text in texts)


def _names_record(text: str, endpoint: Endpoint, job: Job) -> bool:
    if text.startswith(WEB_PAGE):
        return False
    words = re.sub("(?<=[a-z])(?=[A-Z])|_", " ", _ADDRESS.sub(" ", text)).casefold()
    names = [_OF_RECORD, re.escape(endpoint.record_name.casefold()), *_ids(endpoint, job)]
    return not _OF_ADDRESS.search(words) and bool(re.search(rf"(?<!\w)(?:{'|'.join(names)})(?!\w)", words))


def _ids(endpoint: Endpoint, job: Job) -> list[str]:
    values = (str(job.values.get(field.name) or "") for field in endpoint.fields if field.selects_record)
    return [re.escape(value.casefold()) for value in values if value.isdecimal() or len(value) >= _SHORTEST_WORD]
