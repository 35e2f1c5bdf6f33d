"""How many drafts stay open."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from batch_updater.runs.draft import HeldDraftError, Upload, stage_draft
from batch_updater.runs.uploads import Uploads
from batch_updater.web.open_drafts import OpenDrafts
from tests.web.queue import add_rows, config_in, numbered_rows

if TYPE_CHECKING:
    from pathlib import Path


def test_the_least_recently_used_draft_closes_first_unless_it_is_in_use(tmp_path: Path) -> None:
    """At most 32 stay open; one that is held, or was asked for just now, does so too."""
    config = config_in(tmp_path, "http://127.0.0.1:9")
    now = [0.0]
    drafts = OpenDrafts(config, lambda: now[0])
    with closing(Uploads(config.results.folder / "web")) as uploads, closing(drafts):
        some = [add_rows(uploads, numbered_rows(2), name=f"{number}.csv") for number in range(36)]
        for upload in some:
            source = Upload(upload.folder / upload.file, upload.name, "q1", None, None)
            stage_draft(source, config, upload.answers, None, progress=lambda _: None).close()
        opened = {}
        for upload in some[:33]:
            opened[upload.id] = drafts.get(upload)
        assert len(drafts) == 33
        first, second = opened[some[0].id], opened[some[1].id]
        assert first
        assert second
        now[0] = 30.0
        with first.held("It is being sent."):
            drafts.get(some[33])
        assert len(drafts) == 32
        assert first.grid().rows == ()
        with pytest.raises(HeldDraftError):
            second.grid()
        assert drafts.get(some[1]) is not second
        assert len(drafts) == 32
        now[0] = 700.0
        drafts.close_idle()
        assert len(drafts) == 0
