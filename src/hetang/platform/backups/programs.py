"""Running PostgreSQL's own programs: no password on a command line, errors in full, dying with whoever started them."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

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
# Of the head of a script: what servers before 17 do not know.
_UNKNOWN_TO_OLD = b"SET transaction_timeout = 0;\n"
_HEAD_LINES = 50


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


def run_script(dump: Path, *, env: Mapping[str, str]) -> None:
    """Run a dump as the script that it is, in one transaction, on a server of any version since 15. Raises
    BackupRefused when either program fails; nothing was written then."""
    with tempfile.TemporaryFile() as told:
        reader = children.spawn(
            [postgres.binary("pg_restore"), "--file=-", "--no-owner", "--no-privileges", dump],
            env=env, log=subprocess.PIPE, errors=told,
        )  # fmt: skip
        writer = children.spawn(
            [postgres.binary("psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null"],
            env=env, log=told, stdin=subprocess.PIPE,
        )  # fmt: skip
        try:
            assert reader.stdout and writer.stdin  # noqa: S101 - both are pipes
            with contextlib.suppress(BrokenPipeError), reader.stdout as lines, writer.stdin as script:
                _pour(lines, script)
                if reader.wait() == 0:
                    script.write(b"commit;\n")
            failed = writer.wait() != 0 or reader.poll() != 0
        finally:
            for process in (reader, writer):
                process.kill()
                process.wait()
        if failed:
            told.seek(0)
            complaint = told.read().decode(errors="replace").strip()[-2000:]
            raise BackupRefused(f"bringing the dump back failed:\n{complaint}")


def _pour(source: IO[bytes], script: IO[bytes]) -> None:
    script.write(b"begin;\n")
    script.writelines(line for line in itertools.islice(source, _HEAD_LINES) if line != _UNKNOWN_TO_OLD)
    shutil.copyfileobj(source, script, 1 << 20)


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
