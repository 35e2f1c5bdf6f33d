"""How a worker calls the API for a run: as the person who has submitted it, with one token for all of its blocks."""

from __future__ import annotations

import threading
from typing import NamedTuple

from batch_updater.config.environment import Environment
from batch_updater.config.schema import Config, SecretReference
from batch_updater.config.secrets import Secret, fetch_secret
from batch_updater.endpoint.description import Endpoint
from batch_updater.errors import CredentialsError
from batch_updater.runs.caller import Caller, CallerDigest
from batch_updater.runs.queued_runs import QueuedRun
from batch_updater.runs.team_quota import KeptQuotas
from batch_updater.sender.auth import Credentials, KeptToken, fetch_credentials

_REMEDY = (
    "Start the workers with the section api of the configuration, and with the secrets, of the person who submits "
    "runs, then run again."
)
_RENEWED = "If a token or a header was renewed after the run was submitted, run again. Otherwise: "


class Access(NamedTuple):
    """What tells the API who calls."""

    credentials: Credentials
    token: KeptToken
    quotas: KeptQuotas


class RunAccess:
    """The access of this host to the API of its configuration, for one run after the other. For any thread."""

    def __init__(self, config: Config, environment: Environment) -> None:
        self.config = config
        self.environment = environment
        self._turn = threading.Lock()
        self._part: tuple[int, int] | None = None
        self._access: Access | None = None
        """That of this part of a run."""

    def of(self, queued: QueuedRun, base_url: str | None, caller: CallerDigest, endpoint: Endpoint) -> Access:
        """Return the access for the part of a run, which was submitted for that address and by that caller.

        The secrets are fetched once. Raises ConfigError if that fails, CredentialsError if this host has another
        address, account or header: then it must send nothing.
        """
        part = queued.id, queued.part
        with self._turn:
            if self._access is None or self._part != part:
                self._forget()
                credentials = self._checked(base_url, caller, endpoint)
                self._access, self._part = Access(credentials, KeptToken(), KeptQuotas()), part
            return self._access

    def close(self) -> None:
        """Forget it, and let go of the database."""
        with self._turn:
            self._forget()

    def _forget(self) -> None:
        if self._access is not None:
            self._access.quotas.close()
        self._access, self._part = None, None

    def _checked(self, base_url: str | None, caller: CallerDigest, endpoint: Endpoint) -> Credentials:
        api, fetched = self.config.api, dict[str, Secret]()

        def reveal(reference: SecretReference, key: str) -> str:
            fetched[key] = fetch_secret(reference, self.environment, key)
            return fetched[key].reveal()

        if base_url != api.base_url:  # else anyone who may write the database could be sent the token
            raise CredentialsError(
                f"the run is not sent, because it is for {base_url}, and api.base_url is {api.base_url}.",
                remedy=_REMEDY,
            )
        if differences := Caller(api, reveal).differences_from(caller):
            *first, last = differences
            differs = f"{', '.join(first)} and {last}" if first else last
            raise CredentialsError(
                f"the run is not sent, because this differs from what it was submitted with: {differs}.",
                remedy=f"{_RENEWED}{_REMEDY}",
            )
        return fetch_credentials(api, endpoint, self.environment, fetched)
