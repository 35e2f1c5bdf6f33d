"""sender/locked.py: which words of a 409 say that the record is locked for the moment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_updater.sender.answer import read_answer
from batch_updater.sender.classify import is_locked
from batch_updater.sender.locked import says_locked
from tests.sender.driver import ENDPOINT

LOCKED = """\
Record is locked by another user. Try again.
The record is locked
locked
RECORD_LOCKED
EntityLockedException
UNABLE_TO_LOCK_ROW
unable to obtain exclusive access to this record or 1 records: UNABLE_TO_LOCK_ROW
This opportunity is being edited by Anna Smith.
The opportunity is currently being edited by another user
It is checked out by jsmith
Record checked out to Bob
The record is in use by another user.
In use by another
Record in use
The opportunity is in use by another session
Another user is currently editing this record.
Anna is editing this record
Someone else is editing it
Could not acquire lock on row
The row could not be locked.
Lock wait timeout exceeded; try restarting transaction
Transaction (Process ID 52) was deadlocked on lock resources with another process
Lock request time out period exceeded.
ORA-00054: resource busy and acquire with NOWAIT specified
Record not updated, locked by user X
cannot be updated because it is locked
The record wasn't saved: it's locked by Bob
The account is locked by another user for editing
Another update of this record is in progress
The record appears to be locked
The item is temporarily locked.
Record is currently locked for editing
Resource is locked
The record is opened by another user
another process holds a lock on it
A lock is held by user 5
The document is being modified by another user
RecordInUse
could not obtain a lock
The opportunity can't be changed while it is locked
Opportunity 5 is locked.
This opportunity is currently locked for editing by John
Opportunity is checked out
Unable to update: record lock held by X
Another user has this record open
It is open for editing by Anna
This record is under edit by another user
another transaction is in progress
Concurrent update in progress
could not get write lock
There is a lock on this record
lock_not_available
has an edit lock
The opportunity is in use
Opportunity 5 is locked
The opportunity is currently in use by jsmith
Locking conflict
database is locked
Bob has the opportunity open
Record locked by another process
The record is being edited
OpportunityLocked
This record is read-only because it is locked
The record is locked until Anna has closed it
Record is locked by another user. Your changes would be lost.
The closed opportunity is being edited by Anna
The record is locked. It is not archived.
The record is locked for a period of 5 minutes
""".splitlines()

NOT_LOCKED = """\
The record is not locked
The record isn't locked.
The record is unlocked
Your account is blocked
blocked account
The account is locked
User account has been locked
Your account has been locked out
The period is locked.
The field StageName is locked
The record must be locked before it is changed
The record has to be locked first
Lock the record first
The record is no longer locked
OptimisticLockException
Optimistic locking failed
optimistic lock error
The record was changed by another user
It has been modified by another user since you read it.
Version conflict
The CRM number is already in use by another opportunity.
Email already in use
The name is in use by another record
This number is in use
It is already in use
Duplicate
You do not hold a lock
It can only be changed if no lock is held
not checked out
must be checked out
must not be edited
Stage 'Locked' not found.
Conflict
The stage is closed
Clock skew
interlocked
The record cannot be edited
Only locked records can be approved
unlock the record
The record needs to be locked
Not yet locked
The name is being used by another opportunity
Account locked by administrator
The opportunity was updated in the meantime
The opportunity is open
Only open opportunities can be updated
The opportunity has no open stage
The opportunity is not open for editing
You must have the record open
Period not open
The stage name is in use
in use elsewhere
The opportunity is not in use
The opportunity is closed and locked
The opportunity is locked: it is closed.
This record is permanently locked
Locked since it is won
The opportunity was lost and is locked
locked by finance for month end
locked by Finance for the month-end close
The record is locked until year end
The record is archived and locked
The record is locked (archived)
LOCKED_FINALIZED
It is finalised and locked
The record is locked and read-only
The record is locked because its period is closed
Locked pending approval
OpportunityClosedAndLocked
""".splitlines()


@pytest.mark.parametrize("words", LOCKED)
def test_words_for_a_locked_record_are_known(words: str) -> None:
    """A lock of the moment is worth another attempt, in whatever words, in capitals too."""
    assert says_locked([words], "opportunity")
    assert says_locked([words.upper()], "opportunity") or " " not in words


@pytest.mark.parametrize("words", NOT_LOCKED)
def test_other_conflicts_are_not_taken_for_locks(words: str) -> None:
    """A version, a duplicate, a negation, a lock that lasts: nothing of that passes by itself."""
    assert not says_locked([words], "opportunity")


@pytest.mark.parametrize(
    ("body", "locked"),
    [
        (b'{"Message": "Record is locked by another user. Try again."}', True),
        (b'{"code": "RECORD_LOCKED", "message": "Try again later."}', True),
        (b'{"message": "Conflict", "locked": true}', True),
        (b'{"message": "Try again.", "lockedBy": "anna"}', True),
        (b'{"code": "RECORD_LOCKED", "message": "The opportunity is closed."}', False),
        (b"<Fault><faultstring>The row is locked</faultstring></Fault>", True),
        (b"The record is being edited by Anna.", True),
        (b'{"message": "Version conflict", "locked": false, "lockedBy": null}', False),
        (b'{"message": "Version conflict", "current": {"title": "The locked room"}}', False),
        (b"", False),
    ],
)
def test_a_409_counts_by_its_reason(body: bytes, locked: bool) -> None:
    """Texts, short names of errors and members that say so count; a record that is echoed does not."""
    found = [is_locked(read_answer(status, body, "", ENDPOINT), ENDPOINT) for status in (409, 423, 400)]
    assert found == [locked, True, False]


@given(st.text(max_size=200))
def test_any_text_can_be_judged(text: str) -> None:
    """Nothing raises an exception."""
    assert says_locked([text]) in (True, False)
