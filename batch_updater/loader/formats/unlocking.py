"""Files that are protected with the password that Excel itself tries, so that it opens them without asking for one.

Excel gives this password to workbooks of which only the structure is protected; some programs give it to all of theirs.
"""

from __future__ import annotations

import io

import msoffcrypto

from batch_updater.loader.formats.book import UnreadableError

_PASSWORD_OF_EXCEL = "VelvetSweatshop"  # noqa: S105  (every spreadsheet program knows it)
_MOST_BYTES = 20 << 20
"""The library keeps many times as much in memory."""


def unlocked(content: bytes) -> bytes:
    """Return what an encrypted compound file holds: a package, or an .xls file that is not encrypted.

    Raises UnreadableError if Excel would ask for a password, or the file is too large.
    """
    if len(content) > _MOST_BYTES:
        raise UnreadableError(f"is encrypted and larger than {_MOST_BYTES >> 20} MB", "Save it without a password.")
    decrypted = io.BytesIO()
    try:
        file = msoffcrypto.OfficeFile(io.BytesIO(content))
        file.load_key(password=_PASSWORD_OF_EXCEL)
        file.decrypt(decrypted)
    except Exception as error:  # what the library raises over content that is not as it expects is of all kinds
        raise _protected() from error
    return decrypted.getvalue()


def _protected() -> UnreadableError:
    return UnreadableError(
        "is protected by a password",
        "Open it in Excel, take the password off (File, Info, Protect Workbook) and save it.",
    )
