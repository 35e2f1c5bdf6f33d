"""What a run would do, as it is shown before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import NamedTuple

import msgspec

from batch_updater.config.environment import Environment
from batch_updater.config.secrets import fetch_secret
from batch_updater.endpoint.description import Endpoint
from batch_updater.endpoint.request import RequestBuilder, shown_headers
from batch_updater.errors import ConfigError
from batch_updater.messages import counted, duration
from batch_updater.records import Cause, Columns, OutcomeKind, StagedInput
from batch_updater.runs.caller import Caller
from batch_updater.runs.explain import ShownRequest
from batch_updater.runs.family import Runs
from batch_updater.runs.history import Candidate, Earlier, Identity, PastRun, earlier_run
from batch_updater.runs.plan import Plan
from batch_updater.runs.store import reason_of
from batch_updater.runs.team_folders import team_of

_FIELDS_NAMED = 5


class SentField(NamedTuple):
    """A field of the body that some rows send."""

    called: str
    """Its header, and its own name where that is another."""
    rows: int
    """Good rows that send it, those that clear it included."""
    cleared: int

    @property
    def sentence(self) -> str:
        """`Close date in 2 rows, cleared in 1 of them`."""
        of_them = f", cleared in {self.cleared:,} of them" if self.cleared else ""
        return f"{self.called} in {counted(self.rows, 'row')}{of_them}"


class Preview(msgspec.Struct, frozen=True):
    """What a run would do: the same on the command line and on the page."""

    file: str
    """Path of the input as a person gave it; of a workbook of ours, which lies in the folder of a run, its name."""
    sheet: str | None
    columns: Columns
    rows: int
    """Data rows of the input."""
    good: int
    """Those of them that can be sent."""
    causes: tuple[Cause, ...]
    """What is wrong with the others, the most common first."""
    fields: tuple[SentField, ...]
    notes: tuple[str, ...]
    """What a person should know beforehand."""
    base_url: str
    endpoint: str
    """Name of the endpoint."""
    time: str
    """How long it takes at the configured rate, and for which requests."""
    share: str
    """How much of the account's monthly quota that is: `2.00%`, `under 0.01%`; '' if it has none."""
    quota: str
    """What all hosts of a team have left of it in this month; '' without a team, or where there is no quota."""
    undo: str
    """Whether the run can be undone, in words."""
    reads_first: bool
    """Whether each record is read before its update."""
    can_read: bool
    """Whether the description names a way to read a record."""
    first: ShownRequest | None
    """The first request; None if nothing is sent, and of a run that is resumed, where that row may be done."""
    first_row: str
    """What messages call its row; '' without one."""

    @property
    def source(self) -> str:
        """File, sheet and header row on one line."""
        sheet = f', sheet "{self.sheet}"' if self.sheet else ""
        return f"{self.file}{sheet}, headers in row {self.columns.header_row:,}"

    @property
    def row_counts(self) -> str:
        """How many rows there are, and how many of them are good."""
        bad = self.rows - self.good
        return f"{self.rows:,}: {self.good:,} good, {bad:,} with problems{' (not sent)' if bad else ''}"

    @property
    def destination(self) -> str:
        """Where the rows go."""
        return f"{self.base_url} ({self.endpoint})"


def preview_of(
    plan: Plan, earlier: Earlier, notes: Sequence[str], count: int, environment: Environment, *, is_read_twice: bool
) -> Preview:
    """Return what sending `count` rows of a plan would do.

    `notes` is what a person should know beforehand; `is_read_twice`: whether every record is read before the first
    update, and once more before its own.
    """
    staged, base_url = plan.staged, plan.config.api.base_url or ""
    reads = (2 * count if is_read_twice else count) if plan.reads_first else 0
    job = None if earlier.resumed else plan.store.first_job()
    first = None
    if job:
        request = RequestBuilder(plan.endpoint).build(job)
        headers = shown_headers(plan.endpoint, request, "(one for each row)", is_read_first=plan.reads_first)
        is_json, body = not plan.endpoint.body_format.is_form, request.body.decode()
        first = ShownRequest(request.method, f"{base_url}{request.path}", request.query, headers, body, is_json)
    return Preview(
        file=PurePath(plan.snapshot.name).name if plan.is_own_workbook else plan.snapshot.name,
        sheet=staged.sheet,
        columns=staged.columns,
        rows=staged.rows,
        good=staged.good,
        causes=staged.causes,
        fields=tuple(
            SentField(staged.columns.called(field.name), sent, staged.cleared.get(field.name, 0))
            for field in plan.endpoint.body_fields
            if (sent := staged.sent.get(field.name, 0))
        ),
        notes=tuple(notes),
        base_url=base_url,
        endpoint=plan.endpoint.name,
        time=_time(plan, count, reads, is_read_twice=is_read_twice),
        share=_share(plan, reads + count),
        quota=_left_of_quota(plan, reads + count, environment),
        undo=_undo(plan, earlier.resumed),
        reads_first=plan.reads_first,
        can_read=plan.endpoint.read is not None,
        first=first,
        first_row=staged.columns.row(job.row) if job else "",
    )


def earlier_of(plan: Plan, identity: Identity, environment: Environment, runs: Runs) -> Earlier:
    """Return what past runs, all of the folder of results, mean for a plan. Raises what `earlier_run` raises."""
    caller = Caller(plan.config.api, lambda reference, key: fetch_secret(reference, environment, key).reveal())
    snapshot, parent = plan.snapshot, plan.config.results.folder
    return earlier_run(parent, Candidate(identity, caller), snapshot.source_path, snapshot.stem, runs, restart=False)


def _time(plan: Plan, count: int, reads: int, *, is_read_twice: bool) -> str:
    rate = plan.config.sending.rate_per_s
    if not plan.reads_first:
        return f"about {duration(count / rate)} at {rate:g} requests a second"
    shortest, longest = duration(reads / rate), duration((reads + count) / rate)
    span = f"about {shortest}" if shortest == longest else f"{shortest} to {longest}"
    twice = f" before anything is sent, {count:,} right before the updates" if is_read_twice else ""
    at_most = f"and at most {counted(count, 'update')}{_of_a_month(plan, reads + count)}"
    return f"{span} at {rate:g} requests a second: {counted(count, 'read')}{twice}, {at_most}"


def cost_of_reading(plan: Plan) -> str:
    """Return what reading the record of every good row costs, in a sentence."""
    count, rate = plan.staged.good, plan.config.sending.rate_per_s
    time = f"about {duration(count / rate)} at {rate:g} requests a second"
    return f"{counted(count, 'record')} {'is' if count == 1 else 'are'} read: {time}{_of_a_month(plan, count)}."


def _of_a_month(plan: Plan, requests: int) -> str:
    share = _share(plan, requests)
    up_to = "" if share.startswith("under") else "up to "
    return f", {up_to}{share} of the account's requests for a month" if share else ""


def _share(plan: Plan, requests: int) -> str:
    quota = plan.endpoint.quota_per_month
    if not quota:
        return ""
    return f"{requests / quota:.2%}" if requests * 10_000 >= quota else "under 0.01%"


def _left_of_quota(plan: Plan, requests: int, environment: Environment) -> str:
    limit = plan.endpoint.quota_per_month
    if not limit or team_of(plan.config.results.folder) is None:
        return ""
    import psycopg

    from batch_updater.runs.team_quota import quota_for

    try:
        used = quota_for(plan.config, environment).used_this_month()
    except ConfigError as error:  # as will the run be told
        return f"not known. {error}"
    except psycopg.Error as error:
        return f"not known: {reason_of(error)}"
    left = max(0, limit - used)
    text = f"{left:,} of {limit:,} requests left this month (the team has made {used:,})"
    return f"{text}; that is {requests - left:,} too few, if every request is needed" if requests > left else text


def _undo(plan: Plan, resumed: PastRun | None) -> str:
    if plan.endpoint.read is None:
        return f"not possible: the description {plan.endpoint.name} names no way to read a record"
    if not plan.reads_first:
        return "not possible; with --compare every record is read first"
    exceptions = _undo_exceptions(plan.endpoint, plan.staged)
    if resumed and resumed.confirmed and not resumed.facts.reads_first:
        return f"possible for the rows sent now, not for the {resumed.confirmed:,} done before{exceptions}"
    return f"possible: every record is read before its update{exceptions}"


def undo_in_words(past: PastRun) -> str:
    """Return whether a past run can be undone; '' if it cannot. Raises InputError if its database is damaged."""
    is_read = past.facts.reads_first and past.endpoint.read is not None
    if not is_read or not past.counts[OutcomeKind.UPDATED] + past.counts[OutcomeKind.DIFFERS]:
        return ""
    with past.store(looks_at_all=False) as store:
        exceptions = _undo_exceptions(past.endpoint, past.staged(store))
    return f"Possible: every record was read before its update{exceptions}."


def _undo_exceptions(endpoint: Endpoint, staged: StagedInput) -> str:
    sent = [field for field in endpoint.body_fields if staged.sent.get(field.name)]
    reported = endpoint.reported_fields
    return "".join(
        f"; {' and '.join(names[:_FIELDS_NAMED])}{' and more' if len(names) > _FIELDS_NAMED else ''} {when}"
        for when, names in (
            ("only where names are known for the ids", [one.name for one in sent if one.reported_id_as]),
            ("only where the columns hold all of the list", [one.name for one in sent if one.list_reported_as]),
            ("not, since records do not report it", [one.name for one in sent if one not in reported]),
        )
        if names
    )
