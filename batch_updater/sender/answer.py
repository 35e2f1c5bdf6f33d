"""What one request brought: an answer of the API, read once, or a transport error."""

from __future__ import annotations

from http import HTTPStatus

import msgspec
from msgspec.structs import replace

from batch_updater.endpoint.description import Endpoint
from batch_updater.endpoint.exact_json import from_json
from batch_updater.sender.bodies import Body, read_body
from batch_updater.sender.reasons import NO_EXPLANATION, Explanation, read_error


class Answer(msgspec.Struct, frozen=True):
    """An answer of the API, read as far as it could be."""

    status: int
    complete: bool = True
    """Whether the whole body arrived within its bounds."""
    body: Body = Body()
    """Empty for a success that did not arrive whole."""
    explanation: Explanation = NO_EXPLANATION
    """What an error answer says, be it cut off."""
    retry_after_s: float | None = None
    """How long the service asks to wait; None if it does not."""
    etag: str = ""
    """The version of the record, as the header ETag has it; '' without one, or where none is asked for."""

    @property
    def is_2xx(self) -> bool:
        """Whether the status is of the kind that reports success."""
        return 200 <= self.status < 300


class TransportError(msgspec.Struct, frozen=True):
    """An attempt that brought no usable answer."""

    cause: str
    message: str
    advice: str
    maybe_applied: bool = False
    """Whether the request may have changed the record all the same."""
    lasting: bool = False


def read_answer(
    status: int,
    body: bytes,
    content_type: str,
    endpoint: Endpoint,
    *,
    complete: bool = True,
    retry_after_s: float | None = None,
) -> Answer:
    """Read an answer; `content_type` and `retry_after_s` matter where it is no JSON or no success."""
    if 200 <= status < 300:
        if not complete:
            return Answer(status, complete)
        try:  # JSON by the standard (RFC 8259, section 8.1): only an error is read by whatever charset it may have
            value = from_json(body)
        except ValueError:
            value = None
        if isinstance(value, (dict, list)):
            return Answer(status, body=Body(value, is_json=True))  # as nearly always
        read = read_body(body, content_type)
        return Answer(status, body=Body(read.value if value is None else value, read.text, is_json=value is not None))
    answer = read_error_answer(status, body, content_type, endpoint)
    return replace(answer, complete=complete, retry_after_s=retry_after_s)


def read_error_answer(status: int, body: bytes, content_type: str, endpoint: Endpoint) -> Answer:
    """Read an answer whatever its status as one that says why something was not done."""
    read = read_body(body, content_type)
    explanation = read_error(read, endpoint.error_message_keys, endpoint.is_called)
    return Answer(status, body=read, explanation=explanation)


def status_name(status: int) -> str:
    """Return `404 Not Found`; the number alone if the standard has no name for it."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
