"""What a run does besides sending its rows, and what it wants to hear; imports nothing that sends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from batch_updater.endpoint.request import Prepared, RequestBuilder
from batch_updater.records import AllowedList, Attempt, Expected, Outcome
from batch_updater.sender.breaker import CircuitBreaker
from batch_updater.sender.limiter import RateLimiter

if TYPE_CHECKING:  # it imports what sends
    from batch_updater.sender.auth import KeptToken


class Hooks(msgspec.Struct, frozen=True):
    """What the sender calls; all but the last two may raise StoreError: then nothing more goes out."""

    before_send: Callable[[Sequence[Prepared]], Awaitable[None]]
    """Awaited once for every row, with others, before its first request may go out."""
    may_send: Callable[[], None]
    """Called right before every request of a row is written."""
    on_outcome: Callable[[Outcome], None]
    """Called once for every row that was taken from the iterator."""
    on_names: Callable[[AllowedList], None]
    """Called with each list of valid names that an answer taught."""
    on_attempt: Callable[[Attempt], None]


class ReadBeforeWrite(msgspec.Struct, frozen=True):
    """Each record is read before its update."""

    builder: RequestBuilder
    """Of the requests that read; its endpoint describes how."""
    before_change: Callable[[int, str, Attempt | None], Awaitable[None]]
    """Awaited with a row, its record as JSON and the attempt that read it before the update may go out.

    The attempt is None if it is one of several, which are all kept. Raises StoreError."""
    only: bool
    """Whether nothing is sent but requests that read."""
    expected: Expected
    """What the records must still hold where the run undoes another one; else empty."""


class Elsewhere(msgspec.Struct):
    """What the rows of the run have come to that others send, as far as it is known; may change at any time."""

    senders: int = 0
    """How many others send rows at the moment, within the same rate."""
    failures: int = 0
    refused: int = 0
    """Rows that were all refused in the same way."""
    refused_as: str | None = None
    """In which way; None if none was."""
    refusals_differ: bool = False
    """Whether a row was not refused, or in another way than the rest."""


class SendOptions(msgspec.Struct, frozen=True):
    """What a run does besides sending its rows."""

    rows: int
    """Rows of the whole input, of which a share may fail."""
    keep_going: bool = False
    """Whether to go on although the first rows were all refused in the same way."""
    read_first: ReadBeforeWrite | None = None
    """How records are read before their updates; None: they are not."""
    limiter: RateLimiter | None = None
    """That of the requests which have just been made to the same service, or a team's."""
    allowed: tuple[AllowedList, ...] = ()
    """Valid names, with the ids that stand for them, that an earlier part of the run learned."""
    in_order: bool = False
    """Whether rows of one record go in file order, so that those after one that did not settle wait."""
    run: str = ""
    """What tells the run from any other, in all its parts: keys that make a repeated request count once hold it."""
    elsewhere: Elsewhere = msgspec.field(default_factory=Elsewhere)
    """What others have come to that send rows of the same run."""
    breaker: CircuitBreaker | None = None
    """A team's; None: one of its own."""
    token: KeptToken | None = None
    """The token of all who send for the run in this process; None: one of its own."""
    held: Mapping[str, int] = msgspec.field(default_factory=dict)
    """Target whose rows wait, where they go in file order -> the row that did not settle, sent by another process."""
