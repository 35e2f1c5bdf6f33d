"""Whether a person may send a draft: guards, who may send at all, and the approval of a second person."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Collection

import msgspec

from batch_updater.config.schema import Config
from batch_updater.errors import UsageError
from batch_updater.messages import counted
from batch_updater.runs.comparison import Comparison
from batch_updater.runs.draft import Draft
from batch_updater.runs.guards import Exceeded, Override, exceeded
from batch_updater.runs.history import PastRun, read_run
from batch_updater.runs.uploads import Approval, StoredUpload, Uploads

_EDITS_READ = 1_000
EVERYONE = "*"
CHANGED = "What would be sent has changed since."


class Permission(msgspec.Struct, frozen=True):
    """Whether a person may send a draft as it is now, and what that depends on."""

    digest: str
    """Of what would be sent and how: the requests, whether records are read first, which guards are overridden."""
    over: tuple[Exceeded, ...]
    """The guards that it exceeds; a comparison of exactly this content tells of those on changes."""
    needs_approval: bool
    approval: Approval | None
    """One that counts, if it is needed."""
    refusal: str
    """Why the person may not send it, in a sentence; '' if they may."""
    remedy: str
    """What to do about that."""
    may_not_approve: str
    """Why the person may not approve it, in a sentence; '' if they may, and it is needed."""

    @property
    def override(self) -> Override | None:
        """The guards that the approval overrides, never those on changes not seen by then; None if there are none."""
        keys = tuple(dict.fromkeys(guard.key for guard in self.over))
        return Override(f"as {self.approval.by} approved", keys) if keys and self.approval else None

    @property
    def may_send(self) -> bool:
        """Whether it may be sent now."""
        return not self.refusal

    @property
    def may_approve(self) -> bool:
        """Whether the person may approve it now."""
        return not self.may_not_approve


def is_among(user: str, names: Collection[str]) -> bool:
    """Whether a person is one of those whom a list of the configuration names."""
    return EVERYONE in names or user in names


def permission(draft: Draft, upload: StoredUpload, uploads: Uploads, config: Config, user: str) -> Permission:
    """Judge whether a person may send a draft now. Raises ResultsError."""
    content, plan = draft.digest(), draft.plan()
    staged, settings = plan.staged, config.web
    comparison = Comparison.open(draft.folder)
    of_changes = comparison.over if comparison and comparison.digest == content else ()
    over = (*exceeded(config.guards, staged, plan.store), *of_changes)
    reads_first = upload.compare or plan.reads_first
    kind = [content, "read first" if reads_first else "", *sorted({guard.key for guard in over})]
    digest = hashlib.sha256("\n".join(kind).encode()).hexdigest()
    needs_approval = bool(over) or not is_among(user, settings.may_send)
    involved: frozenset[str] = frozenset()
    approval, is_approved_by_them = None, False
    if needs_approval and settings.may_approve:
        involved = _involved(draft, upload, uploads)
        found = uploads.approval(upload.id, digest)
        is_of_another = found and not _is_one_of(found.by, involved)
        if found and is_of_another and is_among(found.by, settings.may_approve) and not _is_used(found, upload, config):
            is_approved_by_them = _is_one_of(found.by, {user})
            approval = None if is_approved_by_them else found
    refusal, remedy = "", ""
    if any(not question.is_about_one_cell for question in staged.questions):
        refusal = f"{counted(len(staged.questions), 'question')} about the file must be answered first."
        remedy = "Answer on the page of the file."
    elif not staged.good:
        refusal, remedy = "There is no row that can be sent.", "Repair the rows that need you."
    elif is_approved_by_them:
        refusal, remedy = "You have approved exactly these rows.", "Another person has to send them."
    elif needs_approval and approval is None:
        refusal, remedy = _why_not(over, settings.may_approve, user, involved, settings.may_send)
    may_not_approve = "" if needs_approval else "It needs no approval."
    if is_approved_by_them:
        may_not_approve = f"{user} has approved it."
    elif needs_approval:
        may_not_approve = _why_not_approved_by(user, settings.may_approve, involved, approval)
    return Permission(digest, over, needs_approval, approval, refusal, remedy, may_not_approve)


def approve(draft: Draft, upload: StoredUpload, uploads: Uploads, config: Config, user: str, digest: str) -> None:
    """Keep a person's approval of exactly the content that they saw, whose `Permission.digest` is given.

    Raises UsageError if they may not approve it, or if it has changed since.
    """
    judged = permission(draft, upload, uploads, config, user)
    if judged.digest != digest:
        raise UsageError(CHANGED, remedy="Look at it once more.")
    if judged.may_not_approve:
        raise UsageError(judged.may_not_approve)
    uploads.approve(upload.id, digest, user)


def why_not_resume(past: PastRun, uploads: Uploads, config: Config, user: str) -> str:
    """Return why a person may not let an unfinished run go on, in a sentence; '' if they may.

    What was begun on the page was permitted then, and no other rows are sent.
    """
    if not past.is_unfinished:
        return f"The run {past.folder.name} is finished, or was closed."
    may = uploads.has_begun(past.folder.name) or is_among(user, config.web.may_send)
    return "" if may else f"{user} may not send (web.may_send)."


def why_not_stop(by: str, config: Config, user: str) -> str:
    """Return why a person may not stop, or close for good, what another one sends, in a sentence; '' if they may."""
    if user == by or is_among(user, config.web.may_send):
        return ""
    sends = f"{by} sends it, and " if by else ""
    return f"{sends}{user} may not send (web.may_send)."


def _is_used(approval: Approval, upload: StoredUpload, config: Config) -> bool:
    """Whether what was approved has been sent since: sending it once more is another decision."""
    past = read_run(config.results.folder / upload.run) if upload.run else None
    return isinstance(past, PastRun) and not past.is_unfinished and past.started_at > approval.at


def _is_one_of(user: str, people: Collection[str]) -> bool:
    """Whether a name may be that of one of these people: who signs in as `Anna` may be `anna` the next time."""
    return _likeness(user) in map(_likeness, people)


def _likeness(user: str) -> str:
    return unicodedata.normalize("NFKC", user).casefold()


def _involved(draft: Draft, upload: StoredUpload, uploads: Uploads) -> frozenset[str]:
    """Return who had a hand in the content of an upload."""
    people, after = {upload.by, *uploads.people_of(upload.id)}, 0
    while edits := draft.edits(after=after, most=_EDITS_READ):
        people.update(edit.by for edit in edits)
        after = edits[-1].number
    return frozenset(people)


def _why_not(
    over: tuple[Exceeded, ...],
    may_approve: Collection[str],
    user: str,
    involved: Collection[str],
    may_send: Collection[str],
) -> tuple[str, str]:
    """Return why a draft that needs an approval may not be sent, and what to do."""
    sentences = " ".join(guard.sentence for guard in over)
    keys = " and ".join(dict.fromkeys(guard.key for guard in over))
    if not may_approve:
        if over:
            return f"A guard is exceeded. {sentences}", f"Correct the file, or change {keys} in the configuration."
        return f"{user} may not send (web.may_send).", f"Ask {_names(may_send, ())} to send it."
    why = f"A guard is exceeded. {sentences}" if over else f"{user} may not send alone (web.may_send)."
    return (
        f"{why} Another person has to approve it first.",
        f"Ask {_names(may_approve, {user, *involved})} to approve it.",
    )


def _why_not_approved_by(
    user: str, may_approve: Collection[str], involved: Collection[str], approval: Approval | None
) -> str:
    if not may_approve:
        return "No one may approve it (web.may_approve)."
    if not is_among(user, may_approve):
        return f"{user} may not approve (web.may_approve)."
    if _is_one_of(user, involved):
        return "A person who uploaded, answered or edited it cannot approve it."
    return f"{approval.by} has approved it." if approval else ""


def _names(names: Collection[str], without: Collection[str]) -> str:
    """Return people to ask: `anna or ben`."""
    if EVERYONE in names:
        return "another person"
    *first, last = [name for name in names if not _is_one_of(name, without)] or ["another person"]
    return f"{', '.join(first)} or {last}" if first else last
