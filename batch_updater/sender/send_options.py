"""What a run is to do; apart from the sender, so that whoever plans it need not import what sends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batch_updater.records import AllowedList
    from batch_updater.sender.client import Reading
    from batch_updater.sender.limiter import Limiter


@dataclass(frozen=True, slots=True)
class SendOptions:
    """What a run is to do besides sending its jobs."""

    rows: int
    """Rows of the whole input, of which a share may fail."""
    keep_going: bool = False
    """Whether to go on although the first rows were all refused alike."""
    reading: Reading | None = None
    """How records are read before their updates; None: they are not."""
    limiter: Limiter | None = None
    """That of the requests which have just been made to the same service."""
    allowed: tuple[AllowedList, ...] = ()
    """Valid names, with the ids that stand for them, that an earlier part of the run learned."""
