"""`python -m tests.external [pytest arguments]`: tests against the oldest PostgreSQL that is supported.

A cluster of its own is made with Debian's PostgreSQL 15 (installed first, where that is allowed), run on a socket only,
and thrown away. The product's user owns its database and is no superuser, as a provider gives it.
`HETANG_TEST_POSTGRES` names the folder of another version's programs.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg

from hetang.platform import children
from tests import browser_setup

PACKAGE = "postgresql-15"
PROGRAMS = Path(os.environ.get("HETANG_TEST_POSTGRES", "/usr/lib/postgresql/15/bin"))
_OPTIONS = ("listen_addresses=", "fsync=off", "max_connections=80")
_SETTINGS_OF_TESTS = ("deadlock_timeout", "session_replication_role")  # the product itself sets neither
_STOP_S = 30


def main(arguments: list[str]) -> int:
    if not _found():
        print(f"no PostgreSQL in {PROGRAMS}: install Debian's {PACKAGE}, or set HETANG_TEST_POSTGRES", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="hetang-external-") as folder, server(Path(folder)) as url:
        command = [sys.executable, "-m", "pytest", *arguments]
        return subprocess.run(command, env={**os.environ, "HETANG_DATABASE_URL": url}, check=False).returncode


def _found() -> bool:
    here = PROGRAMS / "initdb"
    if not here.exists() and os.geteuid() == 0 and shutil.which("apt-get"):
        browser_setup.install(PACKAGE)
    return here.exists()


@contextlib.contextmanager
def server(folder: Path) -> Iterator[str]:
    """A running cluster; yields the URL of its database."""
    data = folder / "data"
    made = _spawn("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--lc-collate=C",
                  "--lc-ctype=C.UTF-8", "--no-instructions", log=subprocess.PIPE)  # fmt: skip
    told, _ = made.communicate()
    if made.returncode != 0:
        raise SystemExit(f"initdb failed:\n{told.decode(errors='replace')}")
    options = [part for option in _OPTIONS for part in ("-c", option)]
    with (folder / "log").open("wb") as log:
        process = _spawn("postgres", "-D", data, "-k", folder, *options, log=log.fileno())
        try:
            _wait_until_ready(folder)
            _make_database(folder)
            yield f"postgresql://hetang@/hetang?host={quote(str(folder), safe='')}"
        finally:
            process.send_signal(signal.SIGINT)  # does not wait for clients that a test left behind
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_S)
            process.kill()
            process.wait()


def _spawn(program: str, *arguments: str | Path, log: int) -> subprocess.Popen[bytes]:
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    return children.spawn([PROGRAMS / program, *arguments], env=environment, log=log, as_ordinary_user=True)


def _make_database(folder: Path) -> None:
    with psycopg.connect(f"postgresql://postgres@/postgres?host={folder}", autocommit=True) as connection:
        connection.execute("create role hetang login createdb")
        connection.execute(f"grant set on parameter {', '.join(_SETTINGS_OF_TESTS)} to hetang")
        connection.execute("create database hetang owner hetang")


def _wait_until_ready(folder: Path, timeout_s: float = 30) -> None:
    until = time.monotonic() + timeout_s
    while True:
        try:
            psycopg.connect(f"postgresql://postgres@/postgres?host={folder}").close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > until:
                sys.stderr.write((folder / "log").read_text())
                raise
            time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
