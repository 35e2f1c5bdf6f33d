"""The drafts that the server has open: each keeps connections, and what it has counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from batch_updater.config.schema import Config
from batch_updater.runs.draft import Draft
from batch_updater.runs.uploads import StoredUpload

if TYPE_CHECKING:  # imported only where there is a team
    from batch_updater.runs.team_drafts import TeamDrafts, TeamJournal

_MOST = 32
_STAYS_OPEN_S = 600.0
"""How long a draft stays open that no one asks for."""
_IN_USE_S = 20.0
"""For so long a page may still read a draft after it has asked for it."""
_STAYS_HERE_S = 1.0
"""For so long after a page has asked for a draft it is not given to another host."""


class OpenDrafts:
    """The drafts that are open, by the ids of their uploads. Any thread may ask for one.

    Of more than 32 those close that no one has asked for in the last 20 s, the least recently used first.
    """

    def __init__(
        self, config: Config, clock: Callable[[], float] = time.monotonic, team: TeamDrafts | None = None
    ) -> None:
        """`team`: the drafts of all its hosts; None if there is no team."""
        self._config = config
        self._clock = clock
        self._team = team
        self._journals: dict[str, TeamJournal] = {}
        """Of the open drafts of a team, by the ids of their uploads."""
        self._lock = threading.Lock()
        self._open: dict[str, tuple[Draft, float]] = {}
        """The least recently used first."""
        self._replaced: set[str] = set()
        """Uploads whose draft is about to be replaced: what is edited in it by now would be lost."""

    def get(self, upload: StoredUpload) -> Draft | None:
        """Return the draft of an upload; None if it has none, or is checked again.

        In a team it comes to this host. Raises what `Draft.open` raises, and `TeamDrafts.bring`.
        """
        while True:
            journal = self.brought(upload)
            with self._lock:
                if upload.id in self._replaced or not upload.folder.is_dir():  # which someone may have removed by hand
                    return None
                draft = self._open[upload.id][0] if upload.id in self._open else None
                if draft is not None and draft.is_closed:  # it has lost track of its edits
                    del self._open[upload.id]
                    draft = None
                if draft is None:
                    draft = Draft.open(upload.folder, self._config, journal)
                if draft is not None:
                    self._use(upload.id, draft)
                if draft is not None or not (journal and self._team) or self._team.is_here(journal):
                    return draft

    def brought(self, upload: StoredUpload) -> TeamJournal | None:
        """Bring the draft of an upload, and its file, to this host; return the journal of its edits.

        None without a team. Raises what `TeamDrafts.bring` raises.
        """
        if self._team is None:
            return None
        journal = self._team.bring(upload, lambda: self._let_go(upload.id))
        with self._lock:
            if journal != self._journals.get(upload.id):
                self._close(upload.id)
                self._journals[upload.id] = journal
        return journal

    def give(self, upload: StoredUpload) -> None:
        """Give a draft to the host that has asked for it, unless it is in use just now. Raises ResultsError."""
        if self._team is None:
            return
        with self._lock:
            draft, used_at_s = self._open.get(upload.id, (None, float("-inf")))
            if upload.id in self._replaced or self._clock() - used_at_s < _STAYS_HERE_S:
                return
            if draft is not None and not draft.close_if_unchanged():  # an edit of many rows may take long
                return
            self._close(upload.id)
        # Not within the lock, which `bring` takes second. A draft that is opened meanwhile keeps no edit any more.
        self._team.give(upload)

    def _let_go(self, upload_id: str) -> None:
        with self._lock:
            self._close(upload_id)

    def _close(self, upload_id: str) -> None:
        draft, _ = self._open.pop(upload_id, (None, 0.0))
        self._journals.pop(upload_id, None)
        if draft is not None:
            draft.close()  # waits for an edit that is being made

    @contextmanager
    def replacing(self, upload_id: str) -> Iterator[None]:
        """Close the draft of an upload, and give it to no one while another one comes in its place."""
        with self._lock:
            self._replaced.add(upload_id)
            draft, _ = self._open.pop(upload_id, (None, 0.0))
        try:
            if draft is not None:
                draft.close()  # waits for an edit that is being made: the new draft has it
            yield
        finally:
            with self._lock:
                self._replaced.discard(upload_id)

    def keep(self, upload_id: str, draft: Draft) -> None:
        """Take the draft of an upload that was checked just now."""
        with self._lock:
            self._use(upload_id, draft)

    def close_idle(self) -> None:
        """Close drafts that no one has asked for in a while."""
        with self._lock:
            self._close_unused(self._clock() - _STAYS_OPEN_S, 0)

    def close(self) -> None:
        """Close all of them."""
        with self._lock:
            for draft, _ in self._open.values():
                draft.close()
            self._open.clear()

    def __len__(self) -> int:
        """Return how many are open."""
        with self._lock:
            return len(self._open)

    def _use(self, upload_id: str, draft: Draft) -> None:
        self._open.pop(upload_id, None)
        self._open[upload_id] = draft, self._clock()
        self._close_unused(self._clock() - _IN_USE_S, _MOST)

    def _close_unused(self, before_s: float, most: int) -> None:
        """Close the drafts that were last asked for before a time, the first ones, as long as there are more."""
        for upload_id, (draft, used_at_s) in tuple(self._open.items()):
            if len(self._open) <= most or used_at_s >= before_s:
                return
            if draft.close_if_unchanged():
                del self._open[upload_id]
