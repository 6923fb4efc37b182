"""Pytest plugin (`-p tests.embedded`): a home and an embedded PostgreSQL of its own, before Django loads.

Each xdist worker has both of its own: transaction ids, which the streams follow, are those of a whole server. Theirs is
a copy of one that is made while they collect (`tests.template`), so it starts only when the first test is about to.
"""

from __future__ import annotations

import atexit
import compileall
import gc
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests import memory, template

_GIVEN = "HETANG_TEST_DATABASE_GIVEN"
_SOURCE = Path(__file__).parents[1] / "src" / "hetang"


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """Runs around pytest-django's own, which loads the settings."""
    parallel = bool(getattr(early_config.known_args_namespace, "numprocesses", None))
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    if not is_worker:
        memory.use()
        os.environ[_GIVEN] = os.environ.get("HETANG_DATABASE_URL", "")
        compileall.compile_dir(_SOURCE, quiet=2)  # for the many processes that tests start, of which none may write it
    prepare(server=False)
    if own_copy():
        _name_server()
    if not is_worker and (own_copy() or parallel):
        template.begin()
    yield


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Looks for no garbage while tests are collected, nor ever again among what all of them share.

    That makes a million objects which stay; going through them again and again took a quarter of its time. Tests run
    with the thresholds of `hetang.wsgi`: at Python's own they take a tenth longer.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)
        gc.enable()


def own_copy() -> bool:
    """Whether this process runs a server that is a copy of the template's."""
    return not os.environ[_GIVEN]


def start_copy() -> None:
    """Start the server of this process; in it, `template.MIGRATED` is a migrated database."""
    home = Path(os.environ["HETANG_HOME"])
    template.copy_server(home)
    _start(home)


def prepare(*, server: bool) -> None:
    """Make a home of this process, and start a server in it, until the process ends."""
    home = Path(tempfile.mkdtemp(prefix="hetang-test-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ["HETANG_HOME"] = str(home)
    if server:
        _name_server()
        _start(home)


def _name_server() -> None:
    """Say where the server of the home will listen."""
    from hetang.platform import postgres

    home = Path(os.environ["HETANG_HOME"])
    os.environ["HETANG_DATABASE_URL"] = postgres.Server(home / "postgres", postgres.socket_folder(home), None).url


def _start(home: Path) -> None:
    from hetang.platform import postgres

    server = postgres.start(home, lambda _data: template.FAST)
    atexit.register(server.stop)
