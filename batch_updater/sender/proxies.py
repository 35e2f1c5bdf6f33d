"""The proxy on the way to an address, and which key or variable names it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from urllib.request import getproxies, proxy_bypass

from yarl import URL

from batch_updater.config.addresses import proxy_problem, shown_proxy
from batch_updater.config.schema import ApiSettings
from batch_updater.errors import ConfigError


# No struct: its repr would show the password.
@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy; as a text it is told without its name and password."""

    url: str = field(repr=False)
    """As it is configured, with its name and password."""
    source: str
    """`api.proxy`, `the variable HTTPS_PROXY`, or the system's settings."""

    def __str__(self) -> str:
        return f"the proxy {shown_proxy(self.url)} ({self.source})"


def proxy_for(api: ApiSettings, address: str) -> Proxy | None:
    """Return the proxy on the way to an address: the configured one, else the system's (HTTPS_PROXY, NO_PROXY ...).

    What is plain http stays on this machine: the system's proxy for it would read the token. Raises ConfigError if
    the address of the proxy is none.
    """
    url = URL(address)
    proxy, without = None, ""
    if api.proxy:
        proxy, without = Proxy(api.proxy, "api.proxy"), "remove api.proxy"
    elif url.scheme == "https" and not proxy_bypass(url.host or "") and (found := getproxies().get("https")):
        # As urllib has it, https_proxy goes before HTTPS_PROXY, in whatever mixture of cases.
        names = sorted((name for name in os.environ if name.lower() == "https_proxy"), key=str.isupper)
        name = next((name for name in names if os.environ[name] == found), None)
        proxy = Proxy(found, f"the variable {name}" if name else "the system's settings")
        without = f"unset it, or add {url.host} to the variable NO_PROXY"
    if proxy and (problem := proxy_problem(proxy.url)):
        problem, _, meant = problem.partition("; write ")
        write = f"Write {meant} there. " if meant else ""
        raise ConfigError(
            f"{sentence(proxy)} cannot be used: its address {problem}.",
            remedy=f"{write}If no proxy is needed, {without}. batch-updater doctor checks the way.",
        )
    return proxy


def require_usable_proxies(api: ApiSettings) -> None:
    """Raise ConfigError if a proxy on the way to the API or to its token URL has an address that is none."""
    for address in (api.base_url, api.oauth.token_url if api.oauth else None):
        if address:
            proxy_for(api, address)


def unused_proxy(address: str) -> str:
    """Return a sentence on a variable that names a proxy for other programs, where none is used; '' if none does."""
    if URL(address).scheme != "https" or proxy_bypass(URL(address).host or ""):
        return ""
    names = (name for name in sorted(os.environ) if name.upper() in ("ALL_PROXY", "HTTP_PROXY") and os.environ[name])
    name = next(names, None)
    return f"The variable {name} is not used: if there is a proxy on the way, name it in HTTPS_PROXY." if name else ""


def sentence(proxy: Proxy) -> str:
    """Return a proxy as the subject that begins a sentence."""
    return f"T{str(proxy)[1:]}"
