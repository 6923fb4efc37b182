"""Pytest plugin (`-p tests.embedded`): a home and an embedded PostgreSQL of its own, before Django loads.

Each xdist worker has both of its own: transaction ids, which the streams follow, are those of a whole server.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_GIVEN = "HETANG_TEST_DATABASE_GIVEN"


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """Runs around pytest-django's own, which loads the settings."""
    parallel = bool(getattr(early_config.known_args_namespace, "numprocesses", None))
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    if not is_worker:
        os.environ[_GIVEN] = os.environ.get("HETANG_DATABASE_URL", "")
    prepare(server=not os.environ[_GIVEN] and (is_worker or not parallel))
    yield


def prepare(*, server: bool) -> None:
    """Make a home of this process, and start a server in it, until the process ends."""
    home = Path(tempfile.mkdtemp(prefix="hetang-test-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ["HETANG_HOME"] = str(home)
    if server:
        _start(home)


def _start(home: Path) -> None:
    from hetang.platform import postgres

    server = postgres.start(home)
    atexit.register(server.stop)
    os.environ["HETANG_DATABASE_URL"] = server.url
