"""Running PostgreSQL's own programs: no password on a command line, errors in full, dying with whoever started them."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from hetang.platform import children, postgres
from hetang.platform.backups.folder import BackupRefused

_VARIABLES = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "dbname": "PGDATABASE",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "passfile": "PGPASSFILE",
    "service": "PGSERVICE",
    "options": "PGOPTIONS",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}


def environment_of(url: str) -> dict[str, str]:
    """A libpq URL as the environment of its programs, where `ps` does not show the password."""
    from psycopg.conninfo import conninfo_to_dict

    found = {_VARIABLES[name]: str(value) for name, value in conninfo_to_dict(url).items() if name in _VARIABLES}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, **found, "LC_ALL": "C"}


def run(
    name: str,
    *arguments: str | Path,
    env: Mapping[str, str],
    watch: Callable[[], None] | None = None,
) -> str:
    """Run a program of the wheel to its end; returns what it said. `watch` is called about twice a second and may
    raise, which ends the program. Raises BackupRefused with its last lines when it fails."""
    process = children.spawn([postgres.binary(name), *arguments], env=env, log=subprocess.PIPE)
    try:
        output = _output(process, watch)
    except BaseException:
        process.kill()
        process.wait()
        raise
    if process.returncode != 0:
        raise BackupRefused(f"{name} failed:\n{output.strip()[-2000:]}")
    return output


def _output(process: subprocess.Popen[bytes], watch: Callable[[], None] | None) -> str:
    while True:
        try:
            output, _ = process.communicate(timeout=0.5)
            return output.decode(errors="replace")
        except subprocess.TimeoutExpired:
            if watch is not None:
                watch()


def stopwatch() -> Callable[[], float]:
    """A function that says how many seconds have passed since now."""
    started = time.monotonic()
    return lambda: round(time.monotonic() - started, 2)
