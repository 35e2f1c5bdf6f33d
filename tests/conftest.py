from __future__ import annotations

import importlib
import os
import pkgutil

import pytest
from hypothesis import HealthCheck, settings

import batch_updater
from tests.ports import free_port


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--torture", action="store_true", help="the numbers of `make torture` instead of small ones")


def pytest_configure(config: pytest.Config) -> None:
    """Let properties try the same examples each time, however slow the machine is; with --torture others.

    Programs that are started keep what they have compiled.
    """
    settings.register_profile(
        "everywhere",
        deadline=None,
        derandomize=not config.getoption("--torture"),
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("everywhere")
    # Examples hold constants of the modules that are loaded: of all, so that it does not matter which test ran before.
    for module in pkgutil.walk_packages(batch_updater.__path__, "batch_updater."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    # Hundreds of processes would compile the program, each for itself.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_xdist_auto_num_workers() -> int:
    """Return what `-n auto` means: two workers for each processor, because tests wait for half of their time."""
    return 2 * (os.cpu_count() or 1)


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep endpoints out of the cache of the person who runs the tests."""
    os.environ["XDG_CACHE_HOME"] = os.environ["LOCALAPPDATA"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def torture(request: pytest.FixtureRequest) -> bool:
    """Whether the large numbers are asked for."""
    return bool(request.config.getoption("--torture"))


@pytest.fixture(scope="session")
def closed_port() -> int:
    """Return a port on which nothing listens."""
    return free_port()
