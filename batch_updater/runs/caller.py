"""Who calls the API: told apart from run to run by digests, since a database holds no secret.

A digest is of the value with a salt of the run's own, and slow: two databases do not show that they were made with the
same value, and a key or a token, which is long and random, cannot be found by trying. A short value such as 7 can: the
digest keeps it from being read in passing, not from someone who has the database and tries every number.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Annotated

import msgspec

from batch_updater.config.schema import ApiSettings, ReferenceKind, SecretReference

_SALT_BYTES = 16
_SCRYPT_COST = 2**10
"""With 8 blocks: 1 MB and about 2 ms for each digest, of which a run makes one for each header and two for a token."""

_REFERENCE = "reference"
_TOKEN = "token"  # noqa: S105  (the name of a digest)
_CLIENT = "client"
_USER = "user"


def new_salt() -> str:
    """Return a salt for the digests of one run."""
    return secrets.token_hex(_SALT_BYTES)


class CallerDigest(msgspec.Struct, frozen=True):
    """What a database holds of a caller."""

    salt: Annotated[str, msgspec.Meta(pattern=f"^[0-9a-f]{{{2 * _SALT_BYTES}}}$")]
    headers: Mapping[str, str]
    """Name of a header in lower case -> digest of its value."""
    account: Mapping[str, str]
    """Digests of what tells the account: of a `client` of OAuth, or of a `token` and of the `reference` to it."""


class Caller:
    """The headers that are sent, and the account to which the token belongs."""

    def __init__(self, api: ApiSettings, reveal: Callable[[SecretReference, str], str]) -> None:
        """`reveal` fetches a secret; the key of the configuration is for its messages. Raises CredentialsError.

        The values of headers are fetched here, that of the token where it is needed.
        """
        self._api = api
        self._reveal = reveal
        self._names = {name.lower(): name for name in api.headers}
        self._headers: dict[str, str] = {}
        for name, value in api.headers.items():
            sent = reveal(value, f"api.headers.{name}") if isinstance(value, SecretReference) else value
            before = self._headers.get(name.lower())  # two spellings of one name are both sent
            self._headers[name.lower()] = sent if before is None else f"{before}\n{sent}"

    def digest(self, salt: str, token: str | None) -> CallerDigest:
        """Return what a database holds of it; `token` is what `ApiSettings.secret` refers to, if that was fetched."""
        headers = {name: _digest(salt, name, value) for name, value in self._headers.items()}
        account = {name: _digest(salt, name, text) for name, text in self._account.items()}
        if token is not None:
            account[_TOKEN] = _digest(salt, _TOKEN, f"{self._user}{token}")
        return CallerDigest(salt, headers, account)

    def account_key(self, salt: str) -> str:
        """Return a digest that is the same wherever the account is used, with the salt of all of them.

        A client of OAuth, and a user of Basic authentication, keep theirs when the secret is renewed, and so does a
        command, which may give a new token at each call. Any other token is an account of its own. Raises
        CredentialsError.
        """
        if self._api.oauth:
            return _digest(salt, _CLIENT, self._account[_CLIENT])
        if self._user:
            return _digest(salt, _USER, self._user)
        if self._is_of_command:
            return _digest(salt, _REFERENCE, self._account[_REFERENCE])
        return _digest(salt, _TOKEN, self._token)

    def changes_since(self, earlier: CallerDigest) -> list[str]:
        """Return what has changed since an earlier run, in words; none for the same caller. Raises CredentialsError.

        A token is renewed where it is kept, and says nothing of its owner: another one from there is taken for the
        same account's. The same token from another place has been moved. Only where both have changed, or a client of
        OAuth has, is it another account.
        """
        is_same = self._has_same_account_without_secret(earlier) or self._has_same_token(earlier)
        return self._changes(earlier, is_same_account=is_same)

    def differences_from(self, submitter: CallerDigest) -> list[str]:
        """Return in what this differs from who has submitted a run on another host, in words. Raises CredentialsError.

        A variable or file of the same name may hold the token of someone else there, so the token itself has to be the
        same. A command may print a new token at each call: for one, it is enough that the command is the same.
        """
        goes_by_token = self._api.secret is not None and not self._is_of_command
        is_same = not goes_by_token and self._has_same_account_without_secret(submitter)
        is_same = is_same or self._has_same_token(submitter)
        return self._changes(submitter, is_same_account=is_same)

    def _changes(self, other: CallerDigest, *, is_same_account: bool) -> list[str]:
        changes = []
        if names := self._headers_changed_since(other):
            changes.append(f"the headers that are sent ({', '.join(names)})")
        if not is_same_account:
            key = next((key for key in ("oauth", "auth") if getattr(self._api, key)), "token")
            changes.append(f"the account (api.{key})")
        return changes

    def _headers_changed_since(self, earlier: CallerDigest) -> list[str]:
        """Return the names of the headers that are others by now, or have other values."""
        return [
            self._names.get(name, name)
            for name, value in {**dict.fromkeys(earlier.headers), **self._headers}.items()
            if value is None or _digest(earlier.salt, name, value) != earlier.headers.get(name)
        ]

    def _has_same_account_without_secret(self, other: CallerDigest) -> bool:
        """Whether the client of OAuth is the same, or the token is kept in the same place, or there is none in both."""
        if not self._account or not other.account:
            return not self._account and not other.account
        return any(_digest(other.salt, name, text) == other.account.get(name) for name, text in self._account.items())

    def _has_same_token(self, other: CallerDigest) -> bool:
        if self._api.secret is None or _TOKEN not in other.account:
            return False
        return _digest(other.salt, _TOKEN, f"{self._user}{self._token}") == other.account[_TOKEN]

    @property
    def _is_of_command(self) -> bool:
        """Whether a command gives the token."""
        return self._api.secret is not None and self._api.secret[1].kind is ReferenceKind.COMMAND

    @property
    def _account(self) -> dict[str, str]:
        """What tells the account without a secret; nothing where the API is called without a token."""
        if oauth := self._api.oauth:
            return {_CLIENT: f"{oauth.token_url}\n{oauth.client_id}\n{oauth.scope}"}
        return {_REFERENCE: f"{self._user}{self._api.secret[1]}"} if self._api.secret else {}

    @cached_property
    def _token(self) -> str:
        return self._reveal(self._api.secret[1], self._api.secret[0]) if self._api.secret else ""

    @cached_property
    def _user(self) -> str:
        """The user's name of Basic authentication, and a line break; '' where no name goes with the secret."""
        basic = self._api.auth.basic if self._api.auth else None
        if basic is None or basic.password is None:
            return ""
        name = basic.user if isinstance(basic.user, str) else self._reveal(basic.user, "api.auth.basic.user")
        return f"{name}\n"


def _digest(salt: str, name: str, value: str) -> str:
    text = f"{name}\n{value}".encode(errors="surrogatepass")
    return hashlib.scrypt(text, salt=bytes.fromhex(salt), n=_SCRYPT_COST, r=8, p=1, dklen=16).hex()
